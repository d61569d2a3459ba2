"""Jobs as tasks of a Ray cluster, or of a Ray on this machine."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.run.directory import timestamp
from trainer.run.sweep_log import Outcome
from trainer.sweeps.concurrent import Concurrent, Submitted, library
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import Place, work
from trainer.system import signals
from trainer.system.errors import ConfigError, first_line
from trainer.system.inside import unlinked
from trainer.system.machine import cores

FOLDER = "ray"  # in the sweep's directory


def check(settings: Any) -> None:
    """Check before anything is written that Ray is there.

    Raises:
        ConfigError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    library("ray", "ray")


class Ray(Concurrent[Any]):
    """Each job is a task of Ray's, which counts the CPUs and GPUs that it needs."""

    poll_seconds = 0.2  # slept, for a signal within `ray.wait` becomes a KeyboardInterrupt of Ray's

    def __init__(self, settings: Any, monitor: Monitor, done: Done) -> None:
        super().__init__(settings, monitor, done)
        self.ray = library("ray", "ray")
        self.task: Any = None
        self.logged: dict[int, int] = {}  # lengths of the jobs' logs when they were handed over

    def run(self, jobs: Any) -> None:
        self._connect()
        try:
            super().run(jobs)
        finally:
            self.ray.shutdown()

    def _connect(self) -> None:
        address = self.settings.address
        try:
            with signals.kept(*signals.ENDING):  # Ray sets a handler for SIGTERM that exits
                self.ray.init(
                    address=address or "local",
                    num_cpus=cores() if address is None else None,
                    include_dashboard=False if address is None else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(f"sweep.address={address}: {first_line(error)}", "see: ray status") from error
        self.take_places()

    def take_places(self) -> None:
        """Run as many jobs at once as there is room for.

        Raises:
            ConfigError: there is no room for one.
        """
        there = self.ray.cluster_resources()
        cpus, gpus = self.settings.cpus, self.settings.gpus
        if gpus is None:
            gpus = 1.0 if there.get("GPU") else 0.0
        asked = {"CPU": float(cpus), "GPU": float(gpus)}
        room = min(int(there.get(name, 0.0) / wanted) for name, wanted in asked.items() if wanted)
        if room < 1 and self.settings.address is None:
            raise ConfigError(
                f"a job needs {cpus:g} CPUs and {gpus:g} GPUs: this machine has "
                f"{there.get('CPU', 0.0):g} and {there.get('GPU', 0.0):g}",
                "ask for less: sweep.cpus=1 sweep.gpus=0",
            )
        self.places = self.settings.jobs or max(1, room)
        # `trainer resume` continues what was interrupted, and a job that died may die again.
        self.task = self.ray.remote(_work).options(num_cpus=cpus, num_gpus=gpus, max_retries=0)

    def submit(self, planned: Planned) -> Any:
        log = _log(planned)
        self.logged[planned.number] = log.stat().st_size if log.exists() else 0
        return self.task.remote(planned, Place.here(), log.absolute())

    def runs(self, job: Submitted[Any]) -> bool:
        log = _log(job.planned)  # its process writes a line before anything else
        return log.exists() and log.stat().st_size > self.logged[job.planned.number]

    def ended(self, job: Submitted[Any]) -> Outcome | None:
        with signals.delayed():  # Ray turns what a signal raises within its own calls into a KeyboardInterrupt
            ready, _ = self.ray.wait([job.handle], timeout=0)
        if not ready:
            return None
        try:
            found: Outcome = self.ray.get(job.handle)
        except self.ray.exceptions.TaskCancelledError:
            return job.ended("interrupted", "it was cancelled")
        except self.ray.exceptions.RayTaskError as error:  # outside the job, which catches its own errors
            reason = str(error).strip().splitlines()[-1]
            return job.ended("failed", f"{reason}: {_log(job.planned)}")
        except self.ray.exceptions.RayError as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split('. ')[0].split())}"
            return job.ended("interrupted" if self.stopping else "failed", f"its process died ({reason})")
        return found

    def cancel(self, jobs: Sequence[Submitted[Any]]) -> None:
        for job in jobs:
            self.ray.cancel(job.handle)  # as Ctrl-C would

    def kill(self, jobs: Sequence[Submitted[Any]]) -> None:
        for job in jobs:
            self.ray.cancel(job.handle, force=True)


def _work(planned: Planned, place: Place, log: Path) -> Outcome:
    with logged(log):
        return work(planned, place)


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Within the block, standard output and error go to the end of a file, after a line of when and where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(fd) for fd in (1, 2)]
    file = unlinked(os.fspath(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{timestamp()} on {os.uname().nodename}\n".encode())
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


def _log(planned: Planned) -> Path:
    return planned.directory.parent / FOLDER / f"{planned.number}.log"
