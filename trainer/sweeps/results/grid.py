"""The settings of a sweep by the values of their keys, as pictures need them."""

import math
from collections.abc import Callable, Sequence

from trainer.compare.ranking import Ranked
from trainer.engine.measures import measure

CELLS = 24  # the most rows or columns of a heat map
UNSET = "default"  # the value of a key that a job does not set


class Grid:
    """The rows of one objective by the values of their keys."""

    def __init__(self, rows: Sequence[Ranked]) -> None:
        self.rows = sorted(rows, key=lambda row: min(job.job for job in row.jobs))
        self.keys = list(dict.fromkeys(key for row in rows for key in row.overrides))
        first = next(row for row in rows if row.values)
        self.objective, self.direction = first.objective, first.direction
        self.scale = 100.0 if measure(self.objective).percent else 1.0

    def values(self, key: str) -> list[str]:
        """The values of a key: numbers from small to large, anything else in the order of the jobs."""
        found = list(dict.fromkeys(row.overrides.get(key, UNSET) for row in self.rows))
        return sorted(found, key=float) if numbers_in(found) else found

    def places(self, key: str) -> Callable[[Ranked], int]:
        """Where a row stands among the values of `key`."""
        found = {value: place for place, value in enumerate(self.values(key))}
        return lambda row: found[row.overrides.get(key, UNSET)]

    def lines(self, others: Sequence[str]) -> dict[tuple[str, ...], list[Ranked]]:
        """The rows of each combination of the other keys, in the order of their values."""
        places = [self.places(key) for key in others]
        found: dict[tuple[str, ...], list[Ranked]] = {}
        for row in sorted(self.rows, key=lambda row: [place(row) for place in places]):
            found.setdefault(tuple(row.overrides.get(key, UNSET) for key in others), []).append(row)
        return found

    def bests(self, keys: Sequence[str]) -> dict[tuple[str, ...], Ranked]:
        """The best row of each combination of values that there is; of those without a result, the first."""
        found: dict[tuple[str, ...], Ranked] = {}
        for row in self.rows:
            values = tuple(row.overrides.get(key, UNSET) for key in keys)
            if values not in found or self._place(row) < self._place(found[values]):
                found[values] = row
        return found

    def _place(self, row: Ranked) -> int:
        return row.rank or len(self.rows) + 1

    def is_grid(self, pair: tuple[str, str], share: float) -> bool:
        """Whether a table of the two keys is small enough, and at least a `share` of its cells filled."""
        across, up = (len(self.values(key)) for key in pair)
        filled = {tuple(row.overrides.get(key, UNSET) for key in pair) for row in self.rows}
        return max(across, up) <= CELLS and len(filled) >= share * across * up

    def repeats(self, spread: str = "") -> str:
        """What a caption says of the folds or seeds."""
        counts = {len(row.values) for row in self.rows if row.values}
        few, many = min(counts), max(counts)
        said = list(dict.fromkeys(row.counted for row in self.rows if len(row.values) > 1))
        if len(said) > 1 or (said and few < many):
            return f"mean{spread} of {few} to {many} {said[0].split()[1]}"
        return f"mean{spread} of {said[0]}" if said else ""


def numbers_in(values: Sequence[str]) -> list[float] | None:
    """The values as numbers, if all are."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
