"""Shows the jobs that run side by side."""

import time
from pathlib import Path

from rich.live import Live
from rich.table import Table
from rich.text import Text

from trainer.show.report import Report
from trainer.show.values import duration
from trainer.sweeps.plan import Planned
from trainer.system.inside import tail
from trainer.system.shown import shortened

LONGEST = 4096  # bytes of the end of a train.log
LABEL = 100  # the most letters of a job's overrides


class Monitor:
    """On a terminal a table that is kept up to date; elsewhere a line when a job begins."""

    def __init__(self, screen: Report) -> None:
        self.screen = screen
        self._live: Live | None = None
        self._said: set[int] = set()

    def show(self, running: list[tuple[Planned, float]]) -> None:
        """Show jobs, each with the time at which it began."""
        if not self.screen.live:
            for job, _ in running:
                if job.number not in self._said:
                    self._said.add(job.number)
                    self.screen.say(f"job {job.number}  {job.label}")
            return
        if self._live is None:
            self._live = Live(console=self.screen.console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(self._table(running), refresh=True)

    def close(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self, running: list[tuple[Planned, float]]) -> Table:
        table = Table.grid(padding=(0, 2))
        for job, since in running:
            elapsed = duration(time.monotonic() - since)
            cells = f"job {job.number}", shortened(job.label, LABEL), _latest(job.directory), elapsed
            table.add_row(*map(Text, cells))  # in what is no `Text`, rich looks for markup
        return table


def _latest(directory: Path) -> str:
    """How far a job is, from the end of its train.log, which has a line per epoch."""
    try:
        lines = tail(directory / "train.log", LONGEST).splitlines()
    except OSError:
        return "starting"
    return shortened(" ".join(lines[-1].split()), LABEL) if lines else "starting"
