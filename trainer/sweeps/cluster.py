"""What Slurm and Ray share: an engine of its own runs the jobs, and is asked now and then how they are."""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from trainer.show.report import Report
from trainer.sweeps.job import Job
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.system.errors import ConfigError, InterruptedRunError
from trainer.system.paths import typed

SIGTERM = 15  # by which a cluster stops jobs

Handle = TypeVar("Handle")  # by which an engine knows a job


def engine(name: str, extra: str) -> ModuleType:
    """The engine's module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != name:
            raise
        raise ConfigError(f"sweep={extra} needs {name}", f"pip install 'trainer[{extra}]'") from error


class RefusedError(ConfigError):
    """What the engine says of a job that it does not take."""


def _failed(planned: Planned) -> Job:
    """One that cannot be composed only says so: nothing to queue for."""
    from trainer.sweeps.attempt import attempt  # late, for torch: all else here does without

    return attempt(planned)


@dataclass
class Submitted(Generic[Handle]):
    """A job that an engine was given."""

    planned: Planned
    handle: Handle
    submitted: float = field(default_factory=time.monotonic)
    since: float | None = None  # when it was first seen to run

    def ended(self, status: str, error: str) -> Job:
        """Its line of sweep.jsonl where it has left none itself."""
        job = self.planned.ended(status, error)
        job.seconds = time.monotonic() - (self.since or self.submitted)
        return job


class Cluster(ABC, Generic[Handle]):
    """Keeps `places` jobs with the engine, and takes no more before one has ended. One that dies fails alone."""

    poll_seconds: ClassVar[float]
    stop_seconds: ClassVar[float]  # a job that is told to stop finishes its step and writes a checkpoint

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        self.settings, self.screen, self.done = settings, screen, done
        self.monitor = Monitor(screen)
        self.jobs: list[Submitted[Handle]] = []
        self.places = 1
        self.stopping = False
        self.refused: Planned | None = None  # the next to hand over
        self.cut_short: list[Planned] = []  # by the cluster, not by us

    @abstractmethod
    def submit(self, planned: Planned) -> Handle:
        """Hand the job over.

        Raises:
            RefusedError: the engine does not take it.
        """

    @abstractmethod
    def runs(self, job: Submitted[Handle]) -> bool:
        """Whether it is out of the queue."""

    @abstractmethod
    def ended(self, job: Submitted[Handle]) -> Job | None:
        """How it ended; None: it has not."""

    @abstractmethod
    def cancel(self, job: Submitted[Handle]) -> None:
        """Take it out of the queue, or tell it to stop with a checkpoint."""

    @abstractmethod
    def kill(self, job: Submitted[Handle]) -> None:
        """End what did not stop when it was told to."""

    def wait(self) -> None:
        """Until it is time to ask again, or something has ended."""
        time.sleep(self.poll_seconds)

    def run(self, jobs: Iterator[Planned]) -> None:
        """As `Runner` has it.

        Raises:
            InterruptedRunError: also where the cluster stopped jobs by itself; the others have ended.
        """
        try:
            while self._fill(jobs):
                self.wait()
                self._look()
                self.monitor.show([(job.planned, job.since) for job in self.jobs if job.since is not None])
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
                f"go on: trainer resume {typed(self.cut_short[0].directory.parent)}",
            )

    def _fill(self, jobs: Iterator[Planned]) -> bool:
        """Hand over as many as there are places for; whether there is one to wait for."""
        while len(self.jobs) < self.places and (planned := self.refused or next(jobs, None)) is not None:
            if planned.asked.mistake is not None:
                self.done(_failed(planned))
                continue
            try:
                handle = self.submit(planned)
            except RefusedError as error:
                if not self.jobs:
                    raise
                self.screen.warn(f"{error.message}; trying again when another job has ended")
                self.refused, self.places = planned, len(self.jobs)  # a limit of the cluster's, it seems
            else:
                self.refused = None
                self.jobs.append(Submitted(planned, handle))
        return bool(self.jobs)

    def _look(self) -> None:
        for job in self.jobs:
            if job.since is None and self.runs(job):
                job.since = time.monotonic()

    def _collect(self) -> None:
        for job in list(self.jobs):
            ended = self.ended(job)
            if ended is not None:
                self._end(job, ended)

    def _end(self, job: Submitted[Handle], ended: Job) -> None:
        self.jobs.remove(job)
        if ended.status == "interrupted" and not self.stopping:
            self.cut_short.append(job.planned)
        if job.since is None and self.stopping and not self.runs(job):
            return  # it was still in the queue: it is one that did not come to run
        self.done(ended)

    def _stop(self) -> None:
        """Tell every job to stop, and wait for its checkpoint."""
        self.stopping = True
        for job in self.jobs:
            self.cancel(job)
        if self.jobs:
            self.screen.say(f"stopping {len(self.jobs)} jobs: waiting for their checkpoints")
        deadline = time.monotonic() + self.stop_seconds
        while self.jobs and time.monotonic() < deadline:
            self.wait()
            self._look()
            self._collect()
        for job in list(self.jobs):
            self.kill(job)
            self._end(job, job.ended("interrupted", f"it did not stop within {self.stop_seconds:.0f} s"))
