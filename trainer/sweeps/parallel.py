"""Several jobs at once: processes on this machine, each with a GPU of its own or its share of the CPU's cores."""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from trainer.run.sweep_log import Outcome
from trainer.show.report import Report
from trainer.sweeps.concurrent import Concurrent, Submitted
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import Place, environment, lies_in, serve
from trainer.system.machine import cores, gpus


class Worker:
    """A process that runs one job after the other, with its `share` of the machine as environment variables."""

    def __init__(self, context: Any, share: dict[str, str], threads: int | None) -> None:
        self.share = share
        self.orders, theirs = context.Pipe()
        place = replace(Place.here(threads), environment={**os.environ, **share})
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, os.getpid(), place))
        with environment(share | _importing()):  # the first worker also starts the server
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

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        super().__init__(settings, screen, done)
        self.context, devices = _context(), gpus()
        self.places = settings.jobs or len(devices) or cores()
        self.threads = None if devices else max(1, cores() // self.places)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        visible = [{"CUDA_VISIBLE_DEVICES": device} for device in devices]
        self.shares = list(islice(cycle(visible or [threads]), self.places))  # of the workers still to be started
        self.idle: list[Worker] = []

    def run(self, jobs: Iterator[Planned]) -> None:
        try:
            super().run(jobs)
        finally:
            for worker in self.idle:
                worker.orders.close()  # which ends it
                worker.process.join(5)

    def submit(self, planned: Planned) -> Worker:
        while self.idle:
            worker = self.idle.pop()
            try:
                worker.orders.send(planned)
            except OSError:  # it was killed while it had nothing to do
                self.shares.append(worker.share)
            else:
                return worker
        worker = Worker(self.context, self.shares.pop(0), self.threads)
        worker.orders.send(planned)
        return worker

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

    def cancel(self, job: Submitted[Worker]) -> None:
        job.handle.process.terminate()

    def kill(self, job: Submitted[Worker]) -> None:
        job.handle.process.kill()

    def wait(self) -> None:
        wait([job.handle.orders for job in self.jobs], self.poll_seconds)


def _context() -> BaseContext:
    """How workers are started: forked from a server that has imported torch, in 0.1 s each instead of 3 s.

    The server computes nothing, so it has neither threads of torch's nor CUDA, which would not survive a fork. Each
    worker initialises its own CUDA, which reads CUDA_VISIBLE_DEVICES only then.
    """
    # Apple's libraries do not allow a fork once they are loaded. The server's socket, whose path has at most 107 bytes,
    # is in the temporary folder; its name there has 32.
    if sys.platform != "linux" or len(os.fsencode(tempfile.gettempdir())) > 75:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.sweeps.preload"])
    return context


def _importing() -> dict[str, str]:
    """Environment variables by which the server, and a worker, import what this process has imported.

    The current directory is left out, where a `socket.py` of the user's would be taken for Python's own: `Place` brings
    it to the end of a worker's path. Only where trainer itself lies in it, it has to be there.
    """
    entries = [entry for entry in map(os.path.abspath, sys.path) if entry != os.getcwd() or lies_in(entry)]
    return {"PYTHONPATH": os.pathsep.join(entries), "PYTHONSAFEPATH": "1"}
