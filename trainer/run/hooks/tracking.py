"""Programs that are told of a training: `tracking=NAME` is the class of that name in a module of this folder.

A training never waits for such a program, and does not end for it: a thread passes on what there is to tell, and
when the program cannot be reached, a warning says so once.
"""

import importlib.util
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.system.errors import ConfigError, first_line

PAUSE = 1.0  # seconds between two messages: what comes meanwhile goes together
PATIENCE = {"completed": 120.0}  # seconds that the end of a run waits for what is left to tell ...
BRIEFLY = 5.0  # ... and that of one that failed, or is to end now


@dataclass(frozen=True)
class Tracked:
    """The run that a program is told of."""

    name: str
    directory: Path
    parameters: dict[str, Any]


class Tracker(Protocol):
    """A program that is told of a run: one call after the other, in a thread that nothing else waits for.

    Whatever a method raises ends the telling. It is made as `Tracker(section, run)` by the section of the config.
    """

    def begin(self) -> None:
        """The training begins, or is resumed. What takes long to import is imported here."""

    def log(self, rows: list[Row]) -> None:
        """These rows of metrics.jsonl have been added."""

    def end(self, result: dict[str, Any]) -> None:
        """The run has ended with this content of result.json, and its files are written."""


def check(section: Any) -> None:
    """Check that a program is there.

    Raises:
        ConfigError: What it needs is not installed.
    """
    if section.name != "none" and importlib.util.find_spec(section.name) is None:
        raise ConfigError(
            f"tracking={section.name} needs {type(section).__name__}, which is not installed",
            f"pip install 'trainer[{section.name}]'",
        )


def tracking(section: Any, run: Tracked, warn: Callable[[str], None]) -> "Tracking | None":
    """The hook that tells the program which a section names; None: there is none."""
    if section.name == "none":
        return None
    module = importlib.import_module(f"trainer.run.hooks.{section.name}")
    return Tracking(section.name, getattr(module, type(section).__name__)(section, run), warn)


class Tracking(Hook):
    """Tells a `tracker` what the loop reports, by a thread of its own."""

    def __init__(self, name: str, tracker: Tracker, warn: Callable[[str], None]) -> None:
        self.name, self.tracker, self.warn = name, tracker, warn
        self._rows: queue.SimpleQueue[Row] = queue.SimpleQueue()
        self._result: dict[str, Any] | None = None
        self._ended = threading.Event()
        self._lost: Exception | None = None
        self._warned = False
        # The process may end while it hangs.
        self._thread = threading.Thread(target=self._tell, name=f"tracking={name}", daemon=True)

    def on_start(self, state: State) -> None:
        self._thread.start()

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        if self._lost is None:
            self._rows.put(row)
        else:
            self._warn_of(first_line(self._lost))

    def finish(self, result: dict[str, Any]) -> None:
        """Tell how the run has ended, and wait for a while until all is told."""
        self._result = result
        self._ended.set()
        if self._thread.ident is None:  # the training has not begun
            return
        seconds = PATIENCE.get(str(result.get("status")), BRIEFLY)
        with suppress(KeyboardInterrupt):  # the run itself has ended
            self._thread.join(seconds)
        if self._lost is not None:
            self._warn_of(first_line(self._lost))
        elif self._thread.is_alive():
            self._warn_of("it takes too long, and does not have all of the run")

    def _tell(self) -> None:
        try:
            self.tracker.begin()
            while True:
                ended = self._ended.wait(PAUSE)
                rows = [self._rows.get_nowait() for _ in range(self._rows.qsize())]
                if rows:
                    self.tracker.log(rows)
                if ended:
                    self.tracker.end(self._result or {})
                    return
        except Exception as error:  # a server, a library: whatever it is, the training goes on
            self._lost = error

    def _warn_of(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            self.warn(f"tracking={self.name} is given up, and the training goes on without it: {reason}")
