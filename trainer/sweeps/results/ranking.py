"""Which settings of a sweep are best, and whether that is more than chance.

Jobs that differ in `seed` alone have the same settings: they have a mean, a spread, and an interval of the true mean.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trainer.show import report
from trainer.sweeps.job import PRUNED, Outcome
from trainer.system.shown import shortened

SEED = "seed"
CHANCE = 0.05  # the p-value below which a difference counts


@dataclass(frozen=True)
class Ranked:
    """Jobs of the same settings. `rank` counts from 1 among the settings of the same objective."""

    overrides: dict[str, str]  # without the seed
    jobs: tuple[Outcome, ...]
    rank: int | None = None

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The objective of each seed that has one. Of jobs with the same seed, the last counts."""
        seeds = {job.overrides.get(SEED): job.value for job in self.jobs if has_value(job)}
        return tuple(value for value in seeds.values() if value is not None)

    @cached_property
    def best(self) -> Outcome:
        """The job of the best seed, or the first job if none has a value."""
        found = filter(has_value, self.jobs)
        return min(found, key=lambda job: _badness(job.value, job.direction), default=self.jobs[0])

    @property
    def objective(self) -> str:
        """The name of the objective, or "" without a value."""
        return self.best.objective if has_value(self.best) else ""

    @property
    def direction(self) -> str:
        return self.best.direction

    @cached_property
    def mean(self) -> float | None:
        """The mean over the seeds."""
        return statistics.mean(self.values) if self.values else None

    @cached_property
    def std(self) -> float | None:
        """The standard deviation over the seeds (of a sample, n - 1), or None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the mean (Student's t), or None for fewer than two seeds."""
        if self.mean is None or self.std is None:
            return None
        from scipy import stats  # late: the import takes most of a second

        half = float(stats.t.ppf(0.975, len(self.values) - 1)) * self.std / math.sqrt(len(self.values))
        return self.mean - half, self.mean + half


def has_value(job: Outcome) -> bool:
    """Whether the job can be ranked by its objective. A pruned job cannot: its value is not that of its end."""
    return job.value is not None and math.isfinite(job.value) and job.status != PRUNED


def ranked(jobs: Sequence[Outcome]) -> list[Ranked]:
    """The settings of the jobs, best first by the mean over their seeds.

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
        same = sorted(
            (row for row in found if row.objective == name), key=lambda row: _badness(row.mean, row.direction)
        )
        rows += [replace(row, rank=rank) for rank, row in enumerate(same, start=1)]
    return rows + [row for row in found if not row.objective]


def settings(job: Outcome) -> dict[str, str]:
    """A job's overrides without its seed."""
    return {key: value for key, value in job.overrides.items() if key != SEED}


def varied(jobs: Iterable[Outcome]) -> list[str]:
    """The keys of the overrides that differ between jobs, or of all of them if none does."""
    found = [job.overrides for job in jobs]
    keys = list(dict.fromkeys(key for overrides in found for key in overrides))
    return [key for key in keys if len({overrides.get(key) for overrides in found}) > 1] or keys


def verdict(rows: Sequence[Ranked]) -> str:
    """A sentence on whether the best settings are better than the second, or "" if there are no two to compare."""
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
    """The p-value of Welch's t-test: how often chance alone makes two means differ so much.

    Both have several seeds, and those of one at least differ.
    """
    from scipy import stats  # late, as above

    one, other = first.values, second.values
    apart, stds = statistics.mean(one) - statistics.mean(other), (statistics.stdev(one), statistics.stdev(other))
    # Scipy is given figures, for of values that are nearly equal it warns; and scaled ones, whose squares are in range.
    scale = max(stds)
    found = stats.ttest_ind_from_stats(
        apart / scale, stds[0] / scale, len(one), 0.0, stds[1] / scale, len(other), equal_var=False
    )
    return float(found.pvalue)


def _badness(value: float | None, direction: str) -> float:
    return -(value or 0.0) if direction == "max" else value or 0.0


def _name(row: Ranked, keys: Sequence[str]) -> str:
    words = (f"{key}={row.overrides[key]}" for key in keys if key in row.overrides)
    return " ".join(shortened(word, 60, "...") for word in words) or "the default"


def _difference(objective: str, value: float) -> str:
    """A difference of accuracies is said in points, since per cent would be read as a share of the accuracy."""
    text = report.metric(objective, value)
    return f"{text[:-1]} points" if text.endswith("%") else text


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
