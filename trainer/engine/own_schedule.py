"""A learning-rate schedule of the user's own: a class of torch's kind, or a function of the progress."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from torch.optim import Optimizer, lr_scheduler

from trainer.config import custom
from trainer.config.base import Custom
from trainer.config.scheduler import OwnSchedule, Scheduler
from trainer.system.errors import ConfigError, named

_TRIED = (0.0, 0.5, 1.0)  # the progress that a function is tried with


def planned(section: Custom, name: str) -> Scheduler:
    """The schedule that `section` names, as those of ours are declared.

    Raises:
        ConfigError: It cannot be imported.
    """
    keys: OwnSchedule = section.common
    what = f"scheduler={name} ({section.target})"
    if custom.is_subclass("scheduler", section, lr_scheduler.LRScheduler):
        kind = _EachStep if keys.per == "step" else OfTorchsKind
        return kind(what, section)
    if keys.per is not None:
        raise ConfigError(
            f"scheduler.per={keys.per}: {section.target} is no class of torch.optim.lr_scheduler's kind",
            "leave it out: a function of the progress is asked after each step",
        )
    return _OfProgress(what, section)


class _Own(Scheduler):
    def __init__(self, what: str, section: Custom) -> None:
        super().__init__(section.common.name, section.common.warmup_steps)
        self.what, self.section = what, section


class OfTorchsKind(_Own):
    """A class of torch's kind, stepped after each epoch."""

    def make(self, optimizer: Optimizer, total_steps: int, direction: Literal["min", "max"]) -> Any:
        return custom.call("scheduler", self.section, optimizer)


class _EachStep(OfTorchsKind):
    per_step: ClassVar[bool] = True


class _OfProgress(_Own):
    """The learning rate times a function of the share of the training that is done."""

    per_step: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    def make(self, optimizer: Optimizer, total_steps: int, direction: Literal["min", "max"]) -> Any:
        function = custom.part("scheduler", self.section)
        if not callable(function):
            raise ConfigError(
                f"{self.what} cannot be called",
                "name a function of the progress (0 to 1), or a class of torch.optim.lr_scheduler's kind",
            )
        for progress in _TRIED:
            _check(self.what, function, progress)
        return lr_scheduler.LambdaLR(optimizer, _Factor(custom.guarded(self.what, function), total_steps))


def _check(what: str, function: Callable[[float], Any], progress: float) -> None:
    try:
        factor = function(progress)
    except Exception as error:
        raise ConfigError(f"{what} fails at progress {progress}: {named(error)}", custom.WHERE) from error
    number = isinstance(factor, float | int) and not isinstance(factor, bool)
    if not number or not math.isfinite(factor) or factor < 0:
        raise ConfigError(
            f"{what} gives {factor!r:.80} at progress {progress}",
            "it gives what the learning rate is multiplied by: a number, at least 0",
        )


class _Factor:
    """A function of the progress as one of the number of steps; torch keeps `total` in the schedule's state."""

    def __init__(self, function: Callable[[float], float], total: int) -> None:
        self.function, self.total = function, total

    def __call__(self, steps: int) -> float:
        return float(self.function(min(1.0, steps / self.total)))
