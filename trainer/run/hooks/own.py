"""Hooks of the user's own: what they are told, and their state in checkpoints."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from trainer.config import custom
from trainer.config.base import Custom
from trainer.config.train import Train
from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.system.errors import ConfigError, did_you_mean

_EVENTS = {  # the methods of a `Hook`, and their arguments
    "on_start": ("state",),
    "on_step": ("state",),
    "on_evaluation": ("state", "row"),
    "on_epoch": ("state", "row"),
    "on_end": ("state",),
}
_NAME = re.compile(r"[A-Za-z]\w{0,99}(/\w{1,100})?", re.ASCII)  # of a figure in a row


@dataclass
class Watched:
    """The training that a hook watches: what the class of a hook gets first."""

    model: nn.Module
    optimizer: Optimizer
    say: Callable[[str], None]  # a line on the screen and in train.log
    directory: Path = Path()  # of the run, once it has one: before the first event


class OwnHook(Hook):
    """Passes the events of the loop on to an object of the user's own; numbers that it adds to a row are figures."""

    def __init__(self, name: str, section: Custom, watched: Watched) -> None:
        self.key, self.watched = f"hook.{name}", watched
        self.what = f"hook={name} ({section.target})"
        self.own = custom.call(self.key, section, watched)
        self._calls = {event: self._call(event) for event in _EVENTS if hasattr(self.own, event)}
        strange = [word for word in dir(self.own) if word.startswith("on_") and word not in _EVENTS]
        if strange or not self._calls:
            lacks = f"a method {strange[0]}, which is never called" if strange else "no method of a hook"
            raise ConfigError(f"{self.what} has {lacks}", did_you_mean(strange[0] if strange else "", _EVENTS))
        self.has_state = hasattr(self.own, "state_dict")
        if self.has_state and not callable(getattr(self.own, "load_state_dict", None)):
            raise ConfigError(f"{self.what} has state_dict, and no load_state_dict", "it needs both to be resumed")
        if self.has_state:
            self.state_dict()

    @property
    def sees_steps(self) -> bool:
        """Whether it is told of each step."""
        return "on_step" in self._calls

    def _call(self, event: str) -> Callable[..., Any]:
        method, needed = getattr(self.own, event), _EVENTS[event]
        try:
            inspect.signature(method).bind(*needed)
        except (TypeError, ValueError) as error:
            wanted = f"def {event}(self, {', '.join(needed)})"
            raise ConfigError(f"{self.what}: {event} has other arguments", wanted) from error
        return custom.guarded(f"{self.what}: {event}", method)

    def on_start(self, state: State) -> None:
        self._tell("on_start", state)

    def on_step(self, state: State) -> None:
        self._tell("on_step", state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self._tell_of_row("on_evaluation", state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self._tell_of_row("on_epoch", state, row)

    def on_end(self, state: State) -> None:
        self._tell("on_end", state)

    def _tell(self, event: str, *given: Any) -> None:
        if event in self._calls:
            self._calls[event](*given)

    def _tell_of_row(self, event: str, state: State, row: Row) -> None:
        before = row.keys()
        told = dict(row)
        self._tell(event, state, told)
        for name in told.keys() - before:
            row[name] = self._figure(name, told[name])

    def _figure(self, name: Any, value: Any) -> float:
        try:
            if isinstance(name, str) and _NAME.fullmatch(name):
                return float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError):
            pass
        raise ConfigError(
            f"{self.what} puts {name!r:.80} into the row, which is no number with a name", "as train/gradient is"
        )

    def state_dict(self) -> dict[str, Any]:
        """What the object gives.

        Raises:
            ConfigError: It is more than tensors and plain values, and no checkpoint could be read that has it.
        """
        found = custom.guarded(f"{self.what}: state_dict", self.own.state_dict)()
        if not isinstance(found, dict) or not _is_plain(found):
            raise ConfigError(
                f"{self.what}: state_dict gives more than a dictionary of tensors, numbers, texts and lists of them",
                "only those are read back from a checkpoint",
            )
        return found

    def check_state(self, kept: Any, at: State) -> None:
        """Check that a checkpoint has a state of this hook; what is in it is for its class to judge.

        Raises:
            ValueError: It has none.
        """
        if not isinstance(kept, dict):
            raise ValueError(f"it has no state of {self.what}")

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Stand there again."""
        self.own.load_state_dict(kept)


def make_hooks(config: Train, model: nn.Module, optimizer: Optimizer, say: Callable[[str], None]) -> list[OwnHook]:
    """The hooks of the user's own that a config names, in its order.

    Raises:
        ConfigError: One cannot be made, or is no hook.
    """
    sections = config.own.get("hook", {})
    return [OwnHook(name, section, Watched(model, optimizer, say)) for name, section in sections.items()]


def begun(hooks: Sequence[OwnHook], directory: Path) -> dict[str, OwnHook]:
    """Tell hooks where their run lies; those that have a state, by the names of these."""
    for hook in hooks:
        hook.watched.directory = directory
    return {hook.key: hook for hook in hooks if hook.has_state}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, Tensor)
