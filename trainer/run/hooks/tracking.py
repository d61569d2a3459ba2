"""Programs that are told of a training: `tracking=NAME` is the class of that name in a module of this folder.

A training never waits for such a program, and does not end for it: a thread passes on what there is to tell, and
tries again when the program cannot be reached.
"""

import importlib.util
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainer.config.tracking import Program
from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.system.errors import ConfigError, first_line
from trainer.system.extras import install

PAUSE = 1.0  # seconds between two messages: what comes meanwhile goes together
LONGEST_PAUSE = 300.0  # before it is tried again, when that has failed several times
PATIENCE = 120.0  # seconds that the end of a run waits for what is left to tell ...
UNREACHED = 30.0  # ... to a program that has not been reached yet ...
BRIEFLY = 5.0  # ... and where the run failed, is to end now, or another has waited in vain
_late: set[str] = set()  # programs that another run has waited for in vain


@dataclass(frozen=True)
class Tracked:
    """The run that a program is told of."""

    name: str
    directory: Path
    parameters: dict[str, Any]


class Tracker(Protocol):
    """A program that is told of a run, made as `Tracker(section, run)` by its section of the config.

    The methods are called by a thread that nothing else waits for. What raises is called again later, with what has
    come meanwhile: a server may be away for a while.
    """

    def begin(self) -> None:
        """The training begins, or is resumed. What takes long to import is imported here."""

    def log(self, rows: list[Row]) -> None:
        """These rows have come to metrics.jsonl; after an error they are given again."""

    def end(self, result: dict[str, Any]) -> None:
        """The run has ended with this content of result.json, and its files are written. It is tried once."""


def check(section: Program) -> None:
    """Check that a program is there.

    Raises:
        ConfigError: What it needs is not installed.
    """
    if section.needs is not None and importlib.util.find_spec(section.needs) is None:
        raise ConfigError(
            f"tracking={section.name} needs {type(section).__name__}, which is not installed",
            install(section.name),
        )


def tracking(section: Program, run: Tracked, warn: Callable[[str], None]) -> "Tracking | None":
    """The hook that tells the program which a section names; None: there is none."""
    if section.name == "none":
        return None
    module = importlib.import_module(f"trainer.run.hooks.{section.name}")
    return Tracking(section.name, getattr(module, type(section).__name__)(section, run), warn)


class Tracking(Hook):
    """Tells a `tracker` what the loop reports, by a thread of its own; `warn` shows a warning."""

    def __init__(self, name: str, tracker: Tracker, warn: Callable[[str], None]) -> None:
        self.name, self.tracker, self.warn = name, tracker, warn
        self._rows: queue.SimpleQueue[Row] = queue.SimpleQueue()
        self._result: dict[str, Any] = {}
        self._ended = threading.Event()
        self._reached = False
        self._failure: Exception | None = None
        self._warned = False
        # The process may end while it hangs.
        self._thread = threading.Thread(target=self._tell, name=f"tracking={name}", daemon=True)

    def on_start(self, state: State) -> None:
        self._thread.start()

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self._rows.put(row)
        if self._failure is not None and not self._warned:
            self._warned = True
            self.warn(f"tracking={self.name}: {first_line(self._failure)}; it is tried again, and the training goes on")

    def finish(self, result: dict[str, Any]) -> None:
        """Tell how the run has ended, and wait for a while until all is told."""
        self._result = result
        self._ended.set()
        if self._thread.ident is None:  # the training has not begun
            return
        seconds = PATIENCE if self._reached else UNREACHED
        if result.get("status") != "completed" or self.name in _late:
            seconds = BRIEFLY
        with suppress(KeyboardInterrupt):  # the run itself has ended
            self._thread.join(seconds)
        if self._thread.is_alive():
            _late.add(self.name)
            self.warn(f"tracking={self.name} takes too long, and does not have all of this run")
        elif self._failure is not None:
            self.warn(f"tracking={self.name} does not have all of this run: {first_line(self._failure)}")

    def _tell(self) -> None:
        rows: list[Row] = []
        pause, ended = 0.0, False
        while not ended:
            ended = self._ended.wait(pause)
            rows += [self._rows.get_nowait() for _ in range(self._rows.qsize())]
            try:
                self._pass_on(rows, ended)
                self._failure, pause = None, PAUSE
            except Exception as error:  # a server, a library: whatever it is, the training goes on
                self._failure, pause = error, min(LONGEST_PAUSE, max(PAUSE, 2 * pause))

    def _pass_on(self, rows: list[Row], ended: bool) -> None:
        if not self._reached:
            self.tracker.begin()
            self._reached = True
        if rows:
            self.tracker.log(rows)
            rows.clear()
        if ended:
            self.tracker.end(self._result)
