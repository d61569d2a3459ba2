"""Stop when a metric has reached its target."""

from typing import Any

from trainer.engine.condition import Condition
from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.system.shapes import is_real, optional


class Target(Hook):
    """Sets `state.stop` once `condition` holds."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.latest: float | None = None

    def on_start(self, state: State) -> None:
        self._stop_if_reached(state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        value = row.get(self.condition.name)
        if value is not None and value == value:
            self.latest = value
            self._stop_if_reached(state)

    def _stop_if_reached(self, state: State) -> None:
        if self.condition.holds({self.condition.name: self.latest}):
            state.stop = state.stop or f"until={self.condition} is reached ({self.latest:.4g})"

    def state_dict(self) -> dict[str, Any]:
        """The metric as it was last: a training that had reached its target does not begin again."""
        return {"latest": self.latest}

    def check_state(self, kept: Any, at: State) -> None:
        """Check what a checkpoint holds of this hook; nothing, where the run had no target before.

        Raises:
            ValueError: it is not what `state_dict` gives.
        """
        fits = optional(is_real)
        if kept is not None and not (isinstance(kept, dict) and kept.keys() == {"latest"} and fits(kept["latest"])):
            raise ValueError("its target is not what it should be")

    def load_state_dict(self, kept: dict[str, Any] | None) -> None:
        """Stand there again."""
        self.latest = kept["latest"] if kept is not None else None
