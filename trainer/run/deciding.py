"""What moves a training beside its steps, or ends it early. Each of several ranks has it, and decides alike."""

from collections.abc import Callable
from functools import partial

from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.optimizer_state import OptimizerState
from trainer.run import summary
from trainer.run.hooks.early_stopping import EarlyStopping
from trainer.run.hooks.target import Target
from trainer.run.hooks.time_limit import TimeLimit
from trainer.run.parts import Parts
from trainer.run.restoring import Stateful


class Deciding:
    """The hooks that may stop the training of `parts`, and the parts that have state."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.early_stopping = self._early_stopping()
        self.target = Target(parts.target) if parts.target is not None else None

    def stateful(self) -> dict[str, Stateful]:
        """Each part with state: a checkpoint holds what its `state_dict` gives, under this name."""
        parts = self.parts
        return {
            "optimizer": OptimizerState(parts.optimizer, finite=parts.config.on_nan != "ignore"),
            "scheduler": parts.schedule,
            "rng": parts.generators,
            **({"early_stopping": self.early_stopping} if self.early_stopping is not None else {}),
            **({"average": parts.average} if parts.average is not None else {}),
            **({"target": self.target} if self.target is not None else {}),
        }

    def ending(self, seconds: Callable[[], float], say: Callable[[str], None]) -> list[Hook | None]:
        """The hooks that may stop the training, which has taken so many `seconds`."""
        return [self.early_stopping, self.target, self._time_limit(seconds, say)]

    def _early_stopping(self) -> EarlyStopping | None:
        early, objective = self.parts.config.early_stopping, self.parts.objective
        if early.patience is None:
            return None
        return EarlyStopping(Objective(objective.name, objective.direction, early.min_delta), early.patience)

    def _time_limit(self, seconds: Callable[[], float], say: Callable[[str], None]) -> TimeLimit | None:
        minutes, parts = self.parts.config.max_minutes, self.parts
        if minutes is None:
            return None
        return TimeLimit(minutes, seconds, partial(summary.closing_seconds, parts), parts.schedule, say)
