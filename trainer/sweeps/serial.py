"""One job after the other, in this process."""

from collections.abc import Iterator
from typing import Any

from trainer.show.report import Report
from trainer.sweeps.attempt import attempt
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.system.errors import InterruptedRunError


class Serial:
    """Each job has the whole screen while it runs."""

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        self.screen, self.done = screen, done

    def run(self, jobs: Iterator[Planned]) -> None:
        for planned in jobs:
            self.screen.say(f"job {planned.number}  {planned.label}", style="bold")
            try:
                job = attempt(planned)
            except (InterruptedRunError, KeyboardInterrupt) as error:
                self.done(planned.ended("interrupted", str(error)))
                raise
            self.done(job)
            if job.error:
                self.screen.say(f"job {planned.number} failed: {job.error}", style="red")
            self.screen.say()
