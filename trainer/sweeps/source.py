"""Where the jobs of a sweep come from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from trainer.show.report import Report
from trainer.sweeps.job import Job
from trainer.sweeps.plan import Asked, Planned, claim, numbered


class Source(Protocol):
    """A list, or a search."""

    planned: list[Planned]  # the jobs that are known: a search has more as it goes on
    plots: bool

    def begin(self, screen: Report) -> list[Job]:
        """Make the sweep's directory ready; the jobs that are done already."""

    def todo(self) -> Iterator[Planned]:
        """The jobs to run, each made when it is taken."""

    def done(self, job: Job) -> None:
        """A job has ended, or was interrupted."""

    def unfinished(self, jobs: Sequence[Job]) -> bool:
        """Whether to resume the sweep would run something, where it has come to `jobs`."""

    def failure(self, jobs: Sequence[Job]) -> str:
        """Why the sweep is to be called a failure; "" where it is none."""

    def outlook(self) -> str:
        """What a dry run says of the jobs that are not known yet."""


class Listed:
    """Jobs that are known from the start."""

    def __init__(self, directory: Path, asked: list[Asked]) -> None:
        self.directory = directory
        self.planned = numbered(directory, asked)
        self.plots = any(job.config is not None and job.config.settings.plots for job in asked)

    def begin(self, screen: Report) -> list[Job]:
        claim(self.directory, self.planned)
        return [planned.completed(planned.finished) for planned in self.planned if planned.finished is not None]

    def todo(self) -> Iterator[Planned]:
        return (planned for planned in self.planned if planned.finished is None)

    def done(self, job: Job) -> None:
        pass

    def unfinished(self, jobs: Sequence[Job]) -> bool:
        return any(job.status in ("not run", "interrupted", "failed") for job in jobs)

    def failure(self, jobs: Sequence[Job]) -> str:
        failed = sum(job.status == "failed" for job in jobs)
        return f"{failed} of the sweep's jobs failed" if failed else ""

    def outlook(self) -> str:
        return ""
