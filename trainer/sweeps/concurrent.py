"""Several jobs at once: what processes of this machine, Slurm and Ray have in common."""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from trainer.run.sweep_log import Outcome
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.refusals import Refusals, RefusedError
from trainer.sweeps.runner import Done
from trainer.system.errors import ConfigError, InterruptedRunError
from trainer.system.extras import install
from trainer.system.paths import quoted
from trainer.system.signals import hurried

SIGTERM = 15  # the signal by which a cluster stops jobs

Handle = TypeVar("Handle")  # what a runner knows a job by


@dataclass(eq=False)
class Submitted(Generic[Handle]):
    """A job that has been handed over and has not ended."""

    planned: Planned
    handle: Handle
    submitted: float = field(default_factory=time.monotonic)
    since: float | None = None  # when it was first seen to run

    def ended(self, status: str, error: str) -> Outcome:
        """The job's line of sweep.jsonl if it left none itself."""
        job = self.planned.ended(status, error)
        job.seconds = time.monotonic() - (self.since or self.submitted)
        return job


class Concurrent(ABC, Generic[Handle]):
    """A runner that keeps `places` jobs under way and takes the next as one ends. A job that dies stops no other."""

    poll_seconds: ClassVar[float] = 0.5
    stop_seconds: ClassVar[float] = 30.0  # how long jobs that are told to stop have for their checkpoints
    fill_seconds: ClassVar[float] = 5.0  # for which jobs are handed over before those under way are looked at

    def __init__(self, settings: Any, monitor: Monitor, done: Done) -> None:
        self.settings, self.monitor, self.done = settings, monitor, done
        self.screen = monitor.screen
        self.jobs: list[Submitted[Handle]] = []
        self.places = 1
        self.stopping = False
        self.refusals = Refusals(self.screen)
        self.refused: Planned | None = None  # the next job to hand over
        self.cut_short: list[Planned] = []  # jobs that the cluster stopped by itself

    @abstractmethod
    def submit(self, planned: Planned) -> Handle:
        """Hand the job over.

        Raises:
            RefusedError: the cluster does not take it.
        """

    @abstractmethod
    def ended(self, job: Submitted[Handle]) -> Outcome | None:
        """How the job ended, or None while it has not."""

    @abstractmethod
    def cancel(self, jobs: Sequence[Submitted[Handle]]) -> None:
        """Take the jobs out of the queue, or tell them to stop with a checkpoint."""

    @abstractmethod
    def kill(self, jobs: Sequence[Submitted[Handle]]) -> None:
        """End jobs that did not stop when they were told to."""

    def over(self, planned: Planned) -> Outcome | None:
        """How the job has ended, if nobody needs to run it."""
        mistake = planned.asked.mistake
        return planned.failed(mistake.message) if mistake is not None else None

    def runs(self, job: Submitted[Handle]) -> bool:
        """Whether the job has left the queue."""
        return True

    def wait(self) -> None:
        """Return when it is time to look at the jobs again, or earlier if one has ended."""
        time.sleep(self.poll_seconds)

    def run(self, jobs: Iterator[Planned]) -> None:
        """Run the jobs, as `Runner.run` says.

        Raises:
            InterruptedRunError: also if the cluster stopped jobs by itself; the other jobs have ended then.
        """
        try:
            while self._fill(jobs):
                self._look()
                self.wait()
                self._look()  # again, so that a job that has begun and ended meanwhile is shown, too
                self._collect()
        except BaseException:
            self._stop()
            raise
        finally:
            self.monitor.close()
        if self.cut_short:
            numbers = ", ".join(str(planned.number) for planned in self.cut_short)
            raise InterruptedRunError(
                SIGTERM,
                f"the cluster stopped {'jobs' if len(self.cut_short) > 1 else 'job'} {numbers}",
                f"go on: trainer resume {quoted(self.cut_short[0].directory.parent)}",
            )

    def _fill(self, jobs: Iterator[Planned]) -> bool:
        """Hand over jobs while there are places, and time; return whether there is a job to wait for."""
        end = time.monotonic() + self.fill_seconds
        while (not self.jobs or time.monotonic() < end) and self.refusals.allow(len(self.jobs), self.places):
            planned = self.refused or next(jobs, None)
            if planned is None:
                break
            self.refused = None
            if (ended := self.over(planned)) is not None:
                self.done(ended)
                continue
            try:
                handle = self.submit(planned)
            except RefusedError as error:
                self.refusals.note(error, len(self.jobs))
                self.refused = planned
                break
            self.refusals.over()
            self.jobs.append(Submitted(planned, handle))
        return bool(self.jobs) or self.refused is not None

    def _look(self) -> None:
        for job in self.jobs:
            if job.since is None and self.runs(job):
                job.since = time.monotonic()
        self.monitor.show([(job.planned, job.since) for job in self.jobs if job.since is not None])

    def _collect(self) -> None:
        for job in list(self.jobs):
            ended = self.ended(job)
            if ended is not None:
                self._end(job, ended)

    def _end(self, job: Submitted[Handle], ended: Outcome) -> None:
        self.jobs.remove(job)
        if ended.status == "interrupted" and not self.stopping:
            self.cut_short.append(job.planned)
        if job.since is None and self.stopping and not self.runs(job):
            return  # it was cancelled in the queue and counts as not run
        self.done(ended)

    def _stop(self) -> None:
        """Tell every job to stop, and wait for the checkpoints, unless another signal says not to."""
        self.stopping = True
        if self.jobs:
            self.cancel(self.jobs)
            self.screen.say(f"stopping {len(self.jobs)} jobs: waiting for their checkpoints")
        deadline = time.monotonic() + self.stop_seconds
        try:
            while self.jobs and time.monotonic() < deadline and not hurried():
                self.wait()
                self._look()
                self._collect()
        finally:
            if self.jobs:
                self.kill(self.jobs)
        for job in list(self.jobs):
            late = "another signal came" if hurried() else f"it did not stop within {self.stop_seconds:.0f} s"
            self._end(job, job.ended("interrupted", late))


def library(name: str, extra: str) -> ModuleType:
    """The module `name`, which the sweep `extra` needs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != name:
            raise
        raise ConfigError(f"sweep={extra} needs {name}", install(extra)) from error
