"""Shows how far a sweep is: on a terminal a view that is kept up to date, elsewhere a line for each job that ends."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from trainer.compare.ranking import badness, has_value
from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome
from trainer.show import grid
from trainer.show.report import Report
from trainer.show.values import duration, metric, metrics
from trainer.sweeps.plan import Planned
from trainer.system.inside import parsed, tail
from trainer.system.shown import counted, shortened

LONGEST = 4096  # bytes of the end of a metrics.jsonl
LABEL = 60  # the most letters of what differs in a job
RESULT = 60  # and of how it ended
BEST, FAILED, RUNNING = 40, 5, 16  # of so many jobs the view may tell, if the terminal is high enough
BESIDE = 4  # lines of a terminal that are left to others
FOLLOWED = ("val/accuracy", "val/loss", "test/accuracy", "test/loss", "train/loss")  # what a job that runs has reached

Running = Sequence[tuple[Planned, float]]


class Monitor:
    """Counts the jobs of a sweep, estimates the time that is left, and shows the jobs that matter.

    These are those that run, the best so far, and the last that failed.
    """

    def __init__(self, screen: Report) -> None:
        self.screen, self.total = screen, 0
        self.over = self.failed = 0
        self._best: list[tuple[Outcome, str]] = []
        self._failed: list[tuple[Outcome, str]] = []
        self._seconds, self._timed = 0.0, 0  # of jobs that were not cut short, and how many these are
        self._running: Running = ()
        self._at_once = 1
        self._live: Live | None = None

    def begin(self, total: int, kept: Sequence[tuple[Outcome, str]]) -> None:
        """Take note of how many jobs there are in all, and of those `kept` from an earlier time with their labels."""
        self.total = total
        for job, label in kept:
            self._note(job, label)

    def show(self, running: Running) -> None:
        """Show the jobs that run, each with the time at which it began."""
        self._running, self._at_once = running, max(self._at_once, len(running))
        self._refresh()

    def ended(self, job: Outcome, label: str) -> None:
        """Say how a job has ended, whose `label` is what differs from others."""
        self._running = [pair for pair in self._running if pair[0].number != job.job]
        self._note(job, label)
        if job.seconds and job.status in ("completed", PRUNED):
            self._seconds, self._timed = self._seconds + job.seconds, self._timed + 1
        if self.screen.live:
            self._refresh()
            return
        cells = [f"{self.over} of {self.total}", f"job {job.job}", shortened(label, LABEL), _result(job)]
        left = self._left()
        cells.append(duration(job.seconds) + (f", about {left} left" if left else ""))
        self.screen.say("  ".join(filter(None, cells)), style="red" if job.status == "failed" else "")

    def close(self) -> None:
        """Take the view away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _note(self, job: Outcome, label: str) -> None:
        if job.status in ("interrupted", "not run"):
            return
        self.over += 1
        if has_value(job):
            found = [*self._best, (job, label)]
            same = [pair for pair in found if pair[0].objective == found[0][0].objective]
            self._best = sorted(same, key=lambda pair: badness(pair[0].value, pair[0].direction))[:BEST]
        elif job.status == "failed":
            self.failed += 1
            self._failed = [(job, label), *self._failed][:FAILED]

    def _left(self) -> str:
        """How long the jobs that are left will take, by the seconds of those that have ended; "" if nobody knows."""
        if not self._timed or self.over >= self.total:
            return ""
        usual, now = self._seconds / self._timed, time.monotonic()
        waiting = max(0, self.total - self.over - len(self._running))
        begun = sum(max(0.0, usual - (now - since)) for _, since in self._running)
        left = (waiting * usual + begun) / self._at_once
        if left < 0.5:  # the last ones take longer than usual
            return ""
        return f"{left:.0f} s" if left < 59.5 else duration(left)

    def _refresh(self) -> None:
        if not self.screen.live:
            return
        if self._live is None:
            self._live = Live(console=self.screen.console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(Group(*self.lines()), refresh=True)

    def lines(self) -> list[Text]:
        """What a terminal shows now, at most as high and as wide as it is."""
        left = self._left()
        counts = [f"{self.over} of {self.total} done"]
        counts += [f"{self.failed} failed"] if self.failed else []
        counts += [f"{len(self._running)} running"] if self._running else []
        counts += [f"about {left} left"] if left else []
        rows, styles = self._rows(max(3, self.screen.console.height - BESIDE))
        shown = [Text(", ".join(counts), style="bold"), *map(Text, grid.laid_out([""] * 5, rows)[1:])] if rows else []
        for line, style in zip(shown[1:], styles, strict=True):
            line.stylize(style)
        for line in shown:
            _truncate(line, max(1, self.screen.console.width - 1), "..." if self.screen.ascii_only else "…")
        return shown or [Text(", ".join(counts), style="bold")]

    def _rows(self, most: int) -> tuple[list[list[str]], list[str]]:
        """Lines of cells, at most so many, and the style of each: those that run, the best, and those that failed."""
        failed = self._failed[: max(1, most // 5)]
        running = list(self._running)[: min(RUNNING, max(1, (most - len(failed)) // 2))]
        best = self._best[: most - len(running) - len(failed)]
        now = time.monotonic()
        every = [("running", p.number, p.label, _reached(p.directory), duration(now - t)) for p, t in running]
        every += [("best", job.job, label, _result(job), duration(job.seconds)) for job, label in best]
        every += [("failed", job.job, label, _result(job), duration(job.seconds)) for job, label in failed]
        rows, styles, before = [], [], ""
        for name, number, label, result, seconds in every:
            rows.append([name if name != before else "", f"job {number}", self._cut(result), seconds, label])
            styles.append("red" if name == "failed" else "green" if name == "best" and name != before else "")
            before = name
        return rows, styles

    def _cut(self, text: str) -> str:
        return shortened(text, RESULT, "..." if self.screen.ascii_only else "…")


def _truncate(line: Text, width: int, dots: str) -> None:
    """Cut a line off between two words, for half a number is another number."""
    if line.cell_len > width:
        line.truncate(width - len(dots))
        line.truncate(max(line.plain.rstrip().rfind(" "), width // 2) + 1)
        line.append(dots)


def _result(job: Outcome) -> str:
    """What has come of a job, in a few words."""
    if job.status == "completed" and job.value is not None:
        return f"{job.objective} {metric(job.objective, job.value)}"
    if job.status == PRUNED and job.value is not None:
        return f"{PRUNED} at {metric(job.objective, job.value)}"
    return f"{job.status}: {job.error}" if job.error else job.status


def _reached(directory: Path) -> str:
    """How far a job is, from the end of its metrics.jsonl, which has a line per epoch."""
    try:
        lines = tail(directory / "metrics.jsonl", LONGEST).splitlines()
    except OSError:
        return "begun"
    for line in reversed(lines[-2:]):  # the last one may not be whole yet
        with suppress(ValueError):
            row: Any = parsed(line)
            if isinstance(row, dict) and isinstance(row.get("epoch"), int | float):
                name = next((name for name in FOLLOWED if isinstance(row.get(name), int | float)), None)
                reached = f", {metrics({name: row[name]})}" if name else ""
                return f"{counted(int(row['epoch']), 'epoch')}{reached}"
    return "begun"
