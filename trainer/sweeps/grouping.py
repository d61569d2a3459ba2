"""Which jobs of a sweep are alike in all but what may differ between models of one program."""

from collections.abc import Sequence

from trainer.sweeps.plan import Planned

# Each model has these for itself.
FREE = (
    *("optim.*", "scheduler.*", "scheduler.name", "seed", "clip_norm", "early_stopping", "objective", "direction"),
    "model.dropout",
)


def grouped(jobs: Sequence[Planned]) -> list[list[Planned]]:
    """The jobs, those that are alike together; one that could not be composed is alone."""
    groups: dict[object, list[Planned]] = {}
    for job in jobs:
        config = job.asked.config
        if config is None:
            groups[job.number] = [job]
            continue
        data = config.section("data")
        keys = (config.settings.device, getattr(data, "placement", None), getattr(data, "eval_batch_size", None))
        groups.setdefault((config.digest(FREE), *keys), []).append(job)
    return list(groups.values())
