"""What each measure of a model is like: which way it is better, its unit, its axis and its label.

Whoever ranks, draws or prints a figure reads this table. It needs no torch.
"""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["min", "max"]


@dataclass(frozen=True)
class Measure:
    """A kind of figure, whatever split it was measured on."""

    label: str
    direction: Direction = "min"
    percent: bool = False  # it is a share, which people read in percent
    log: bool = False  # it goes to zero as a model gets better: orders of magnitude matter, on a logarithmic axis


MEASURES = {
    "loss": Measure("loss", log=True),
    "accuracy": Measure("accuracy", "max", percent=True),
    "top5": Measure("top-5 accuracy", "max", percent=True),
    "balanced_accuracy": Measure("balanced accuracy", "max", percent=True),
    "f1": Measure("macro F1", "max"),
    "auc": Measure("AUC", "max"),
    "average_precision": Measure("average precision", "max"),
    "calibration_error": Measure("expected calibration error", percent=True),
    "mse": Measure("MSE", log=True),
    "mae": Measure("MAE", log=True),
    "r2": Measure("R²", "max"),
}
FURTHER = ("balanced_accuracy", "f1", "auc", "average_precision")  # of classes: computed where they are asked for
_OWN: dict[str, Measure] = {}  # those of the user's own metrics
SPLITS = {"train": "training", "val": "validation"}


def declare(name: str, direction: Direction, percent: bool, log: bool, label: str | None) -> None:
    """Say what a metric of the user's own is like; ours stay as they are."""
    _OWN[name] = Measure(label or name, direction, percent, log)


def is_known(name: str) -> bool:
    """Whether more is known of the measure that the last part of `name` says than its name."""
    return name.rpartition("/")[2] in {**MEASURES, **_OWN}


def measure(name: str) -> Measure:
    """The measure that the last part of `name` says, like `val/accuracy`; one that is unknown is better when small."""
    last = name.rpartition("/")[2]
    return MEASURES.get(last) or _OWN.get(last) or Measure(last)


def direction(name: str) -> Direction:
    """Which way `name` is better: losses and errors when they are small."""
    return measure(name).direction


def chosen_direction(given: str, name: str) -> Direction:
    """What `direction=` means for `name`: `auto` is the measure's own."""
    return "min" if given == "min" else "max" if given == "max" else direction(name)


def label(name: str) -> str:
    """`name` in words, as an axis is labelled: `val/accuracy` is `validation accuracy (%)`."""
    *split, _ = name.split("/")
    found = measure(name)
    words = " ".join([*(SPLITS.get(part, part) for part in split), found.label])
    return f"{words} (%)" if found.percent else words
