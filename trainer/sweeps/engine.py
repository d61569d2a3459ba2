"""Runs the jobs of a sweep and shows what came of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.run.sweep_log import LOG, Outcome, append, read
from trainer.show.report import Report
from trainer.show.values import duration
from trainer.sweeps import runner
from trainer.sweeps.plan import Listed
from trainer.sweeps.results import table as results
from trainer.system import signals
from trainer.system.errors import StorageError
from trainer.system.paths import quoted

if TYPE_CHECKING:  # it needs Optuna
    from trainer.sweeps.search.trials import Search


class Sweep:
    """The jobs of one sweep, each with a run directory in the sweep's."""

    def __init__(self, directory: Path, source: "Listed | Search", settings: Any) -> None:
        self.directory, self.source, self.settings = directory, source, settings
        self.screen = Report()
        self.jobs: list[Outcome] = []  # that have ended
        self.started = time.monotonic()

    def run(self) -> list[Outcome]:
        """Run the jobs that are not done yet, then show the ranking, also if a job failed or the sweep was stopped.

        Raises:
            InterruptedRunError, KeyboardInterrupt: somebody stopped the sweep.
            StorageError: a file of the sweep cannot be written.
        """
        self._begin()
        try:
            runner.make(self.settings, self.screen, self._done).run(self.source.todo())
        except BaseException:
            with self._warning():
                self._show()
            self._draw()
            raise
        with signals.delayed():  # or the table of all that was done would be missing
            self._show()
        self._draw()
        return self.jobs

    def _done(self, job: Outcome) -> None:
        self.jobs.append(job)
        with self._warning() if job.status == "interrupted" else nullcontext():
            self.source.done(job)
            append(self.directory / LOG, job)

    @contextmanager
    def _warning(self) -> Iterator[None]:
        """Within the block a file that cannot be written is a warning: something else has stopped the sweep."""
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
            self.screen.say(f"{len(self.jobs)} of {len(self.source.planned)} jobs are done and kept")

    def _show(self) -> None:
        """Show the ranking of all jobs, including those that did not run."""
        jobs = self._all()
        results.write_csv(self.directory / "results.csv", jobs)
        header, rows = results.table(jobs, ascii_only=self.screen.ascii_only)
        self.screen.table(header, rows, f"{len(jobs)} jobs, in {duration(time.monotonic() - self.started)}")
        facts = results.facts(jobs, self.directory)
        if self.source.unfinished(jobs):
            facts = [*facts, ("go on", f"trainer resume {quoted(self.directory)}")]
        self.screen.panel("sweep", facts)

    def _all(self) -> list[Outcome]:
        """The jobs that have ended, and those that did not run."""
        ran = {job.job for job in self.jobs}
        return [*self.jobs, *(job.ended("not run") for job in self.source.planned if job.number not in ran)]

    def _draw(self) -> None:
        """Draw what came of the jobs, unless a second signal has come."""
        if not self.source.plots or signals.hurried():
            return
        try:
            from trainer.sweeps.results import figures  # late: it imports matplotlib

            figures.save(self._all(), self.directory / "plots")
        except OSError as error:
            self.screen.warn(f"no pictures: {error}")

    def list(self) -> None:
        """Show what `run` would do."""
        rows = [(str(p.number), p.label, p.state) for p in self.source.planned]
        self.screen.table(("job", "overrides", "would"), rows, f"{len(rows)} jobs in {self.directory}")
        if self.source.outlook():
            self.screen.say(self.source.outlook())
