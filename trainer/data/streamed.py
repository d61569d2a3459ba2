"""Samples that do not fit on the device: batches that workers read while it computes."""

import os
import signal
import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from trainer.data.splits import Split, packed
from trainer.system.errors import DataError
from trainer.system.workers import end_with

Rows = np.ndarray[Any, Any] | slice  # NumPy's: a tensor would go to a worker through shared memory
SIGNALS = {signal.SIGINT, signal.SIGTERM}


class Streamed:
    """Batches of a split through torch's DataLoader: read by worker processes, copied from pinned memory.

    The loader reads what it is told, in that order; the order and the augmentation are not its business.
    """

    order_device = torch.device("cpu")

    def __init__(self, split: Split, device: torch.device, workers: int) -> None:
        self.device = device
        self.plan = _Plan()
        self.started = False  # the workers
        self.loader = DataLoader(
            _Rows(split),
            batch_size=None,  # an item is a batch already
            sampler=self.plan,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=partial(_start, os.getpid()),
            generator=torch.Generator(),  # its own, for it draws a seed from it: dropout must not notice
        )

    def read(self, indices: Sequence[Tensor | slice]) -> Iterator[tuple[Any, ...]]:
        """Each batch as `samples` takes it: inputs and targets that are on the device, or on their way there."""
        self.plan.batches = planned = [rows if isinstance(rows, slice) else rows.numpy() for rows in indices]
        for read in _handed_over(self._reading()):
            assert self.plan.batches is planned, "another iteration has begun, and the workers read for that one"
            if isinstance(read, DataError):
                raise read
            inputs, targets = read
            yield inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)

    def _reading(self) -> Iterator[Any]:
        """The loader's iterator; workers are started with the signals blocked that are not for them."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            reading: Iterator[Any] = iter(self.loader)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self.loader.num_workers and not self.started:
            self.started = True
            weakref.finalize(self, _end_workers, reading, os.getpid())
        return reading

    def close(self) -> None:
        """End the workers, if there are any."""
        reading, self.loader._iterator = self.loader._iterator, None
        if self.started and reading is not None:
            reading._shutdown_workers()  # type: ignore[attr-defined]
        self.started = False

    def samples(self, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch; images are (B, H, W, C)."""
        return inputs, targets


def _handed_over(reading: Iterator[Any]) -> Iterator[Any]:
    """What workers read. One that is killed just as it hands a batch over is missed at the other end of a socket."""
    try:
        yield from reading
    except (ConnectionError, EOFError, FileNotFoundError) as error:
        if "DataLoader worker process" in str(error):  # raised in a worker, by what reads the samples
            raise
        raise RuntimeError("DataLoader worker was killed as it handed a batch over") from error


class _Plan(Sampler[Rows]):
    """The rows of each batch to come."""

    def __init__(self) -> None:
        self.batches: list[Rows] = []

    def __iter__(self) -> Iterator[Rows]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Rows(Dataset[Any]):
    """Reads batches; in a worker."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __getitem__(self, rows: Rows) -> Any:
        index = rows if isinstance(rows, slice) else torch.from_numpy(rows)
        try:
            batch = packed(self.split[index]), self.split.targets[index]
        except DataError as error:  # a broken file: raised in the parent, where it is shown
            return error
        return batch if get_worker_info() is None else tuple(map(_alone, batch))


def _alone(part: Tensor) -> Tensor:
    """Without the rest of what it is a view of, all of which would go to the parent with it."""
    return part.clone() if part.untyped_storage().nbytes() > part.nbytes else part


def _end_workers(reading: Any, owner: int) -> None:
    """When the batches are no longer wanted, and at exit.

    At exit before Python terminates them: a worker that is just starting misses that, and would be waited for. And
    before the garbage collector takes the loader's iterator to pieces: it then closes the queues before the iterator
    can say in them that all is over, and waits five seconds for each worker.
    """
    if os.getpid() == owner:  # a worker inherits what another run has left
        reading._shutdown_workers()


def _start(parent: int, worker: int) -> None:
    """Ctrl-C and `timeout` signal a whole process group, where the parent is to finish its step: not the workers'."""
    end_with(parent)
    os.setpgid(0, 0)
    for early in SIGNALS & signal.sigpending():  # blocked until here
        signal.sigwait({early})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
