"""The metric that says which weights are best."""

from collections.abc import Collection

import torch
from torch import Tensor

from trainer.config.base import Custom
from trainer.config.train import Train
from trainer.data.splits import Dataset
from trainer.engine import losses, own, ranking
from trainer.engine.condition import Condition
from trainer.engine.device import Compute
from trainer.engine.losses import Loss
from trainer.engine.measures import FURTHER, Direction, chosen_direction
from trainer.engine.state import Row
from trainer.system.errors import ConfigError, did_you_mean, listed


class Objective:
    """A row's entry to watch, and which way is better.

    Of rows with equal values, the one with the lower loss is better; with a `min_delta`, neither is.
    """

    def __init__(self, name: str, direction: Direction, min_delta: float = 0.0) -> None:
        self.name, self.direction, self.min_delta = name, direction, min_delta
        self.best: float | None = None
        self.loss: float | None = None  # of the best row, on the same split

    @property
    def kind(self) -> str:
        """The measure, whatever split it is of: `accuracy` of `val/accuracy`."""
        return self.name.rpartition("/")[2]

    def improved(self, row: Row) -> bool:
        """Whether `row` has a better value than any before; remembers it."""
        value, loss = row.get(self.name), row.get(f"{self.name.rpartition('/')[0]}/loss")
        if value is None or value != value:  # not evaluated, or not a number
            return False
        if self.best is not None:
            gain = value - self.best if self.direction == "max" else self.best - value
            if not gain > self.min_delta and not (gain == 0 == self.min_delta and self._breaks_tie(loss)):
                return False  # a gain of nan, from inf to inf, is none
        self.best, self.loss = value, loss if loss == loss else None
        return True

    def _breaks_tie(self, loss: float | None) -> bool:
        return loss is not None and self.loss is not None and loss < self.loss


def choose_loss(config: Train, loaded: Dataset, compute: Compute) -> Loss:
    """The loss of a training.

    Raises:
        ConfigError: It does not fit the targets; one of the user's own fails.
    """
    section = config.loss
    if not isinstance(section, Custom):
        weights = class_weights(getattr(section, "class_weight", "none"), loaded)
        weights = weights.to(compute.dtype).to(compute.device) if weights is not None else None
        return loss_called(section.name, loaded, config.label_smoothing, weights)
    name, augment = config.title("loss"), config.samples.augment
    if config.label_smoothing:
        raise no_smoothing(name)
    return own.make_loss(section, name, loaded, compute, mixed=bool(augment.mixup or augment.cutmix))


def loss_called(name: str, loaded: Dataset, label_smoothing: float = 0.0, weights: Tensor | None = None) -> Loss:
    """The loss of ours called `name`; `auto` is the one that fits the targets. `weights` are those of `class_weights`.

    Raises:
        ConfigError: a loss for classes with values, or the reverse.
    """
    fitting = ("cross_entropy",) if loaded.classes is not None else ("mse", "half_sse")
    if name == "auto":
        name = fitting[0]
    if name not in fitting:
        kind = "classes" if loaded.classes is not None else "values"
        raise ConfigError(
            f"loss={name} does not fit data={loaded.name}, whose targets are {kind}", f"use loss={fitting[0]}"
        )
    if label_smoothing and name != "cross_entropy":
        raise no_smoothing(name)
    return losses.make(name, label_smoothing, weights)


def no_smoothing(name: str) -> ConfigError:
    """The error for labels to be smoothed where the loss does not do it."""
    return ConfigError(f"label_smoothing goes with cross-entropy, not with loss={name}", "leave it out")


def class_weights(asked: list[float] | str, loaded: Dataset) -> Tensor | None:
    """What a sample of each class counts in training, (classes,); None: all the same.

    `balanced` is scikit-learn's: samples / (classes * samples of the class). Weights that are given are scaled so that,
    like those, their mean over the training split is 1: the size of a step does not depend on them.

    Raises:
        ConfigError: there are no classes, or not as many as weights, or no sample counts.
    """
    if asked == "none":
        return None
    if loaded.classes is None:
        raise ConfigError(
            f"loss.class_weight: data={loaded.name} has no classes, its targets are values", "leave it out"
        )
    counts = loaded.train.targets.bincount(minlength=len(loaded.classes)).double()
    if asked == "balanced":
        return counts.sum() / (counts > 0).sum() / counts.clamp(min=1)
    given = torch.tensor(asked, dtype=torch.float64)
    if len(given) != len(counts):
        raise ConfigError(
            f"loss.class_weight has {len(given)} numbers, and data={loaded.name} has {len(counts)} classes",
            f"give one for each of {listed(loaded.classes)}",
        )
    if not given @ counts > 0:
        raise ConfigError("loss.class_weight: no sample of the training split counts", "give a class more than 0")
    return given * counts.sum() / (given @ counts)


def choose_objective(config: Train, loaded: Dataset, evaluated: str | None) -> Objective:
    """The metric that says which model is best. `evaluated` is the split evaluated during training.

    Raises:
        ConfigError: it is not among the metrics of the run.
    """
    split = evaluated or "test"
    name = config.objective
    if name == "auto":
        name = f"{split}/{'accuracy' if loaded.classes is not None else 'loss'}"
    metrics = config.own.get("metric", {})
    for kind in config.metrics:
        _check_known(f"metrics={kind}", f"{split}/{kind}", {split}, loaded, evaluated, metrics)
    _check_known(f"objective={name}", name, {split, "test"}, loaded, evaluated, metrics)
    if config.early_stopping.patience is not None:
        if evaluated == "test":
            raise ConfigError("early_stopping would choose by the test split", "leave evaluate.split=test out")
        if not _in_rows(name, evaluated):
            raise ConfigError(
                f"early_stopping needs {name} during training, and there is no validation set",
                "set data.val_fraction, or objective=train/loss",
            )
    return Objective(name, chosen_direction(config.direction, name))


def choose_target(until: str, loaded: Dataset, evaluated: str | None, own: Collection[str] = ()) -> Condition:
    """The condition on a metric of the rows of a training at which it is to end; `own` are the user's.

    Raises:
        ConfigError: it is none, or not on such a metric.
    """
    condition = Condition.of(until)
    if evaluated == "test" and condition.name.startswith("test/"):
        raise ConfigError(f"until={until} would choose by the test split", "leave evaluate.split=test out")
    _check_known(f"until={until}", condition.name, [evaluated] if evaluated is not None else [], loaded, evaluated, own)
    return condition


def _check_known(
    said: str, name: str, splits: Collection[str], loaded: Dataset, evaluated: str | None, own: Collection[str]
) -> None:
    """Check that a run has the metric `name`, of one of `splits` or of the training, where `said` names it."""
    if loaded.classes is None:
        kinds = ["loss", "mse", "mae", "r2"]
    else:
        kinds = ["loss", "accuracy", *(["top5"] if len(loaded.classes) > 5 else []), *FURTHER]
    known = [f"{split}/{kind}" for split in splits for kind in (*kinds, *own)] + ["train/loss"]
    if name not in known:
        hint = did_you_mean(name, known)
        if name.startswith("val/") and evaluated != "val":
            hint = "there is no validation set: set data.val_fraction, or take train/loss"
        raise ConfigError(f"{said}: this run has no such metric", hint)
    split, kind = name.split("/")
    most = ranking.LARGEST // len(loaded.classes or "1")
    if kind in ("auc", "average_precision") and len(loaded.split(split)) > most:
        raise ConfigError(
            f"{said}: that is computed of at most {most:,} samples with {len(loaded.classes or ())} classes",
            f"use {split}/balanced_accuracy, or a smaller data.val_fraction",
        )


def followed(objective: Objective, evaluated: str | None) -> Objective:
    """The objective that a schedule may follow: not on the test split, and only one that is known during training."""
    usable = _in_rows(objective.name, evaluated) and evaluated != "test"
    return objective if usable else Objective("train/loss", "min")


def _in_rows(name: str, evaluated: str | None) -> bool:
    """Whether the rows of a training have the metric `name`."""
    return name == "train/loss" or name.split("/")[0] == evaluated
