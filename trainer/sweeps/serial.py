"""One job after the other, in this process."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from trainer.engine.loop import Hook
from trainer.engine.state import State
from trainer.sweeps.attempt import attempt
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done, note

SHOW_SECONDS = 0.5  # between two looks at what a job says


class Serial:
    """The screen has a line of each job, as in a sweep side by side; its train.log has the rest."""

    def __init__(self, settings: Any, monitor: Monitor, done: Done) -> None:
        self.monitor, self.done = monitor, done

    def run(self, jobs: Iterator[Planned]) -> None:
        try:
            for planned in jobs:
                watch = _Watch(self.monitor, planned)
                watched = replace(planned, hooks=(*planned.hooks, watch))
                note(planned, partial(attempt, watched, watch.look), self.done)
        finally:
            self.monitor.close()


class _Watch(Hook):
    """Shows now and then how far a job is."""

    def __init__(self, monitor: Monitor, planned: Planned) -> None:
        self.monitor, self.planned = monitor, planned
        self.since = self.shown = time.monotonic()
        monitor.show([(planned, self.since)])

    def __reduce__(self) -> Any:
        return Hook, ()  # in another process there is nothing to show

    def on_step(self, state: State) -> None:
        self.look()

    def look(self) -> None:
        """Show how far the job is, unless that has just been shown."""
        if time.monotonic() - self.shown > SHOW_SECONDS:
            self.shown = time.monotonic()
            self.monitor.show([(self.planned, self.since)])
