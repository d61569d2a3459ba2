"""What a search maximises or minimises, which has to be known before anything is trained."""

from dataclasses import dataclass

from trainer.config.base import Custom
from trainer.config.train import Train
from trainer.data.sets.table import Table
from trainer.engine.measures import Direction, chosen_direction
from trainer.system.errors import ConfigError


@dataclass(frozen=True)
class Goal:
    """The objective. A run has the first of its `names` with a validation split, and else the second."""

    names: tuple[str, ...]
    direction: Direction

    def __str__(self) -> str:
        return f"the {'highest' if self.direction == 'max' else 'lowest'} {self.names[0]}"


def goal(config: Train) -> Goal:
    """What `objective` and `direction` mean for the data that `config` names.

    Raises:
        ConfigError: only the data can tell, which have not been read.
    """
    names: tuple[str, ...] = (config.objective,)
    if config.objective == "auto":
        kind = "accuracy" if _classifies(config) else "loss"
        names = (f"val/{kind}", f"test/{kind}") if config.evaluate.split == "val" else (f"test/{kind}",)
    return Goal(names, chosen_direction(config.direction, names[0]))


def _classifies(config: Train) -> bool:
    section = config.data
    found = None if isinstance(section, Custom) else section.classifies
    if isinstance(section, Table) and section.task != "auto":
        found = section.task == "classification"
    if found is None:
        raise ConfigError(
            f"data={config.title('data')}: whether a search is for a high accuracy or a low loss is not known "
            "before the data are read",
            "say it: objective=val/accuracy or objective=val/loss",
        )
    return bool(found)
