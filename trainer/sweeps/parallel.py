"""Several jobs at once: processes on this machine, each with a GPU of its own or its share of the CPU's cores."""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from trainer.show.report import Report
from trainer.sweeps.concurrent import Concurrent, Submitted
from trainer.sweeps.job import Outcome
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import Place, serve
from trainer.system.machine import cores, gpus


class Worker:
    """A process that runs one job after the other. It is started when it gets a job, and anew after it has died."""

    def __init__(self, context: Any, environment: dict[str, str], threads: int | None = None) -> None:
        self.context, self.environment, self.threads = context, environment, threads
        self.process: BaseProcess | None = None
        self.orders: Connection | None = None

    def give(self, planned: Planned) -> None:
        """Send the worker a job."""
        try:
            orders = self.orders or self._start()
            orders.send(planned)
        except OSError:  # it was killed while it had nothing to do
            self._start().send(planned)

    def _start(self) -> Connection:
        place = replace(Place.here(self.threads), environment={**os.environ, **self.environment})
        orders, theirs = self.context.Pipe()
        process = self.context.Process(target=serve, args=(theirs, os.getpid(), place))
        # If the server is started now, it imports the modules that this process has, from no other place.
        path = {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path), "PYTHONSAFEPATH": "1"}
        with _environment(self.environment | path):
            process.start()
        theirs.close()
        self.orders, self.process = orders, process
        return self.orders

    def result(self) -> Outcome | str:
        """The line of sweep.jsonl that the worker has sent, or how its process ended."""
        assert self.orders is not None
        assert self.process is not None
        try:
            job: Outcome = self.orders.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(5)
            code = self.process.exitcode or 0
            return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return job

    def dismiss(self) -> None:
        """End the process."""
        if self.orders is not None and self.process is not None:
            self.orders.close()
            self.process.join(5)
            self.process.kill()


class Parallel(Concurrent[Worker]):
    """Each job runs in one of `settings.jobs` processes."""

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        super().__init__(settings, screen, done)
        context, devices = _context(), gpus()
        self.places = settings.jobs or len(devices) or cores()
        if devices:
            shares = [{"CUDA_VISIBLE_DEVICES": devices[i % len(devices)]} for i in range(self.places)]
            self.workers = [Worker(context, share) for share in shares]
        else:
            threads = max(1, cores() // self.places)
            share = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
            self.workers = [Worker(context, share, threads) for _ in range(self.places)]
        self.free = list(self.workers)

    def run(self, jobs: Iterator[Planned]) -> None:
        try:
            super().run(jobs)
        finally:
            for worker in self.workers:
                worker.dismiss()

    def submit(self, planned: Planned) -> Worker:
        worker = self.free.pop(0)
        worker.give(planned)
        return worker

    def ended(self, job: Submitted[Worker]) -> Outcome | None:
        worker = job.handle
        assert worker.orders is not None
        if not worker.orders.poll():
            return None
        result = worker.result()
        self.free.append(worker)
        if isinstance(result, str):
            return job.ended("interrupted" if self.stopping else "failed", f"its process {result}")
        return result

    def cancel(self, job: Submitted[Worker]) -> None:
        if job.handle.process is not None:
            job.handle.process.terminate()

    def kill(self, job: Submitted[Worker]) -> None:
        if job.handle.process is not None:
            job.handle.process.kill()

    def wait(self) -> None:
        wait([job.handle.orders for job in self.jobs if job.handle.orders is not None], self.poll_seconds)


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


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
