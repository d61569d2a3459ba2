"""A job of a sweep in a process that a cluster's engine has started, perhaps on another machine."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.sweeps.job import Job
from trainer.sweeps.plan import Planned
from trainer.system.errors import InterruptedRunError, TerminatedError


@dataclass
class Place:
    """What a job needs to find itself where the sweep was started."""

    directory: str  # the sweep's run directories are below it
    path: list[str]  # where classes of the user's own are
    environment: dict[str, str]
    threads: int | None = None
    log: str | None = None

    @staticmethod
    def here(threads: int | None = None, log: Path | None = None) -> "Place":
        """This process's, of whose environment only what trainer itself reads is taken along."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("TRAINER_")}
        return Place(os.getcwd(), [p for p in sys.path if p], kept, threads, str(log.absolute()) if log else None)


def work(planned: Planned, place: Place) -> Job:
    """Run the job to its end; told to stop, it writes its checkpoint and says that it was interrupted."""
    os.chdir(place.directory)
    sys.path += [entry for entry in place.path if entry not in sys.path]
    os.environ.update(place.environment)
    if place.threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(place.threads))
    with _logged(place.log):
        try:
            with _stoppable():
                from trainer.sweeps.attempt import attempt  # late, for torch: the number of threads is set

                return attempt(planned)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            return planned.ended("interrupted", str(error))


@contextmanager
def _stoppable() -> Iterator[None]:
    """Within the block SIGTERM stops the job, and so does SIGUSR2, which Slurm sends before the time is up.

    The engines' own handlers would go on after the first, and end the job without a checkpoint after the other.
    """
    handlers = {signal.SIGTERM: _terminated, signal.SIGUSR2: _warned}
    before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _terminated(signum: int, frame: object) -> None:
    raise TerminatedError(signum)


def _warned(signum: int, frame: object) -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a second one would end the job without its checkpoint
    signal.raise_signal(signal.SIGTERM)  # for whoever waits for it now: the training, or `_terminated`


@contextmanager
def _logged(path: str | None) -> Iterator[None]:
    """Within the block, what the process says goes to the end of a file."""
    if path is None:
        yield
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    kept = [os.dup(fd) for fd in (1, 2)]
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for fd in (1, 2):
        os.dup2(file, fd)
    os.close(file)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for fd, before in zip((1, 2), kept, strict=True):
            os.dup2(before, fd)
            os.close(before)
