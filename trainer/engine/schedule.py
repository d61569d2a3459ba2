"""Learning-rate schedules: torch's own, stepped per step or per epoch as each defines."""

from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler

from trainer.config import schema
from trainer.config.composition import Composed, Custom
from trainer.engine.loop import Hook, Row, State
from trainer.engine.objective import Objective
from trainer.system.errors import ConfigError


class Schedule(Hook):
    """Moves the optimizer's learning rates: `per_step` schedulers after each step, `per_epoch` after each epoch.

    `plateau` follows the row's entry `watched`.
    """

    def __init__(
        self, config: Any, optimizer: Optimizer, total_steps: int, watched: str, direction: Literal["min", "max"]
    ) -> None:
        # These are laid out over the whole training, and have no value after its last step.
        self.ends_after = total_steps if isinstance(config, schema.OneCycle | schema.Cosine) else None
        self.watched = watched
        self.per_step: list[lr_scheduler.LRScheduler] = []
        self.per_epoch: list[lr_scheduler.LRScheduler] = []
        self.moves_momentum = False
        warmup = config.warmup_steps
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        match config:
            case schema.Step():
                self.per_epoch = [lr_scheduler.StepLR(optimizer, config.step_size, config.gamma)]
            case schema.Exponential():
                self.per_epoch = [lr_scheduler.ExponentialLR(optimizer, config.gamma)]
            case schema.Plateau():
                self.per_epoch = [
                    lr_scheduler.ReduceLROnPlateau(
                        optimizer, direction, config.factor, config.patience, min_lr=config.min_lr
                    )
                ]
            case schema.OneCycle():
                has_momentum = "betas" in optimizer.defaults or bool(optimizer.defaults.get("momentum"))
                self.moves_momentum = config.cycle_momentum and has_momentum
                self.per_step = [
                    lr_scheduler.OneCycleLR(
                        optimizer,
                        rates,
                        total_steps,
                        pct_start=config.pct_start,
                        anneal_strategy="cos" if config.anneal == "cos" else "linear",
                        cycle_momentum=self.moves_momentum,
                        div_factor=config.div_factor,
                        final_div_factor=config.final_div_factor,
                    )
                ]
            case schema.Cosine():
                length = max(1, total_steps - warmup)
                self.per_step = [lr_scheduler.CosineAnnealingLR(optimizer, length, config.min_lr)]
        if warmup:
            linear = lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
            if self.per_step:  # the cosine begins where the warm-up ends
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
        """Go on from there; the optimizer's learning rates are not touched."""
        for own, kept in ((self.per_step, state["per_step"]), (self.per_epoch, state["per_epoch"])):
            for scheduler, values in zip(own, kept, strict=True):
                if values.keys() != _plain(scheduler.state_dict()).keys():
                    raise ValueError("a learning-rate schedule of another kind")
                scheduler.load_state_dict(values)


def make_schedule(config: Composed, made: Optimizer, total_steps: int, watched: Objective) -> Schedule:
    """The learning-rate schedule.

    Raises:
        ConfigError: a warm-up as long as the training, or two warm-ups.
    """
    section = config.section("scheduler")
    if isinstance(section, Custom):
        raise ConfigError(
            "scheduler: a schedule of your own is not supported",
            f"choose from: {', '.join(schema.GROUPS['scheduler'])}",
        )
    if section.warmup_steps and isinstance(section, schema.OneCycle):
        raise ConfigError(
            "scheduler=onecycle is its own warm-up", "set scheduler.pct_start, not scheduler.warmup_steps"
        )
    if isinstance(section, schema.OneCycle) and section.pct_start * total_steps <= 1:
        raise ConfigError(
            f"scheduler=onecycle: {section.pct_start} of {total_steps} steps leaves no way up",
            "train longer, or use another schedule",
        )
    if section.warmup_steps >= total_steps:
        raise ConfigError(
            f"scheduler.warmup_steps={section.warmup_steps}: the training has only {total_steps} steps",
            "use fewer",
        )
    return Schedule(section, made, total_steps, watched.name, watched.direction)


def _plain(value: Any) -> Any:
    """Without the functions and objects that torch's schedulers keep in their states."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not callable(v)}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
