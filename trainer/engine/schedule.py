"""Learning-rate schedules: torch's own, stepped per step or per epoch as each defines."""

from collections.abc import Callable
from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler

from trainer.checkpoint.values import are_equal
from trainer.config.base import Custom
from trainer.config.scheduler import Scheduler
from trainer.config.train import Train
from trainer.engine import own_schedule
from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.state import Row, State
from trainer.system.shapes import is_count, is_number, is_real


class Schedule(Hook):
    """Moves the optimizer's learning rates: `per_step` schedulers after each step, `per_epoch` after each epoch.

    `plateau` follows the row's entry `watched`.
    """

    def __init__(
        self, config: Scheduler, optimizer: Optimizer, total_steps: int, watched: str, direction: Literal["min", "max"]
    ) -> None:
        self.config, self.optimizer, self.direction = config, optimizer, direction
        self.watched = watched
        self.moves_momentum = config.moves_momentum(optimizer)
        self.longest = self.total = total_steps
        self.laid_out: int | None = None  # the steps that it was laid out over later, if it was
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._make()

    @property
    def ends_after(self) -> int | None:
        """The last step of a schedule that is laid out over the whole training: it has no value after that."""
        return self.total if self.config.whole else None

    @property
    def first_rate(self) -> float:
        """The learning rate of the first parameters, as the optimizer was given it."""
        return float(self._rates[0])

    def lay_out(self, total: int, taken: int) -> None:
        """Lay it out over `total` steps, of which so many are taken."""
        self.total = self.laid_out = total
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
            group.pop("initial_lr", None)
        self._make()
        for scheduler in self.per_step:
            for _ in range(taken):
                scheduler.step()

    def _make(self) -> None:
        config, optimizer, warmup = self.config, self.optimizer, self.config.warmup_steps
        made = config.make(optimizer, max(1, self.total - warmup), self.direction)
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
            "laid_out": self.laid_out,
            "per_step": [_plain(s.state_dict()) for s in self.per_step],
            "per_epoch": [_plain(s.state_dict()) for s in self.per_epoch],
        }

    def check_state(self, kept: Any, at: State) -> None:
        """Check a state that is to be loaded: it is that of the same schedule, `at` a step or before.

        Raises:
            ValueError: it is not.
        """
        total = kept.get("laid_out") if isinstance(kept, dict) else None
        if self.config.whole and isinstance(total, int) and 0 < total <= self.longest:
            self.lay_out(total, 0)
        own = self.state_dict()
        if isinstance(self.config, own_schedule.OfTorchsKind):
            _check_alike(kept, own)
        else:
            _check(kept, own, at.step)

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Continue from `kept`; the optimizer's learning rates are not touched."""
        for own, values in ((self.per_step, kept["per_step"]), (self.per_epoch, kept["per_epoch"])):
            for scheduler, state in zip(own, values, strict=True):
                scheduler.load_state_dict(state)


def planned(config: Train) -> Scheduler:
    """The schedule that a config chooses, of ours or of the user's own.

    Raises:
        ConfigError: That of the user's own cannot be imported.
    """
    section: Scheduler | Custom = config.scheduler
    return own_schedule.planned(section, config.title("scheduler")) if isinstance(section, Custom) else section


def make_schedule(config: Train, made: Optimizer, total_steps: int, watched: Objective) -> Schedule:
    """The learning-rate schedule.

    Raises:
        ConfigError: a warm-up as long as the training, or two warm-ups.
    """
    chosen = planned(config)
    chosen.check(total_steps)
    return Schedule(chosen, made, total_steps, watched.name, watched.direction)


def _plain(value: Any) -> Any:
    """Without the functions and objects that torch's schedulers keep in their states."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not callable(v)}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _are_rates(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def _is_flag(value: Any) -> bool:
    return type(value) is bool


# What moves in the states of torch's schedulers; all else are constants.
_COUNTS = ("last_epoch", "_step_count", "num_bad_epochs", "cooldown_counter")
_MOVES: dict[str, Callable[[Any], bool]] = {
    "_last_lr": _are_rates,
    "best": is_real,  # of nothing: infinite
    **dict.fromkeys(("_is_initial", "_get_lr_called_within_step"), _is_flag),
}


def _check(kept: Any, own: Any, steps: int, name: str = "state") -> None:
    """Check the state of a schedule against its `own`, before its first step, from which it is at most `steps` away.

    Raises:
        ValueError: it is of another schedule, or of a later step.
    """
    if name in _COUNTS or name in _MOVES:
        if not (_MOVES[name](kept) if name in _MOVES else type(kept) is int and own <= kept <= own + steps):
            raise ValueError(f"its learning-rate schedule's {name} is not what it can be")
    elif isinstance(own, dict):
        if not isinstance(kept, dict) or kept.keys() != own.keys():
            raise ValueError("a learning-rate schedule of another kind")
        for key, value in own.items():
            _check(kept[key], value, steps, key)
    elif isinstance(own, list) and own and isinstance(own[0], dict):
        if not isinstance(kept, list) or len(kept) != len(own):
            raise ValueError("a learning-rate schedule of another kind")
        for each, value in zip(kept, own, strict=True):
            _check(each, value, steps, name)
    elif name == "total" and is_count(kept) and kept != own:
        raise ValueError(
            f"its schedule was laid out over {kept:,} steps, and this training has {own:,}: "
            "all its learning rates would have been others"
        )
    elif not are_equal(kept, own):
        raise ValueError(f"its learning-rate schedule's {name} is not that of the config")


def _check_alike(kept: Any, own: Any) -> None:
    """Check the state of a class of the user's own: it has the entries of its `own`, of their kinds, as numbers go.

    Raises:
        ValueError: It is of another schedule.
    """
    if isinstance(own, dict):
        fits = isinstance(kept, dict) and kept.keys() == own.keys()
        pairs = [(kept[key], own[key]) for key in own] if fits else []
    elif isinstance(own, list):
        fits = isinstance(kept, list) and len(kept) == len(own)
        pairs = list(zip(kept, own, strict=True)) if fits else []
    else:
        numbers = is_real(kept) and is_real(own)
        fits, pairs = numbers or own is None or type(kept) is type(own), []
    if not fits:
        raise ValueError("a learning-rate schedule of another kind")
    for each, mine in pairs:
        _check_alike(each, mine)
