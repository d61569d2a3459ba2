"""Runs the jobs of a sweep and shows what came of them."""

from pathlib import Path
from typing import Any

from trainer.paths import typed
from trainer.report import Report, duration
from trainer.sweeps import results, runner
from trainer.sweeps.job import Job, append, read
from trainer.sweeps.plan import Asked, claim, plan

Jobs = list[Job]
LOG = "sweep.jsonl"


class Sweep:
    """The jobs of one sweep in its directory, a run directory each."""

    def __init__(self, directory: Path, asked: list[Asked], settings: Any) -> None:
        self.directory, self.settings = directory, settings
        self.screen = Report()
        self.planned = plan(directory, asked)
        self.plots = any(job.config is not None and job.config.settings.plots for job in asked)
        self.jobs: Jobs = []

    def run(self) -> Jobs:
        """Run what is not done yet, then show the ranking, also where a job failed or somebody stopped the sweep.

        Raises:
            InterruptedRunError, KeyboardInterrupt: somebody did.
        """
        claim(self.directory, self.planned)
        todo = [planned for planned in self.planned if planned.finished is None]
        self._keep_finished()
        try:
            runner.make(self.settings, self.screen, self._done).run(iter(todo))
        finally:
            self._show()
        return self.jobs

    def _done(self, job: Job) -> None:
        self.jobs.append(job)
        append(self.directory / LOG, job)

    def _keep_finished(self) -> None:
        noted = {job.job for job in self._noted() if job.status == "completed"}
        kept = [planned for planned in self.planned if planned.finished is not None]
        for planned in kept:
            job = planned.completed(planned.finished or {})
            self.jobs.append(job)
            if job.job not in noted:  # the sweep was killed just then
                append(self.directory / LOG, job)
        if kept:
            self.screen.say(f"{len(kept)} of {len(self.planned)} jobs are done and kept")

    def _noted(self) -> Jobs:
        path = self.directory / LOG
        return read(path) if path.exists() else []

    def _show(self) -> None:
        """The ranking of all jobs of this sweep, those among them that did not come to run."""
        ran = {job.job for job in self.jobs}
        jobs = [*self.jobs, *(planned.ended("not run") for planned in self.planned if planned.number not in ran)]
        results.write_csv(self.directory / "results.csv", jobs)
        header, rows = results.table(jobs, ascii_only=self.screen.ascii_only)
        total = duration(sum(job.seconds for job in jobs))
        self.screen.table(header, rows, f"{len(jobs)} jobs, {total} of training")
        facts = results.facts(jobs, self.directory)
        if self.plots:
            try:
                from trainer.sweeps import figures  # late: with matplotlib

                figures.save(jobs, self.directory / "plots")
            except OSError as error:
                self.screen.warn(f"no pictures: {error}")
        if len(ran) < len(jobs) or any(job.status in ("interrupted", "failed") for job in jobs):
            facts = [*facts, ("go on", f"trainer resume {typed(self.directory)}")]
        self.screen.panel("sweep", facts)

    def list(self) -> None:
        """What `run` would do."""
        rows = [(str(p.number), p.label, p.state) for p in self.planned]
        self.screen.table(("job", "overrides", "would"), rows, f"{len(rows)} jobs in {self.directory}")
