"""`trainer eval`: the metrics of a checkpoint on one split."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key
from trainer.system.errors import CheckpointError

if TYPE_CHECKING:
    from trainer.checkpoint import Checkpoint
    from trainer.engine.device import Compute
    from trainer.engine.evaluator import Evaluator
    from trainer.show.report import Report

SUMMARY = "metrics of a checkpoint on the test split"
EXAMPLES = """
trainer eval ckpt=runs/lenet_digits/2026-01-31_12-00-00
trainer eval ckpt=cifar_net.pth model=lenet5 data=cifar10      a bare state_dict
"""


@dataclass
class EvalOptions:
    """What `trainer eval` lets pass."""

    allow_nonfinite: bool = key(False, "also evaluate weights that are not finite, with a warning")


@dataclass
class Eval(Config):
    """`trainer eval`: metrics of a checkpoint on one split."""

    ckpt: str = key(MISSING, "a run directory or a checkpoint file")
    split: str = key("test", "the split to evaluate", choices=("test", "val", "train"))
    model: Any = key(None, "for a bare state_dict, or a model of your own: the group `model`")
    data: Any = key(None, "other data than the checkpoint was trained on: the group `data`")
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = key("float32", "precision of the evaluation", choices=("float32", "float64", "tf32", "bfloat16"))
    eval: EvalOptions = field(default_factory=EvalOptions, metadata={"doc": "what is let pass"})


def run(config: Eval) -> dict[str, Any]:
    """Show loss and metrics, and for classes the accuracy of each.

    Returns:
        The metrics by names like `test/loss`.

    Raises:
        UserError: There is no such checkpoint, or it does not fit the model or the data.
    """
    from trainer.data.described import changed
    from trainer.engine import device
    from trainer.show import classes, report
    from trainer.show.report import Report

    screen = Report()
    compute = device.choose(config.device, config.precision)
    evaluator, found = load(config, config.ckpt, compute, screen, config.eval.allow_nonfinite)
    split = config.split
    evaluation = evaluator(split)
    loaded = evaluator.data
    facts = [
        ("checkpoint", _where(found)),
        ("model", config.called("model")),
        ("data", f"{loaded.name}, {split} split, {len(loaded.split(split)):,} samples"),
        ("device", str(compute)),
        *((name, report.metric(name, value)) for name, value in evaluation.metrics.items()),
    ]
    facts += [("note", line) for line in (*loaded.notes, changed(loaded, found)) if line]
    screen.panel("eval", facts)
    if loaded.classes is not None:
        counts, shares = evaluation.counts, evaluation.per_class
        rows = [
            (name, str(count), f"{100 * share:.2f}%" if count else "-")
            for name, count, share in zip(loaded.classes, counts, shares, strict=True)
        ]
        columns = ("class", "samples", "accuracy")
        classes.show(screen, columns, rows, lambda n: shares[n] if counts[n] else 2, "those of the lowest accuracy")
    return {"metrics": evaluation.named(split)}


def load(
    config: Config, ckpt: str, compute: "Compute", screen: "Report", nonfinite: bool
) -> "tuple[Evaluator, Checkpoint]":
    """Build the model of a checkpoint with its weights, and an evaluator of it on its data.

    Raises:
        UserError: There is no such checkpoint, it does not fit, or has `nonfinite` weights and may not.
    """
    from trainer import checkpoint
    from trainer.checkpoint.adoption import adopt
    from trainer.config import custom
    from trainer.data.described import trained_on
    from trainer.data.loading import eval_batch_size, example, load_dataset, stream_workers
    from trainer.engine.evaluator import Evaluator
    from trainer.engine.objective import choose_loss
    from trainer.models import preprocessing
    from trainer.models.build import build_model

    found = checkpoint.read(ckpt)
    if found.flaw:
        if not nonfinite:
            raise CheckpointError(found.flaw, "evaluate them all the same: eval.allow_nonfinite=true")
        screen.warn(found.flaw)
    adopt(config, found)
    for line in custom.announced(config):
        screen.say(line)
    preprocessing.prepare(config)
    loaded = trained_on(load_dataset(config, screen.track, trained=found.description or None), found)
    first, outputs = example(loaded, compute.device, compute.dtype), int(loaded.facts()["outputs"])
    built = build_model(config, first, outputs, found)
    used = choose_loss(str(found.description.get("loss", "auto")), loaded)
    batch_size, workers = eval_batch_size(config, loaded), stream_workers(config, loaded, compute.device)
    return Evaluator(built, loaded, compute, used, batch_size, workers), found


def _where(found: "Checkpoint") -> str:
    epoch = found.training.get("epoch")
    return f"{found.path}" + (f" (epoch {epoch})" if epoch is not None else " (a bare state_dict)")
