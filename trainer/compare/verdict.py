"""Whether one of two settings is better than the other by more than chance."""

import math
import statistics
from collections.abc import Sequence

from trainer.compare.ranking import REPEATS, Ranked, varied
from trainer.compare.welch import Welch, welch
from trainer.show import values
from trainer.system.shown import shortened

CHANCE = 0.05  # the p-value below which a difference counts


def verdict(rows: Sequence[Ranked]) -> str:
    """A sentence on the first two of the rows, or "" if there are no two to compare.

    Settings of the same folds are compared fold by fold, for a fold that is hard for one is hard for the other.
    """
    if len(rows) < 2 or rows[1].rank != 2:
        return ""
    first, second = rows[:2]
    keys = [key for key in varied(job for row in rows for job in row.jobs) if key not in REPEATS]
    return told(first, second, _name(first, keys), _name(second, keys))


def told(first: Ranked, second: Ranked, one: str, other: str) -> str:
    """A sentence on two settings, which are called `one`, the better, and `other`; "" if one of them has no value."""
    if first.mean is None or second.mean is None:
        return ""
    by = difference(first.objective, abs(first.mean - second.mean))
    if first.std is None or second.std is None:
        if first.mean == second.mean:
            return f"{one} is as good as {other}"
        return f"{one} is ahead of {other} by {by}; several seeds each would tell whether that is chance"
    matched = bool(first.by_fold) and first.by_fold.keys() == second.by_fold.keys()
    unit = _unit(first, second)
    counts = first.counted if matched else f"{len(first.values)} and {len(second.values)} {unit}"
    test = paired(first, second) if matched else welch(first.values, second.values)
    p = test.p if isinstance(test, Welch) else test
    if p is None:
        if first.mean == second.mean:
            return f"{one} is as good as {other} (all of {counts} gave the same)"
        return f"{one} is better than {other} by {by} ({unit} make no difference, {counts})"
    name = "paired t-test" if matched else "Welch's t-test"
    said = f"{p_value(p)}, {name}, {counts}"
    if p < CHANCE:
        return f"{one} is better than {other} by {by} ({said})"
    return f"{one} cannot be told apart from {other} ({said})"


def paired(first: Ranked, second: Ranked) -> float | None:
    """The p-value of the paired t-test over the folds, which are the same; None if all of them differ by as much."""
    apart = [first.by_fold[fold] - second.by_fold[fold] for fold in first.by_fold]
    scale = max(map(abs, apart))  # the squares of scaled figures are in range
    spread = statistics.stdev(value / scale for value in apart) if scale else 0.0
    if not spread:
        return None
    from scipy import stats  # late: the import takes most of a second

    t = abs(statistics.mean(apart)) / scale / spread * math.sqrt(len(apart))
    return float(2 * stats.t.sf(t, len(apart) - 1))


def _unit(first: Ranked, second: Ranked) -> str:
    """What the values of both are of."""
    folds = bool(first.by_fold), bool(second.by_fold)
    return "folds" if all(folds) else "runs" if any(folds) else "seeds"


def _name(row: Ranked, keys: Sequence[str]) -> str:
    words = (f"{key}={row.overrides[key]}" for key in keys if key in row.overrides)
    return " ".join(shortened(word, 60, "...") for word in words) or "the default"


def difference(objective: str, value: float) -> str:
    """A difference of accuracies is said in points, since per cent would be read as a share of the accuracy."""
    text = values.metric(objective, value)
    return f"{text[:-1]} points" if text.endswith("%") else text


def p_value(p: float) -> str:
    """A p-value as it is written."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
