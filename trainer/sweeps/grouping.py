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
        data = config.written("data")  # empty with from=RUN, which knows them
        keys = (config.settings.device, data.get("placement"), data.get("eval_batch_size"))
        groups.setdefault((config.digest(FREE), *keys), []).append(job)
    return list(groups.values())
