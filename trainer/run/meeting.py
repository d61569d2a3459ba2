"""What a training meets again, among the samples that validate and test it, that its weights have been trained on."""

from trainer import data
from trainer.checkpoint import Checkpoint
from trainer.config.base import Config, Custom
from trainer.data.known import found_again
from trainer.data.splits import Dataset
from trainer.show.report import Report
from trainer.system.errors import TrainerError


def warn(weights: Checkpoint, config: Config, loaded: Dataset, screen: Report) -> None:
    """Warn of samples in the val and test splits of `loaded` that the weights have been trained on before."""
    kept = weights.training.get("known")
    seen = _as_seen(weights, config, loaded) if kept is not None else None
    for name in ("val", "test") if seen is not None else ():
        split = getattr(seen, name)
        again = found_again(kept, split) if split is not None else None
        if again is not None and again.leak:
            screen.warn(
                f"of {again.total:,} {name} samples {weights.path} was trained on {again.counted}: "
                f"the {name} figures say little of new data"
            )


def _as_seen(weights: Checkpoint, config: Config, loaded: Dataset) -> Dataset | None:
    """The data as the weights have seen them: a table in the features of their own plan. None if they cannot be."""
    plan = weights.description.get("plan")
    if plan is None or isinstance(config.data, Custom) or list(loaded.plan or ()) == plan:
        return loaded
    try:
        return data.load(config.data, trained=weights.description)
    except TrainerError:  # it is another table
        return None
