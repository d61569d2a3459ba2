"""Stop when the objective has not improved for a while."""

from typing import Any

from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.state import Row, State
from trainer.system.shapes import is_count, is_real


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
        """How long the hook has waited, and for what."""
        return {"waited": self.waited, "best": self.objective.best, "loss": self.objective.loss}

    def check_state(self, kept: Any, at: State) -> None:
        """Check what a checkpoint holds of this hook; nothing, where the run had no early stopping before.

        Raises:
            ValueError: it is not what `state_dict` gives.
        """
        if kept is None:
            return
        if not isinstance(kept, dict) or kept.keys() != self.state_dict().keys():
            raise ValueError("its early stopping is not what it should be")
        known = all(kept[name] is None or is_real(kept[name]) for name in ("best", "loss"))
        if not is_count(kept["waited"]) or kept["waited"] > at.step or not known:
            raise ValueError("its early stopping is not what it should be")

    def load_state_dict(self, kept: dict[str, Any] | None) -> None:
        """Continue to wait from there; begin anew where the run had no early stopping before."""
        if kept is not None:
            self.waited, self.objective.best, self.objective.loss = kept["waited"], kept["best"], kept["loss"]
