"""The metric that says which weights are best."""

from trainer.config.train import Train
from trainer.data.splits import Dataset
from trainer.engine import losses
from trainer.engine.losses import Loss
from trainer.engine.measures import Direction, chosen_direction
from trainer.engine.state import Row
from trainer.system.errors import ConfigError, did_you_mean


class Objective:
    """A row's entry to watch, and which way is better."""

    def __init__(self, name: str, direction: Direction, min_delta: float = 0.0) -> None:
        self.name, self.direction, self.min_delta = name, direction, min_delta
        self.best: float | None = None

    def improved(self, row: Row) -> bool:
        """Whether `row` has a better value than any before; remembers it."""
        value = row.get(self.name)
        if value is None or value != value:  # not evaluated, or not a number
            return False
        if self.best is not None:
            gain = value - self.best if self.direction == "max" else self.best - value
            if not gain > self.min_delta:  # a gain of nan, from inf to inf, is none
                return False
        self.best = value
        return True


def choose_loss(name: str, loaded: Dataset, label_smoothing: float = 0.0) -> Loss:
    """The loss called `name`; `auto` is the one that fits the targets.

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
        raise ConfigError(f"label_smoothing goes with cross-entropy, not with loss={name}", "leave it out")
    return losses.make(name, label_smoothing)


def choose_objective(config: Train, loaded: Dataset, evaluated: str | None) -> Objective:
    """The metric that says which model is best. `evaluated` is the split evaluated during training.

    Raises:
        ConfigError: it is not among the metrics of the run.
    """
    if loaded.classes is None:
        kinds = ["loss", "mse", "mae", "r2"]
    else:
        kinds = ["loss", "accuracy", "top5"] if len(loaded.classes) > 5 else ["loss", "accuracy"]
    split = evaluated or "test"
    name = config.objective
    if name == "auto":
        name = f"{split}/{'accuracy' if loaded.classes is not None else 'loss'}"
    known = [f"{s}/{kind}" for s in {split, "test"} for kind in kinds] + ["train/loss"]
    if name not in known:
        hint = did_you_mean(name, known)
        if name.startswith("val/") and evaluated != "val":
            hint = "there is no validation set: set data.val_fraction, or objective=train/loss"
        raise ConfigError(f"objective={name}: this run has no such metric", hint)
    if config.early_stopping.patience is not None:
        if evaluated == "test":
            raise ConfigError("early_stopping would choose by the test split", "leave evaluate.split=test out")
        if not _in_rows(name, evaluated):
            raise ConfigError(
                f"early_stopping needs {name} during training, and there is no validation set",
                "set data.val_fraction, or objective=train/loss",
            )
    return Objective(name, chosen_direction(config.direction, name))


def followed(objective: Objective, evaluated: str | None) -> Objective:
    """The objective that a schedule may follow: not on the test split, and only one that is known during training."""
    usable = _in_rows(objective.name, evaluated) and evaluated != "test"
    return objective if usable else Objective("train/loss", "min")


def _in_rows(name: str, evaluated: str | None) -> bool:
    """Whether the rows of a training have the metric `name`."""
    return name == "train/loss" or name.split("/")[0] == evaluated
