"""Runs the jobs of a sweep and shows what came of them."""

import time
from pathlib import Path
from typing import Any

from trainer.show.report import Report, duration
from trainer.sweeps import runner
from trainer.sweeps.job import LOG, Job, append, read
from trainer.sweeps.results import table as results
from trainer.sweeps.source import Source
from trainer.system.paths import typed

Jobs = list[Job]


class Sweep:
    """The jobs of one sweep in its directory, a run directory each."""

    def __init__(self, directory: Path, source: Source, settings: Any) -> None:
        self.directory, self.source, self.settings = directory, source, settings
        self.screen = Report()
        self.jobs: Jobs = []
        self.started = time.monotonic()

    def run(self) -> Jobs:
        """Run what is not done yet, then show the ranking, also where a job failed or somebody stopped the sweep.

        Raises:
            InterruptedRunError, KeyboardInterrupt: somebody did.
        """
        self._keep(self.source.begin(self.screen))
        try:
            runner.make(self.settings, self.screen, self._done).run(self.source.todo())
        finally:
            self._show()
        return self.jobs

    def _done(self, job: Job) -> None:
        self.source.done(job)
        self.jobs.append(job)
        append(self.directory / LOG, job)

    def _keep(self, kept: Jobs) -> None:
        path = self.directory / LOG
        noted = {job.job: job.status for job in read(path)} if path.exists() else {}
        for job in kept:
            self.jobs.append(job)
            if noted.get(job.job) != job.status:  # the sweep was killed just then
                append(path, job)
        if kept:
            self.screen.say(f"{len(kept)} of {len(self.source.planned)} jobs are done and kept")

    def _show(self) -> None:
        """The ranking of all jobs of this sweep, those among them that did not come to run."""
        ran = {job.job for job in self.jobs}
        planned = self.source.planned
        jobs = [*self.jobs, *(job.ended("not run") for job in planned if job.number not in ran)]
        results.write_csv(self.directory / "results.csv", jobs)
        header, rows = results.table(jobs, ascii_only=self.screen.ascii_only)
        self.screen.table(header, rows, f"{len(jobs)} jobs, in {duration(time.monotonic() - self.started)}")
        facts = results.facts(jobs, self.directory)
        if self.source.plots:
            try:
                from trainer.sweeps.results import figures  # late: with matplotlib

                figures.save(jobs, self.directory / "plots")
            except OSError as error:
                self.screen.warn(f"no pictures: {error}")
        if self.source.unfinished(jobs):
            facts = [*facts, ("go on", f"trainer resume {typed(self.directory)}")]
        self.screen.panel("sweep", facts)

    def list(self) -> None:
        """What `run` would do."""
        rows = [(str(p.number), p.label, p.state) for p in self.source.planned]
        self.screen.table(("job", "overrides", "would"), rows, f"{len(rows)} jobs in {self.directory}")
        if self.source.outlook():
            self.screen.say(self.source.outlook())
