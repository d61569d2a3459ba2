"""`trainer eval`: the metrics of a checkpoint on one split."""

from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config.composition import Composed
from trainer.data.described import changed, trained_on
from trainer.data.loading import eval_batch_size, load_dataset, stream_workers
from trainer.engine import device
from trainer.engine.evaluator import Evaluator
from trainer.engine.objective import choose_loss
from trainer.models.build import build_model
from trainer.show import report
from trainer.show.report import Report


def run(config: Composed) -> dict[str, Any]:
    """Show loss and metrics, and for classes the accuracy of each.

    Raises:
        UserError: no checkpoint, or one that does not fit the model or the data.
    """
    screen = Report()
    settings = config.settings
    compute = device.choose(settings.device, settings.precision)
    evaluator, found = load(config, compute, screen)
    split = settings.split
    evaluation = evaluator(split)
    loaded = evaluator.data
    facts = [
        ("checkpoint", _where(found)),
        ("model", config.title("model")),
        ("data", f"{loaded.name}, {split} split, {len(loaded.split(split)):,} samples"),
        ("device", str(compute)),
        *((name, report.metric(name, value)) for name, value in evaluation.metrics.items()),
    ]
    note = changed(loaded, found)
    if note:
        facts.append(("note", note))
    screen.panel("eval", facts)
    if evaluation.confusion is not None and loaded.classes is not None:
        counts = evaluation.confusion.sum(1).tolist()
        rows = [
            (name, str(count), f"{100 * share:.2f}%" if count else "-")
            for name, count, share in zip(loaded.classes, counts, evaluation.per_class, strict=True)
        ]
        screen.table(("class", "samples", "accuracy"), rows)
    return {"metrics": evaluation.named(split)}


def load(config: Composed, compute: device.Compute, screen: Report) -> tuple[Evaluator, Checkpoint]:
    """The model of `ckpt=` with its weights, and the data to evaluate it on."""
    found = checkpoint.read(config.settings.ckpt)
    for warning in found.warnings:
        screen.warn(warning)
    adopt(config, found)
    loaded = trained_on(load_dataset(config, screen.track), found)
    built = build_model(config, compute.device, compute.dtype, found)
    used = choose_loss(str(found.description.get("loss", "auto")), loaded)
    batch_size, workers = eval_batch_size(config, loaded), stream_workers(config, loaded, compute.device)
    return Evaluator(built, loaded, compute, used, batch_size, workers), found


def _where(found: Checkpoint) -> str:
    epoch = found.training.get("epoch")
    return f"{found.path}" + (f" (epoch {epoch})" if epoch is not None else " (a bare state_dict)")
