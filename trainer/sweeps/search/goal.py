"""What a search maximises or minimises, which has to be known before anything is trained."""

import copy
from dataclasses import dataclass

from trainer.config.base import Custom
from trainer.config.train import Train
from trainer.engine.measures import Direction, chosen_direction


@dataclass(frozen=True)
class Goal:
    """The objective. A run has the first of its `names` with a validation split, and else the second."""

    names: tuple[str, ...]
    direction: Direction

    def __str__(self) -> str:
        return f"the {'highest' if self.direction == 'max' else 'lowest'} {self.names[0]}"


def goal(config: Train) -> Goal:
    """What `objective` and `direction` mean for the data that `config` names, which are read if need be.

    Raises:
        DataError: They cannot be read.
    """
    names: tuple[str, ...] = (config.objective,)
    if config.objective == "auto":
        kind = "accuracy" if _classifies(config) else "loss"
        names = (f"val/{kind}", f"test/{kind}") if config.evaluate.split == "val" else (f"test/{kind}",)
    return Goal(names, chosen_direction(config.direction, names[0]))


def _classifies(config: Train) -> bool:
    """Whether the targets are classes, which of a table, or of a class of the user's, only the data tell."""
    found = None if isinstance(config.data, Custom) else config.data.classifies
    if found is None:
        from trainer.data.loading import load_dataset  # late: it imports torch

        found = load_dataset(copy.deepcopy(config)).classes is not None
    return bool(found)
