"""Learning-rate schedules: torch's own, stepped per step or per epoch as each defines."""

from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler

from trainer.config.scheduler import Scheduler
from trainer.config.train import Train
from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.state import Row, State


class Schedule(Hook):
    """Moves the optimizer's learning rates: `per_step` schedulers after each step, `per_epoch` after each epoch.

    `plateau` follows the row's entry `watched`.
    """

    def __init__(
        self, config: Scheduler, optimizer: Optimizer, total_steps: int, watched: str, direction: Literal["min", "max"]
    ) -> None:
        # One that is laid out over the whole training has no value after its last step.
        self.ends_after = total_steps if config.whole else None
        self.watched = watched
        self.moves_momentum = config.moves_momentum(optimizer)
        warmup = config.warmup_steps
        made = config.make(optimizer, max(1, total_steps - warmup), direction)
        self.per_step: list[lr_scheduler.LRScheduler] = [made] if made is not None and config.per_step else []
        self.per_epoch: list[lr_scheduler.LRScheduler] = [made] if made is not None and not config.per_step else []
        if warmup:
            linear = lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
            if self.per_step:  # the schedule begins where the warm-up ends
                self.per_step = [lr_scheduler.SequentialLR(optimizer, [linear, *self.per_step], [warmup])]
            else:  # the two factors multiply
                self.per_step = [linear]

    def on_step(self, state: State) -> None:
        if self.ends_after is None or state.step < self.ends_after:
            for scheduler in self.per_step:
                scheduler.step()

    def on_epoch(self, state: State, row: Row) -> None:
        if state.batch:
            return  # max_steps ended the epoch before its end
        for scheduler in self.per_epoch:
            if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
                if self.watched in row:
                    scheduler.step(row[self.watched])
            else:
                scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of the schedulers, as plain values."""
        return {
            "per_step": [_plain(s.state_dict()) for s in self.per_step],
            "per_epoch": [_plain(s.state_dict()) for s in self.per_epoch],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; the optimizer's learning rates are not touched."""
        for own, kept in ((self.per_step, state["per_step"]), (self.per_epoch, state["per_epoch"])):
            for scheduler, values in zip(own, kept, strict=True):
                if values.keys() != _plain(scheduler.state_dict()).keys():
                    raise ValueError("a learning-rate schedule of another kind")
                scheduler.load_state_dict(values)


def make_schedule(config: Train, made: Optimizer, total_steps: int, watched: Objective) -> Schedule:
    """The learning-rate schedule.

    Raises:
        ConfigError: a warm-up as long as the training, or two warm-ups.
    """
    config.scheduler.check(total_steps)
    return Schedule(config.scheduler, made, total_steps, watched.name, watched.direction)


def _plain(value: Any) -> Any:
    """Without the functions and objects that torch's schedulers keep in their states."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not callable(v)}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
