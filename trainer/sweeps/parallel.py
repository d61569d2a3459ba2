"""Several jobs at once: processes on this machine, each with a GPU of its own or its share of the CPU's cores."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from trainer.show.report import Report
from trainer.sweeps.job import Job
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import work
from trainer.system.machine import cores, gpus

STOP_SECONDS = 30.0  # a job that is told to stop finishes its step and writes a checkpoint


@dataclass
class _Slot:
    """A place for a worker: what it may use, and what it does."""

    environment: dict[str, str]
    process: BaseProcess | None = None
    orders: Connection | None = None
    job: Planned | None = None
    since: float = 0.0


class Parallel:
    """Runs jobs side by side. One that dies takes no other down."""

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        self.monitor, self.done = Monitor(screen), done
        self.slots = _slots(settings.jobs)
        self.stopping = False

    def run(self, jobs: Iterator[Planned]) -> None:
        try:
            while self._fill(jobs):
                self._collect(timeout=0.5)
                self.monitor.show([(slot.job, slot.since) for slot in self.slots if slot.job])
        except BaseException:
            self._stop()
            raise
        finally:
            self.monitor.close()
            self._dismiss()

    def _fill(self, jobs: Iterator[Planned]) -> bool:
        """Give every free slot a job, while there are any; whether something runs."""
        for slot in self.slots:
            if slot.job is None and (job := next(jobs, None)) is not None:
                self._give(slot, job)
        return any(slot.job for slot in self.slots)

    def _give(self, slot: _Slot, job: Planned) -> None:
        if slot.process is None:
            slot.process, slot.orders = _started(slot.environment)
        slot.job, slot.since = job, time.monotonic()
        assert slot.orders is not None
        slot.orders.send(job)

    def _collect(self, timeout: float) -> None:
        """What busy workers have sent, and those that have died."""
        busy = [slot for slot in self.slots if slot.job is not None]
        ready = wait([slot.orders for slot in busy if slot.orders is not None], timeout)
        for slot in busy:
            if slot.orders in ready:
                self._receive(slot)

    def _receive(self, slot: _Slot) -> None:
        assert slot.job is not None
        assert slot.orders is not None
        assert slot.process is not None
        try:
            job: Job = slot.orders.recv()
        except (EOFError, ConnectionResetError):  # it is dead, and its end of the pipe closed
            slot.process.join(5)
            code = slot.process.exitcode or 0
            reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            job = slot.job.ended("interrupted" if self.stopping else "failed", f"its process {reason}")
            slot.process = slot.orders = None
        job.seconds = job.seconds or time.monotonic() - slot.since
        slot.job = None
        self.done(job)

    def _stop(self) -> None:
        """Tell every job to stop, and wait for its checkpoint."""
        self.stopping = True
        for slot in self.slots:
            if slot.job is not None and slot.process is not None:
                slot.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(slot.job for slot in self.slots) and time.monotonic() < deadline:
            self._collect(timeout=0.2)

    def _dismiss(self) -> None:
        for slot in self.slots:
            if slot.orders is not None:
                slot.orders.close()
            if slot.process is not None:
                slot.process.join(5)
                slot.process.kill()


def _slots(at_once: int | None) -> list[_Slot]:
    devices = gpus()
    count = at_once or len(devices) or cores()
    if devices:
        return [_Slot({"CUDA_VISIBLE_DEVICES": devices[i % len(devices)]}) for i in range(count)]
    threads = str(max(1, cores() // count))
    return [_Slot({"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}) for _ in range(count)]


def _started(environment: dict[str, str]) -> tuple[BaseProcess, Connection]:
    """A worker, started anew and not forked: threads and CUDA do not survive a fork."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, os.getpid()))
    with _environment(environment):
        process.start()
    theirs.close()
    return process, ours


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
