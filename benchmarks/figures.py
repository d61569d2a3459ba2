"""What is measured of a process, and the statistics of several rounds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.processes import Ran

Sample = dict[str, float]  # figure -> value
Round = dict[str, Sample]  # contender -> its sample

# Figure -> (heading, what its values are divided by, decimals).
FIGURES = {
    "epoch": ("epoch, s", 1.0, 2),
    "fit": ("fit, s", 1.0, 3),
    "first": ("ready after, s", 1.0, 2),
    "jobs": ("jobs, s", 1.0, 2),
    "composing": ("each job, ms of CPU", 1.0, 2),
    "wall": ("process, s", 1.0, 2),
    "cpu": ("CPU, s", 1.0, 2),
    "memory": ("peak, MiB", 2.0**20, 0),
    "accuracy": ("accuracy, %", 0.01, 2),
}


@dataclass(frozen=True)
class Spread:
    """A median, and from where to where the values go."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """None of no values."""
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values))


def samples(name: str, ran: Ran, figure: str) -> Round:
    """What one process tells: mostly of one contender; of two where they took turns in it."""
    timed: dict[str, list[float]] = ran.report.get("timed", {})
    if timed:
        return {who: {figure: statistics.median(values)} for who, values in timed.items()}
    sample = {"wall": ran.wall, "cpu": ran.cpu, "memory": float(ran.memory)}
    laps: list[float] = ran.report.get("laps", [])
    epochs = [after - before for before, after in pairwise(laps)]
    if len(epochs) > 1:  # the first one is warm-up
        sample["epoch"] = statistics.median(epochs[1:])
    if ran.report.get("first") is not None:
        sample["first"] = ran.report["first"] - ran.started
    told = ("accuracy", "jobs", "composing")
    sample |= {figure: ran.report[figure] for figure in told if ran.report.get(figure) is not None}
    return {name: sample}


def values(rounds: Sequence[Round], figure: str, name: str) -> list[float]:
    """The figure of one contender in each round that has it."""
    return [r[name][figure] for r in rounds if figure in r.get(name, {})]


def ratios(rounds: Sequence[Round], figure: str, subject: str, other: str) -> list[float]:
    """`subject` over `other`, within each round."""
    return [a / b for a, b in _both(rounds, figure, subject, other)]


def differences(rounds: Sequence[Round], figure: str, subject: str, other: str) -> list[float]:
    """`subject` minus `other`, within each round."""
    return [a - b for a, b in _both(rounds, figure, subject, other)]


def _both(rounds: Sequence[Round], figure: str, subject: str, other: str) -> list[tuple[float, float]]:
    return [
        (r[subject][figure], r[other][figure])
        for r in rounds
        if figure in r.get(subject, {}) and figure in r.get(other, {})
    ]
