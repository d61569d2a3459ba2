"""Which settings of a sweep are best, and whether that is more than chance.

Jobs that differ in `seed` alone are one row: their mean, their spread and what these say of the true mean.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from trainer.show import report
from trainer.sweeps.job import PRUNED, Job

SEED = "seed"
CHANCE = 0.05  # a difference that chance alone gives less often than this is taken for one


@dataclass(frozen=True)
class Ranked:
    """Jobs of the same settings; `rank` counts among the rows of the same objective, from 1."""

    overrides: dict[str, str]  # without the seed
    jobs: tuple[Job, ...]
    rank: int | None = None

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The objective of each seed that has one; of jobs with the same seed, the last counts."""
        seeds = {job.overrides.get(SEED): job.value for job in self.jobs if has_value(job)}
        return tuple(value for value in seeds.values() if value is not None)

    @property
    def objective(self) -> str:
        return next((job.objective for job in self.jobs if has_value(job)), "")

    @property
    def direction(self) -> str:
        return next((job.direction for job in self.jobs if has_value(job)), "max")

    @cached_property
    def mean(self) -> float | None:
        """The mean over the seeds."""
        return statistics.mean(self.values) if self.values else None

    @cached_property
    def std(self) -> float | None:
        """The seeds' standard deviation (of a sample, n - 1); None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the mean (Student's t); None for fewer than two seeds."""
        if self.mean is None or self.std is None:
            return None
        from scipy import stats  # late: it takes most of a second

        half = float(stats.t.ppf(0.975, len(self.values) - 1)) * self.std / math.sqrt(len(self.values))
        return self.mean - half, self.mean + half

    @property
    def best(self) -> Job:
        """The job of the best seed; the first where none has a value."""
        found = [job for job in self.jobs if has_value(job)]
        return min(found, key=_badness) if found else self.jobs[0]


def has_value(job: Job) -> bool:
    """Whether the job has a value of its objective to rank by; that of a pruned one is not of its end."""
    return job.value is not None and math.isfinite(job.value) and job.status != PRUNED


def ranked(jobs: Sequence[Job]) -> list[Ranked]:
    """One row for each of the settings: best first, by the mean over its seeds.

    Different objectives do not compare: the rows of one follow those of another. Rows without a value are last.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(sorted(settings(job).items())), []).append(job)
    rows = [Ranked(settings(group[0]), tuple(group)) for group in groups.values()]
    objectives = list(dict.fromkeys(row.objective for row in rows if row.values))
    placed = []
    for objective in objectives:
        same = [row for row in rows if row.values and row.objective == objective]
        same.sort(key=lambda row: _signed(row.mean or 0.0, row.direction))
        placed += [Ranked(row.overrides, row.jobs, rank) for rank, row in enumerate(same, start=1)]
    return placed + [row for row in rows if not row.values]


def places(jobs: Sequence[Job]) -> list[tuple[int | None, Job]]:
    """Each job by itself with its rank, best first; objectives and jobs without a value as in `ranked`."""
    objectives = list(dict.fromkeys(job.objective for job in jobs if has_value(job)))
    placed: list[tuple[int | None, Job]] = []
    for objective in objectives:
        same = sorted((job for job in jobs if has_value(job) and job.objective == objective), key=_badness)
        placed += enumerate(same, start=1)
    return placed + [(None, job) for job in jobs if not has_value(job)]


def settings(job: Job) -> dict[str, str]:
    """A job's overrides without its seed."""
    return {key: value for key, value in job.overrides.items() if key != SEED}


def varied(jobs: Iterable[Job]) -> list[str]:
    """The overrides that differ between jobs; all of them if none does."""
    found = [job.overrides for job in jobs]
    keys = list(dict.fromkeys(key for overrides in found for key in overrides))
    return [key for key in keys if len({overrides.get(key) for overrides in found}) > 1] or keys


def verdict(rows: Sequence[Ranked]) -> str:
    """Whether the best row is better than the second, in a sentence; "" where there are no two to compare."""
    if len(rows) < 2 or rows[1].rank != 2:
        return ""
    first, second = rows[:2]
    if first.mean is None or second.mean is None:
        return ""
    keys = [key for key in varied(job for row in rows for job in row.jobs) if key != SEED]
    names = f"{_name(first, keys)} {{}} {_name(second, keys)}"
    by = _difference(first.objective, abs(first.mean - second.mean))
    counts = f"{len(first.values)} and {len(second.values)} seeds"
    if first.std is None or second.std is None:
        if first.mean == second.mean:
            return names.format("is as good as")
        return f"{names.format('is ahead of')} by {by}; several seeds each would tell whether that is chance"
    if first.std == second.std == 0:
        if first.mean == second.mean:
            return f"{names.format('is as good as')} (all of {counts} gave the same)"
        return f"{names.format('is better than')} by {by} (seeds make no difference, {counts})"
    p = welch(first, second)
    if p < CHANCE:
        return f"{names.format('is better than')} by {by} ({_p(p)}, Welch's t-test, {counts})"
    return f"{names.format('cannot be told apart from')} ({_p(p)}, Welch's t-test, {counts})"


def welch(first: Ranked, second: Ranked) -> float:
    """How often chance alone makes means differ so much; both rows have several seeds, one of them a spread."""
    from scipy import stats  # late, as above

    assert first.mean is not None
    assert second.mean is not None
    assert first.std is not None
    assert second.std is not None
    # Not of the values: where they are nearly equal it warns of rounding. Scaled, their squares are in range.
    scale, counts = max(first.std, second.std), (len(first.values), len(second.values))
    apart = (first.mean - second.mean) / scale
    found = stats.ttest_ind_from_stats(
        apart, first.std / scale, counts[0], 0.0, second.std / scale, counts[1], equal_var=False
    )
    return float(found.pvalue)


def _badness(job: Job) -> float:
    return _signed(job.value or 0.0, job.direction)


def _signed(value: float, direction: str) -> float:
    return -value if direction == "max" else value


def _name(row: Ranked, keys: Sequence[str]) -> str:
    return " ".join(f"{key}={row.overrides[key]}" for key in keys if key in row.overrides) or "the default"


def _difference(objective: str, value: float) -> str:
    """An accuracy's difference in points: per cent would be read as a share of it."""
    text = report.metric(objective, value)
    return f"{text[:-1]} points" if text.endswith("%") else text


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
