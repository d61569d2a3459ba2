"""The figure that says which weights are best, and which way it is better."""

from trainer.engine.loop import Row
from trainer.engine.measures import Direction, direction

__all__ = ["Direction", "Objective", "direction"]


class Objective:
    """A row's entry to watch, and which way is better."""

    def __init__(self, name: str, direction: Direction, min_delta: float = 0.0) -> None:
        self.name, self.direction, self.min_delta = name, direction, min_delta
        self.best: float | None = None

    def improved(self, row: Row) -> bool:
        """Whether `row` has a better value than any before; remembers it."""
        value = row.get(self.name)
        if value is None or value != value:  # not evaluated, or not a number
            return False
        if self.best is not None:
            gain = value - self.best if self.direction == "max" else self.best - value
            if not gain > self.min_delta:  # a gain of nan, from inf to inf, is none
                return False
        self.best = value
        return True
