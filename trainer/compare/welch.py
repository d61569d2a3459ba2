"""Welch's t-test: whether two means differ by more than chance, where both have a spread of their own."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SURE = 0.95  # of the interval


@dataclass(frozen=True)
class Welch:
    """The mean of the one less that of the other, its 95% interval, and how often chance makes it as large."""

    apart: float
    low: float
    high: float
    p: float


def welch(one: Sequence[float], other: Sequence[float]) -> Welch | None:
    """The test of two samples of at least two values each; None if those of each are all the same."""
    stds = statistics.stdev(one), statistics.stdev(other)
    if not any(stds):
        return None
    from scipy import stats  # late: the import takes most of a second

    apart = statistics.mean(one) - statistics.mean(other)
    # Scipy is given figures, for of values that are nearly equal it warns; and scaled ones, whose squares are in range.
    scale = max(stds)
    found = stats.ttest_ind_from_stats(
        apart / scale, stds[0] / scale, len(one), 0.0, stds[1] / scale, len(other), equal_var=False
    )
    first, second = ((std / scale) ** 2 / len(values) for std, values in zip(stds, (one, other), strict=True))
    # The degrees of freedom of Welch and Satterthwaite.
    freedom = (first + second) ** 2 / (first**2 / (len(one) - 1) + second**2 / (len(other) - 1))
    half = float(stats.t.ppf((1 + SURE) / 2, freedom)) * math.sqrt(first + second) * scale
    return Welch(apart, apart - half, apart + half, float(found.pvalue))
