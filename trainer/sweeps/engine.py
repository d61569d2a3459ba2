"""Runs the jobs of a sweep and shows what came of them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.run.sweep_log import LOG, Outcome, append, read
from trainer.show.report import Report
from trainer.show.values import duration
from trainer.sweeps import runner
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Listed
from trainer.sweeps.results import table as results
from trainer.sweeps.results.fitted import fitted
from trainer.system import signals
from trainer.system.errors import StorageError
from trainer.system.paths import quoted
from trainer.system.shown import counted

if TYPE_CHECKING:  # it needs Optuna
    from trainer.sweeps.search.trials import Search

CLOSING = 12  # lines of a terminal that the title of the table, the panel and the commands need


class Sweep:
    """The jobs of one sweep, each with a run directory in the sweep's."""

    def __init__(self, directory: Path, source: "Listed | Search", settings: Any) -> None:
        self.directory, self.source, self.settings = directory, source, settings
        self.screen = Report()
        self.monitor = Monitor(self.screen)
        self.jobs: list[Outcome] = []  # that have ended
        self._labels: dict[int, str] = {}
        self.started = time.monotonic()

    def run(self) -> list[Outcome]:
        """Run the jobs that are not done yet, then show the ranking, also if a job failed or the sweep was stopped.

        Raises:
            InterruptedRunError, KeyboardInterrupt: somebody stopped the sweep.
            StorageError: a file of the sweep cannot be written.
        """
        self._begin()
        try:
            runner.make(self.settings, self.monitor, self._done).run(self.source.todo())
        except BaseException:
            self.monitor.close()
            with self._warning():
                self._show()
            self._end()
            raise
        self.monitor.close()
        with signals.delayed():  # or the table of all that was done would be missing
            self._show()
        self._end()
        return self.jobs

    def _done(self, job: Outcome) -> None:
        self.jobs.append(job)
        self.monitor.ended(job, self._label(job))
        with self._warning() if job.status == "interrupted" else nullcontext():
            self.source.done(job)
            append(self.directory / LOG, job)

    @contextmanager
    def _warning(self) -> Iterator[None]:
        """Within the block a file that cannot be written is a warning: something else matters more."""
        try:
            yield
        except StorageError as error:
            self.screen.warn(error.message)

    def _begin(self) -> None:
        """Take over the jobs that are done. sweep.jsonl lacks a job that ended just when the sweep was killed."""
        path = self.directory / LOG
        noted = {job.job: job for job in read(path)} if path.exists() else {}
        self.jobs = self.source.begin(self.screen, noted)
        for job in self.jobs:
            if job.job not in noted or noted[job.job].status != job.status:
                append(path, job)
        if self.jobs:
            self.screen.say(f"{len(self.jobs)} of {self.source.expected} jobs are done and kept")
        self.monitor.begin(self.source.expected, [(job, self._label(job)) for job in self.jobs])

    def _label(self, job: Outcome) -> str:
        """What differs in a job from others."""
        for planned in self.source.planned[len(self._labels) :]:  # a search has planned more by now
            self._labels[planned.number] = planned.label
        return self._labels.get(job.job, "")

    def _show(self) -> None:
        """Show the ranking of all jobs, including those that did not run."""
        jobs, table, room = self._all(), self.directory / "results.csv", self.screen.room
        results.write_csv(table, jobs)
        header, rows = results.table(jobs, ascii_only=self.screen.ascii_only)
        left_out = ""
        if room is not None:
            most = self.screen.console.height - CLOSING
            header, rows, left_out = fitted(header, rows, room, most, self.screen.ascii_only)
        self.screen.table(header, rows, f"{counted(len(jobs), 'job')}, in {duration(time.monotonic() - self.started)}")
        if left_out:
            self.screen.say(f"{left_out} (in {table.name})", style="dim")

    def _end(self) -> None:
        """Draw the pictures, and say where everything is and what can be done next."""
        jobs, pictures = self._all(), []
        go_on = [f"trainer resume {quoted(self.directory)}"] if self.source.unfinished(jobs) else []
        following = [*go_on, *results.following(jobs, self.directory)]
        try:
            pictures = self._draw(jobs)
            from trainer.sweeps.results import page  # late: only now is it needed

            with self._warning():
                page.leave(self.directory, jobs, pictures, duration(time.monotonic() - self.started), following)
        finally:
            if facts := results.facts(jobs):
                self.screen.panel("sweep", facts)
            self.screen.facts("", results.places(self.directory, pictures))
            self.screen.commands(following)

    def _all(self) -> list[Outcome]:
        """The jobs that have ended, and those that did not run."""
        ran = {job.job for job in self.jobs}
        return [*self.jobs, *(job.ended("not run") for job in self.source.planned if job.number not in ran)]

    def _draw(self, jobs: Sequence[Outcome]) -> list[Path]:
        """Draw what came of the jobs, unless a second signal has come; the pictures."""
        if not self.source.plots or signals.hurried():
            return []
        try:
            with self.screen.doing("drawing"):
                from trainer.sweeps.results import figures  # late: it imports matplotlib

                return figures.save(jobs, self.directory / "plots", self.source.importance())
        except OSError as error:
            self.screen.warn(f"no pictures: {error}")
            return []

    def list(self) -> None:
        """Show what `run` would do."""
        rows = [(str(p.number), p.label, p.state) for p in self.source.planned]
        self.screen.table(("job", "overrides", "would"), rows, f"{len(rows)} jobs in {self.directory}")
        if self.source.outlook():
            self.screen.say(self.source.outlook())
