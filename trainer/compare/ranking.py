"""Which settings of a sweep are best.

Jobs that differ in `seed` or `data.fold` alone have the same settings: they have a mean, a spread, and an interval of
the true mean. Where both differ, the folds count, each with the mean of its seeds: the seeds of a fold have its luck in
common.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome

SEED, FOLD = "seed", "data.fold"
REPEATS = {FOLD: "folds", SEED: "seeds"}  # keys in which jobs of the same settings differ, and what these are called


@dataclass(frozen=True)
class Ranked:
    """Jobs of the same settings. `rank` counts from 1 among the settings of the same objective."""

    overrides: dict[str, str]  # without those of `REPEATS`
    jobs: tuple[Outcome, ...]
    rank: int | None = None

    @cached_property
    def _repeats(self) -> dict[str | None, dict[str | None, float]]:
        """The objective by fold and seed. Of jobs with the same of both, the last counts."""
        found: dict[str | None, dict[str | None, float]] = {}
        for job in self.jobs:
            if has_value(job):
                found.setdefault(job.overrides.get(FOLD), {})[job.overrides.get(SEED)] = job.value  # type: ignore[assignment]
        return found

    @cached_property
    def by_fold(self) -> dict[str | None, float]:
        """The mean objective of each fold; empty if there are no folds."""
        folds = self._repeats
        return {fold: statistics.mean(seeds.values()) for fold, seeds in folds.items()} if len(folds) > 1 else {}

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The objective of each fold, or else of each seed, that has one."""
        return tuple(self.by_fold.values() or (value for seeds in self._repeats.values() for value in seeds.values()))

    @property
    def counted(self) -> str:
        """What `values` are of: `5 folds`, `3 seeds`, or `5 folds of 3 seeds`."""
        if not self.by_fold:
            return f"{len(self.values)} seeds"
        seeds = max(map(len, self._repeats.values()))
        return f"{len(self.values)} folds" + (f" of {seeds} seeds" if seeds > 1 else "")

    @cached_property
    def best(self) -> Outcome:
        """The job with the best value, or the first job if none has one."""
        found = filter(has_value, self.jobs)
        return min(found, key=lambda job: badness(job.value, job.direction), default=self.jobs[0])

    @property
    def objective(self) -> str:
        """The name of the objective, or "" without a value."""
        return self.best.objective if has_value(self.best) else ""

    @property
    def direction(self) -> str:
        return self.best.direction

    @cached_property
    def mean(self) -> float | None:
        """The mean over the folds or seeds."""
        return statistics.mean(self.values) if self.values else None

    @cached_property
    def std(self) -> float | None:
        """The standard deviation over the folds or seeds (of a sample, n - 1), or None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the mean (Student's t), or None for fewer than two values."""
        if self.mean is None or self.std is None:
            return None
        from scipy import stats  # late: the import takes most of a second

        half = float(stats.t.ppf(0.975, len(self.values) - 1)) * self.std / math.sqrt(len(self.values))
        return self.mean - half, self.mean + half


def has_value(job: Outcome) -> bool:
    """Whether the job can be ranked by its objective. A pruned job cannot: its value is not that of its end."""
    return job.value is not None and math.isfinite(job.value) and job.status != PRUNED


def ranked(jobs: Sequence[Outcome]) -> list[Ranked]:
    """The settings of the jobs, best first by the mean over their folds or seeds.

    Different objectives cannot be compared: the settings of one follow those of another. Settings without a value are
    last.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Outcome]] = {}
    for job in jobs:
        groups.setdefault(tuple(sorted(settings(job).items())), []).append(job)
    found = [Ranked(settings(group[0]), tuple(group)) for group in groups.values()]
    return _ranked(found)


def places(jobs: Sequence[Outcome]) -> list[tuple[int | None, Outcome]]:
    """Each job by itself with its rank, in the order of `ranked`."""
    return [(row.rank, row.jobs[0]) for row in _ranked([Ranked({}, (job,)) for job in jobs])]


def _ranked(found: Sequence[Ranked]) -> list[Ranked]:
    rows: list[Ranked] = []
    for name in dict.fromkeys(row.objective for row in found if row.objective):
        same = sorted((row for row in found if row.objective == name), key=lambda row: badness(row.mean, row.direction))
        rows += [replace(row, rank=rank) for rank, row in enumerate(same, start=1)]
    return rows + [row for row in found if not row.objective]


def settings(job: Outcome) -> dict[str, str]:
    """A job's overrides without its fold and its seed."""
    return {key: value for key, value in job.overrides.items() if key not in REPEATS}


def varied(jobs: Iterable[Outcome]) -> list[str]:
    """The keys of the overrides that differ between jobs, or of all of them if none does."""
    found = [job.overrides for job in jobs]
    keys = list(dict.fromkeys(key for overrides in found for key in overrides))
    return [key for key in keys if len({overrides.get(key) for overrides in found}) > 1] or keys


def badness(value: float | None, direction: str) -> float:
    """A value of which less is better."""
    return -(value or 0.0) if direction == "max" else value or 0.0
