"""Which jobs of a sweep differ only in what may differ between the models of one program."""

from collections.abc import Sequence

from trainer.config.base import Custom
from trainer.config.train import Train
from trainer.sweeps.plan import Planned

# The keys that each model has for itself.
FREE = (
    *("optim.*", "scheduler.*", "scheduler.name", "seed", "clip_norm", "early_stopping", "objective", "direction"),
    *("model.dropout", "model.init", "model.init_gain", "model.init_bias", "data.fold"),
)

_WORDS = {"metric": "a metric", "hook": "a hook", "augment": "the augmentation"}


def grouped(jobs: Sequence[Planned]) -> list[list[Planned]]:
    """The jobs in groups of those that are alike; a job that could not be composed is alone."""
    groups: dict[object, list[Planned]] = {}
    for job in jobs:
        config = job.asked.config
        if config is None:
            groups[job.number] = [job]
            continue
        data = config.written("data")  # empty with from=RUN, whose checkpoint describes them
        keys = (config.device, config.devices, data.get("placement"), data.get("eval_batch_size"))
        groups.setdefault((config.digest(FREE), *keys), []).append(job)
    return list(groups.values())


def stays_alone(config: Train) -> str:
    """Which part of the user's own keeps a training out of a team, for it is made for one model; "" if there is none.

    A model, an optimizer or a schedule of theirs is looked at when it is there.
    """
    if isinstance(config.loss, Custom):
        return "the loss"
    return next((_WORDS[kind] for kind in config.own), "")


def data_of(job: Planned) -> object:
    """Equal for jobs of a group that have the same samples in each split."""
    return job.asked.config.written("data").get("fold") if job.asked.config is not None else None
