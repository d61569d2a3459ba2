"""Several jobs at once: processes on this machine, each with a GPU of its own or its share of the CPU's cores."""

import importlib
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from trainer.run.sweep_log import Outcome
from trainer.sweeps import warm
from trainer.sweeps.concurrent import Concurrent, Submitted
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import Place, serve
from trainer.system import forking, signals
from trainer.system.machine import cores, gpus

# For intervals of the mean, and for pictures: most of a second, in parts after which a signal is answered.
AHEAD = ("numpy", "scipy.stats", "matplotlib.figure", "trainer.sweeps.results.figures")


class Worker:
    """A process that runs one job after the other, with its `share` of the machine as environment variables."""

    def __init__(self, context: Any, share: dict[str, str], threads: int | None) -> None:
        self.share = share
        self.orders, theirs = context.Pipe()
        place = replace(Place.here(threads), environment={**os.environ, **share})
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, os.getpid(), place))
        with forking.environment(share | forking.importing()):  # of a worker that is no fork
            self.process.start()
        theirs.close()

    def death(self) -> str:
        """How the process has ended."""
        self.process.join(5)
        code = self.process.exitcode or 0
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"its process {reason}"


class Parallel(Concurrent[Worker]):
    """Each job runs in one of `settings.jobs` processes, which are started as they are needed."""

    def __init__(self, settings: Any, monitor: Monitor, done: Done) -> None:
        super().__init__(settings, monitor, done)
        self.divide(1)
        self.taken = False  # whether a job has been, which says how many devices each has
        self.idle: list[Worker] = []
        self.ahead = False  # whether what comes after the jobs has been imported

    def run(self, jobs: Iterator[Planned]) -> None:
        self.context = warm.start()
        try:
            super().run(jobs)
        finally:
            for worker in self.idle:
                worker.orders.close()  # which ends it
                worker.process.join(5)

    def divide(self, each: int) -> None:
        """Divide the machine among as many jobs at once as there is room for, of which each has so many devices."""
        devices = gpus()
        room = max(1, (len(devices) or cores()) // each)
        self.places = self.settings.jobs or room
        self.threads: int | None = None if devices else max(1, cores() // self.places)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        together = [devices[each * place : each * (place + 1)] for place in range(room)] if devices else []
        visible = [{"CUDA_VISIBLE_DEVICES": ",".join(some)} for some in together]
        self.shares = list(islice(cycle(visible or [threads]), self.places))  # of the workers still to be started

    def submit(self, planned: Planned) -> Worker:
        config = planned.asked.config
        if not self.taken and config is not None and isinstance(config.devices, int) and config.devices > 1:
            self.divide(config.devices)
        self.taken = True
        while self.idle:
            worker = self.idle.pop()
            try:
                worker.orders.send(planned)
            except OSError:  # it was killed while it had nothing to do
                self.shares.append(worker.share)
            else:
                return worker
        if self.ahead:
            worker = Worker(self.context, self.shares.pop(0), self.threads)
        else:
            with self.screen.doing("starting the processes"):  # the first one waits for the server
                self._import_ahead()
                worker = Worker(self.context, self.shares.pop(0), self.threads)
        worker.orders.send(planned)
        return worker

    def _import_ahead(self) -> None:
        """Import what the table and the pictures need while the server imports torch, and this core has nothing to do.

        If that fails, it fails again where it is needed, and is said there.
        """
        self.ahead = True
        with suppress(ImportError, OSError):
            for name in AHEAD:
                with signals.delayed():  # a library may break where its import is interrupted
                    importlib.import_module(name)

    def ended(self, job: Submitted[Worker]) -> Outcome | None:
        worker = job.handle
        if not worker.orders.poll():
            return None
        try:
            outcome: Outcome = worker.orders.recv()
        except (EOFError, ConnectionResetError):
            self.shares.append(worker.share)
            return job.ended("interrupted" if self.stopping else "failed", worker.death())
        self.idle.append(worker)
        return outcome

    def cancel(self, jobs: Sequence[Submitted[Worker]]) -> None:
        for job in jobs:
            job.handle.process.terminate()

    def kill(self, jobs: Sequence[Submitted[Worker]]) -> None:
        for job in jobs:
            job.handle.process.kill()

    def wait(self) -> None:
        wait([job.handle.orders for job in self.jobs], self.poll_seconds)
