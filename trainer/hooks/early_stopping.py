"""Stop when the objective has not improved for a while."""

from typing import Any, Literal

from trainer.loop import Hook, Row, State


class Objective:
    """A row's entry to watch, and which way is better."""

    def __init__(self, name: str, direction: Literal["min", "max"], min_delta: float = 0.0) -> None:
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


class EarlyStopping(Hook):
    """Sets `state.stop` after `patience` evaluated epochs without improvement."""

    def __init__(self, objective: Objective, patience: int) -> None:
        self.objective, self.patience = objective, patience
        self.waited = 0

    def on_start(self, state: State) -> None:
        self._stop_if_due(state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        if self.objective.improved(row):
            self.waited = 0
        elif self.objective.name in row:
            self.waited += 1
            self._stop_if_due(state)

    def _stop_if_due(self, state: State) -> None:
        if self.waited >= self.patience:
            best = f"{self.objective.name} {self.objective.best:.4g}" if self.objective.best is not None else "-"
            state.stop = state.stop or f"no improvement for {self.waited} evaluations (best {best})"

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to know, for this to go on as if nothing had happened."""
        return {"waited": self.waited, "best": self.objective.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.waited, self.objective.best = int(state["waited"]), state["best"]
