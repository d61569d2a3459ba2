"""Samples that do not fit on the device: worker processes read batches while it computes."""

import multiprocessing
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from trainer.data.splits import Split, packed
from trainer.data.waiting import Waiting
from trainer.system.errors import DataError, first_line
from trainer.system.memory import free_shared_memory
from trainer.system.signals import blocked, handled
from trainer.system.streams import warn
from trainer.system.workers import end_with

Rows = np.ndarray[Any, Any] | slice  # of NumPy, because a tensor would go to a worker through shared memory
SIGNALS = {signal.SIGINT, signal.SIGTERM}  # are meant for the parent
SIGCHLD = [signal.SIGCHLD] if hasattr(signal, "SIGCHLD") else []
PATIENCE = 5.0  # seconds that workers have for ending


class Streamed(Waiting):
    """Batches of a split through torch's DataLoader: read by worker processes, copied from pinned memory.

    The loader reads the batches that it is given, in that order; order and augmentation are made elsewhere.
    """

    def __init__(self, split: Split, device: torch.device, workers: int) -> None:
        self.device = device
        self.planned: list[Rows] = []  # the rows of each batch that is to be read
        self.iterations = 0
        self.started = False  # the workers
        self.told = False  # that shared memory is short
        self.workers: list[BaseProcess] = []
        self.loader = DataLoader(
            _Rows(split),
            batch_size=None,  # an item is a batch already
            sampler=self.planned,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=partial(_start, os.getpid()),
            generator=torch.Generator(),  # its own: it draws a seed, which must not change dropout
        )

    def read(self, indices: Sequence[Tensor | slice], before: int = 0) -> Iterator[tuple[Any, ...]]:
        """Each batch as `samples` takes it: inputs and targets that are on the device, or on their way there."""
        self.planned[:] = [rows if isinstance(rows, slice) else rows.numpy() for rows in indices]
        self.iterations += 1
        iteration = self.iterations
        reading = _handed_over(self._reading())
        while (read := self._next(reading)) is not None:
            assert self.iterations == iteration, "another iteration has begun, and the workers read for that one"
            if isinstance(read, DataError):
                raise read
            inputs, targets, *short = read
            if any(short) and not self.told:
                self.told = True
                warn(f"batches come from workers through pipes, not shared memory, which is slower: {short[0]}")
            yield inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)

    def _next(self, reading: Iterator[Any]) -> Any:
        """The next batch, or None after the last."""
        self.waiting = True
        try:
            return next(reading, None)
        finally:
            self.waiting = False

    def _reading(self) -> Iterator[Any]:
        """The loader's iterator, for which workers may be started; those that are there have to answer first."""
        if self.started:
            self.waiting = True
            try:
                return iter(self.loader)
            finally:
                self.waiting = False
        if self.loader.num_workers:
            _check_files(self.loader.num_workers)
        others = multiprocessing.active_children()
        with blocked(*SIGNALS):
            reading: Iterator[Any] = iter(self.loader)
        if self.loader.num_workers:
            self.started = True
            self.workers = [child for child in multiprocessing.active_children() if child not in others]
            weakref.finalize(self, _end_workers, reading, self.workers, os.getpid())
        return reading

    def close(self, at_once: bool = False) -> None:
        """End the workers, if there are any; `at_once` whatever they are at."""
        reading, self.loader._iterator = self.loader._iterator, None
        if self.started and reading is not None:
            _end_workers(reading, self.workers, os.getpid(), 0.0 if at_once else PATIENCE)
        self.started = False


def _handed_over(reading: Iterator[Any]) -> Iterator[Any]:
    """What the workers read. One that is killed while it hands a batch over shows only as an error of its socket."""
    try:
        for read in reading:
            yield read.received() if isinstance(read, _Sent) else read
    except (ConnectionError, EOFError, FileNotFoundError) as error:
        if "DataLoader worker process" in str(error):  # it was raised in a worker, while it read samples
            raise
        raise RuntimeError("DataLoader worker was killed as it handed a batch over") from error


class _Rows(Dataset[Any]):
    """Reads batches, in a worker if there are any."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __getitem__(self, rows: Rows) -> Any:
        index = rows if isinstance(rows, slice) else torch.from_numpy(rows)
        try:
            batch = packed(self.split[index]), self.split.targets[index]
        except DataError as error:  # a broken file: the parent raises it, and shows it to the user
            return error
        return batch if get_worker_info() is None else _Sent(*batch)


class _Sent:
    """A batch on its way from a worker: its inputs in shared memory or, where that is short, in the message itself.

    torch would put them into shared memory in a thread of the worker's queue. An error there (no room in /dev/shm, of
    which containers have 64 MB, or no more open files) loses the batch, and the parent would wait for it for ever.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.targets = targets.numpy()
        self.short = ""  # why the inputs are not in shared memory
        try:
            if inputs.nbytes > free_shared_memory():  # before torch writes there: a full one kills the process
                raise OSError(f"a batch takes {inputs.nbytes / 2**20:.1f} MiB, and /dev/shm is full")
            self.inputs = bytes(ForkingPickler.dumps(_alone(inputs)))
        except (OSError, RuntimeError) as error:
            self.short = first_line(error)
            self.inputs = pickle.dumps(inputs.numpy())

    def received(self) -> tuple[Tensor, Tensor, str]:
        """Inputs and targets in the parent, and why they did not come through shared memory."""
        return torch.as_tensor(pickle.loads(self.inputs)), torch.from_numpy(self.targets), self.short

    def pin_memory(self) -> tuple[Tensor, Tensor, str]:
        """The same in pinned memory: torch's loader asks for it, for a GPU."""
        inputs, targets, short = self.received()
        return inputs.pin_memory(), targets.pin_memory(), short


def _check_files(workers: int) -> None:
    """Check that the files can be opened that workers need: pipes, and those of a few batches in shared memory.

    torch's loader would stop half-way, leave those behind that have started, and complain of that once more.

    Raises:
        OSError: They cannot.
    """
    handles = list[int]()
    try:
        with open(os.devnull, "rb") as probe:
            for _ in range(4 * workers + 8):
                handles.append(os.dup(probe.fileno()))  # those that are open are closed below
    finally:
        for handle in handles:
            os.close(handle)


def _alone(part: Tensor) -> Tensor:
    """A copy of a view, because all of what it is a view of would go to the parent with it."""
    return part.clone() if part.untyped_storage().nbytes() > part.nbytes else part


def _end_workers(reading: Any, workers: Sequence[BaseProcess], owner: int, patience: float = PATIENCE) -> None:
    """End the workers when their batches are no longer needed, and at exit.

    At exit that must come before Python terminates them, because a worker that is just starting misses the signal and
    is then waited for. It must also come before the garbage collector takes the loader's iterator apart, which closes
    the queues before the workers are told to end, and then waits five seconds for each. One that has not ended after
    `patience` seconds is killed.
    """
    if os.getpid() != owner:  # a worker, which inherits this from its parent
        return
    with handled(lambda signum: None, *SIGCHLD):  # torch's handler raises an error where a worker is killed
        if not patience:
            _kill(workers)
        late = threading.Timer(patience, _kill, (workers,))
        late.daemon = True
        late.start()
        reading._shutdown_workers()
        late.cancel()


def _kill(workers: Sequence[BaseProcess]) -> None:
    for worker in workers:
        with suppress(ValueError):  # it has been closed
            worker.kill()


def _start(parent: int, worker: int) -> None:
    """Put a worker into a process group of its own.

    Ctrl-C and `timeout` signal a whole group, and the parent needs its workers to finish its step.
    """
    end_with(parent)
    os.setpgid(0, 0)
    for early in SIGNALS & signal.sigpending():  # which were blocked until here
        signal.sigwait({early})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
