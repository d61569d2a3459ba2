"""What is said of a run at its beginning, and the figures of result.json."""

import platform
from pathlib import Path
from statistics import median
from typing import Any

import torch

from trainer import __version__
from trainer.config import registry
from trainer.config.train import Train
from trainer.engine.device import Compute
from trainer.engine.measures import FURTHER
from trainer.engine.metrics import Evaluation
from trainer.models import initial
from trainer.run.hooks.checkpoints import Checkpoints
from trainer.run.hooks.metrics_log import MetricsLog
from trainer.run.parts import Parts
from trainer.show import values
from trainer.show.report import Facts
from trainer.system.errors import InterruptedRunError, TrainerError

FILES, PICTURES = 0.5, 2.5  # seconds that writing checkpoints and drawing takes, with the imports
_COMPILED = {"off": "", "inductor": ", compiled by inductor", "cudagraph": ", steps captured as a CUDA graph"}


def opening(parts: Parts) -> Facts:
    """Model, data and training in a few lines, below a heading that has their names."""
    data, settings, title = parts.data, parts.config, parts.config.title
    total = sum(p.numel() for p in parts.model.parameters())
    trained = sum(p.numel() for p in parts.model.parameters() if p.requires_grad)
    frozen = f", {trained:,} of them trained" if trained < total else ""
    splits = [("train", data.train), ("val", data.val), ("test", data.test)]
    counts = " + ".join(f"{len(split):,} {name}" for name, split in splits if split is not None)
    shape = "x".join(map(str, data.train.shape))
    kind = f"{len(data.classes)} classes" if data.classes is not None else "regression"
    length = f"{parts.plan.epochs} epoch{'s' * (parts.plan.epochs > 1)}"
    if settings.max_steps:
        length += f" or {settings.max_steps:,} steps"
    batch = f"batch {parts.train.batch_size * settings.accumulate:,}"
    if parts.train.drops_last:
        last = parts.train.last
        batch += f" (data.drop_last: the last batch of each epoch, of {last} sample{'s' * (last > 1)}, is left out)"
    picked = f"best by {parts.objective.name}" if parts.picks_best else "the last weights are tested"
    if parts.average is not None:
        picked += f", averaged (ema {parts.average.decay:g})"
    scaled = " of the standardised target" if data.target_std is not None else ""
    cache = [("cache", data.cache)] if data.cache else []
    rate = f"{title('optim')} lr {parts.optimizer.defaults['lr']:g}"
    if getattr(settings.optim, "backbone_lr", None) is not None:
        rate += f" (all but the last layer {settings.optim.backbone_lr:g})"
    return [
        ("model", f"{total:,} parameters{frozen}{_init(settings)}"),
        ("data", f"{counts} of {shape}, {kind}, {parts.evaluator.placing}"),
        *cache,
        *(("note", line) for line in data.notes),
        ("training", f"{length}, {batch}, {rate}, {title('scheduler')} schedule"),
        *parts.chosen,
        ("loss", f"{parts.step.loss.name}{scaled}, {picked}, seed {settings.seed}"),
        ("device", values.device(parts.compute, parts.ranks.size, _COMPILED[parts.compiled])),
    ]


def _init(config: Train) -> str:
    how = initial.of(config.model)
    return f", init {how.init}" if how is not None else ""


def beginning(parts: Parts, directory: Path, before: dict[str, Any], resumed: bool) -> Facts:
    """The same, where the run lies and what it begins with; `before` is what the checkpoint says if it is `resumed`."""
    facts = [*([] if resumed else [("run", str(directory))]), *opening(parts)]
    if before.get("parent"):
        facts.append(("weights", f"of {before['parent']['path']}"))
    if resumed:
        state = parts.state
        facts.append(("resumed", f"after step {state.step:,}, in epoch {state.epoch + 1}"))
        if before.get("compute") != str(parts.compute):
            ran = f"it ran on {before.get('compute')} before"
            facts.append(("note", f"{ran}: results are no longer equal to the last bit"))
    return facts


def columns(parts: Parts) -> list[str]:
    """The metrics that the table of epochs shows."""
    shown = ("loss", "accuracy") if parts.data.classes is not None else ("loss", "mae", "r2")
    kinds = dict.fromkeys((*shown, *parts.config.metrics))
    return ["train/loss", *(f"{parts.evaluated}/{name}" for name in kinds if parts.evaluated)]


def figures(parts: Parts, checkpoints: Checkpoints, log: MetricsLog, test: Evaluation) -> dict[str, Any]:
    """The metrics of result.json."""
    metrics = test.named("test", *FURTHER) | {
        k: v for row in log.rows[-1:] for k, v in row.items() if k == "train/loss"
    }
    best, objective = checkpoints.best, parts.objective
    rates = [row["samples_per_second"] for row in log.rows if "samples_per_second" in row]
    found: dict[str, Any] = {
        "metrics": metrics,
        "objective": {
            "name": objective.name,
            "direction": objective.direction,
            "value": best["value"] if best else metrics.get(objective.name),
        },
        "best_epoch": best["epoch"] if best else None,
        "samples_per_second": median(rates) if rates else None,
    }
    if parts.data.classes is not None:
        found["per_class"] = dict(zip(parts.data.classes, test.per_class, strict=True))
    return found


def ending(parts: Parts, seconds: float) -> dict[str, Any]:
    """What result.json says of every run, however it ended."""
    return {
        "seconds": seconds,
        "epochs": parts.state.epoch,
        "steps": parts.state.step,
        "stopped": parts.state.stop or None,
        "environment": environment(parts.compute, parts.ranks.size),
    }


def closing_seconds(parts: Parts, per_step: float) -> float:
    """What is needed after the last step, as far as it can be told: a last evaluation, the test, files and pictures.

    Before a first evaluation, samples are taken to need as long as in training, whose steps take `per_step` seconds.
    """
    pace = parts.evaluator.pace or per_step / max(1, parts.samples[0])
    splits = ["test", *({parts.evaluated} - {None, "test"})]
    splits += ["val"] if parts.config.tables and parts.data.val is not None and parts.data.classes is not None else []
    return pace * sum(len(parts.data.split(str(split))) for split in splits) + FILES + PICTURES * parts.config.plots


def environment(compute: Compute, ranks: int = 1) -> dict[str, str]:
    """Versions and device, and how many ranks there were: what a figure depends on beside the config."""
    return {
        "trainer": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
        "device": str(compute),
        **({"ranks": str(ranks)} if ranks > 1 else {}),
    }


def hyperparameters(config: Train) -> dict[str, Any]:
    """What one compares runs by, as one flat table of scalars."""
    flat: dict[str, Any] = {}
    for group in registry.OF_A_TRAINING:
        described = config.describe(group)
        if group == "data":  # what changes training, not where the files lie
            augment = {f"augment.{k}": v for k, v in described.get("augment", {}).items() if v not in (None, "none")}
            described = {k: described.get(k) for k in ("batch_size", "limit", "val_fraction")} | augment
        flat[group] = config.called(group)
        flat |= {f"{group}.{k}": v for k, v in described.items() if k not in ("name", "class")}
    flat |= {k: getattr(config, k) for k in ("seed", "precision", "epochs", "clip_norm", "label_smoothing", "ema")}
    return {k: v for k, v in flat.items() if v is not None}


def cut_short(error: BaseException) -> dict[str, str]:
    """Status and reason of a run that did not complete."""
    by_signal = isinstance(error, KeyboardInterrupt | InterruptedRunError)
    reason = error.message if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return {"status": "interrupted" if by_signal else "failed", "error": reason}
