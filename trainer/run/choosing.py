"""What a config leaves to be chosen by the data: the length of the training, its optimizer and its schedule.

The numbers were measured: docs/study.md has the tables, and `benchmarks/against_sklearn.py` what they come to.
"""

import dataclasses
from typing import Any

from trainer.config.data import FEW
from trainer.config.optim import Adam, AdamW, FittingOptim
from trainer.config.scheduler import Constant, Cosine, FittingSchedule
from trainer.config.train import Train
from trainer.data.splits import Dataset
from trainer.engine.schedule import planned
from trainer.system.shown import counted

STEPS = 2000  # that a small training set is given
FEWEST, MOST = 10, 300  # epochs
PATIENCE = 20  # evaluations without improvement, where the learning rate does not come to an end by itself
RATE = 3e-3  # of AdamW on tables
DECAY, DECAY_OF_FEW = 1.0, 2.0  # its weight decay, also where fewer than `FEW` rows are trained on
DROPOUT = 0.3  # with so few


def choose(config: Train, data: Dataset) -> list[tuple[str, str]]:
    """Enter what fits the data in the place of `auto`; what was chosen and why, to be shown.

    What is entered goes into the run's config.yaml: a resumed training is the same, whatever is chosen then.
    """
    table = is_table(data)
    said = []
    few = table and len(data.train) < FEW
    for key, value in (("dropout", DROPOUT if few else 0.0), ("skip", few)):
        if getattr(config.model, key, None) == "auto":
            config.change(f"model.{key}", value)
    _choose_optimizer(config, table, DECAY_OF_FEW if few else DECAY)
    _choose_schedule(config, table and config.epochs == "auto")
    if config.epochs == "auto":
        said.append(("epochs", _choose_length(config, data)))
    return said


def is_table(data: Dataset) -> bool:
    """Whether the samples are rows of standardised columns, with classes or standardised quantities as targets."""
    standard = data.mean is not None or data.plan is not None
    return not data.is_image and standard and (data.classes is not None or data.target_mean is not None)


def _choose_optimizer(config: Train, table: bool, decay: float) -> None:
    section = config.optim
    if not isinstance(section, FittingOptim):
        return
    rate, decay = (RATE, decay) if table else (Adam.lr, Adam.weight_decay)
    given: dict[str, Any] = {field.name: getattr(section, field.name) for field in dataclasses.fields(Adam)}
    given |= {"lr": rate if section.lr == "auto" else section.lr}
    given |= {"weight_decay": decay if section.weight_decay == "auto" else section.weight_decay}
    del given["name"]
    config.choose("optim", AdamW(**given) if table else Adam(**given))


def _choose_schedule(config: Train, ends: bool) -> None:
    section = config.scheduler
    if isinstance(section, FittingSchedule):
        kind = Cosine if ends else Constant
        config.choose("scheduler", kind(warmup_steps=section.warmup_steps))


def _choose_length(config: Train, data: Dataset) -> str:
    rows, size = len(data.train), config.samples.batch_size or len(data.train)
    steps = -(-rows // (min(size, rows) * config.accumulate))
    epochs = min(MOST, max(FEWEST, round(STEPS / steps)))
    config.change("epochs", epochs)
    what = "rows" if not data.is_image else "images"
    why = f"auto: {counted(steps, 'step')} in an epoch of {rows:,} {what}"
    early = config.early_stopping
    spans = planned(config).whole  # it brings the learning rate down by itself
    if early.patience is None and data.val is not None and epochs > FEWEST and not spans:
        config.change("early_stopping.patience", PATIENCE)
    if early.patience is None:
        return f"{epochs} ({why})"
    return f"at most {epochs} ({why}); stops after {early.patience} without improvement"
