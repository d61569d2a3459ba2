"""Stop when the objective has not improved for a while."""

from typing import Any

from trainer.engine.loop import Hook, Row, State
from trainer.engine.objective import Objective


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
