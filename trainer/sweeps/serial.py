"""One job after the other, in this process."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from trainer.show.report import Report
from trainer.sweeps.attempt import attempt
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done, note


class Serial:
    """Each job has the whole screen while it runs."""

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        self.screen, self.done = screen, done

    def run(self, jobs: Iterator[Planned]) -> None:
        for planned in jobs:
            self.screen.say(f"job {planned.number}  {planned.label}", style="bold")
            note(planned, partial(attempt, planned), self.screen, self.done)
            self.screen.say()
