"""Samples that are read from a file a window at a time, the next one by a thread while this one is trained on."""

import math
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.data.cache import Mapped
from trainer.data.cache_entry import Array
from trainer.data.splits import Samples, Split, packed
from trainer.data.waiting import Waiting
from trainer.system.errors import DataError

GAP = 2**16  # bytes that nobody wants, but which are read with those before and after them, for that is faster
PIECE = 2**22  # bytes that are read at once where there are such

Window = tuple[Tensor, Tensor]  # some samples, and which of them (N,) each one of a window is


class Windows(Waiting):
    """Batches of a split, of which memory holds two windows of `batches` batches: one in use, and the next.

    A window may be of any samples: they are read in the order in which they lie, and those that lie together at once.
    Which order is fast is for others to say (`trainer.data.shuffle`); none is wrong.
    """

    def __init__(self, split: Split, device: torch.device, batches: int) -> None:
        self.split, self.device, self.batches = split, device, batches
        samples = split.samples
        self.lying = _File(samples) if isinstance(samples, Mapped) else _Elsewhere(samples)

    def read(self, indices: Sequence[Tensor | slice], before: int = 0) -> Iterator[tuple[Any, ...]]:
        """Each batch as `samples` takes it: inputs and targets that are on the device, or on their way there.

        There were so many batches `before` these in the epoch, of which each `batches` are a window.

        Raises:
            DataError: The file cannot be read, or is shorter than it was.
        """
        first = self.batches - before % self.batches
        starts = [0, *range(first, len(indices), self.batches)]
        windows = [indices[start:end] for start, end in pairwise((*starts, len(indices))) if start < end]
        buffers = _Buffer(), _Buffer()
        ahead = None
        for number, window in enumerate(windows):
            read = self._wait(ahead or _Ahead(self._window, window, buffers[0]))
            if number + 1 < len(windows):  # into the buffer of the window before, which nobody needs any more
                ahead = _Ahead(self._window, windows[number + 1], buffers[(number + 1) % 2])
            rows, places = read
            done = 0
            for batch in window:
                targets = self.split.targets[batch]
                yield self._batch(rows, places[done : done + len(targets)]), targets.to(self.device)
                done += len(targets)

    def _window(self, window: Sequence[Tensor | slice], buffer: "_Buffer") -> Window:
        every = [_numbers(batch, len(self.split)) for batch in window]
        wanted = torch.cat(every)
        rows = wanted if self.split.rows is None else self.split.rows[wanted]
        different, places = np.unique(rows.numpy(), return_inverse=True)
        found = buffer.of((len(different), *self.lying.shape), self.lying.dtype)
        self.lying.read(different, found)
        return torch.from_numpy(found), torch.from_numpy(places)

    def _wait(self, ahead: "_Ahead") -> Window:
        self.waiting = True
        try:
            return ahead.result()
        finally:
            self.waiting = False

    def _batch(self, rows: Tensor, places: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return rows.index_select(0, places).to(self.device)
        pinned = torch.empty((len(places), *rows.shape[1:]), dtype=rows.dtype, pin_memory=True)
        return torch.index_select(rows, 0, places, out=pinned).to(self.device, non_blocking=True)

    def close(self, at_once: bool = False) -> None:
        """A thread that reads ends by itself."""


def _numbers(batch: Tensor | slice, total: int) -> Tensor:
    return batch if isinstance(batch, Tensor) else torch.arange(*batch.indices(total))


class _Buffer:
    """Memory for one window after the other: to allocate it anew would cost as much as to read it."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)

    def of(self, shape: tuple[int, ...], dtype: Any) -> Array:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if len(self.memory) < size:
            self.memory = np.empty(size, np.uint8)
        found: Array = self.memory[:size].view(dtype).reshape(shape)
        return found


class _Ahead:
    """Work that a thread of its own does. A program does not wait for one that hangs in a disk when it ends."""

    def __init__(self, work: Callable[..., Window], *given: Any) -> None:
        self.found: Window | BaseException | None = None
        self.done = threading.Event()
        threading.Thread(target=self._do, args=(work, *given), name="windows", daemon=True).start()

    def _do(self, work: Callable[..., Window], *given: Any) -> None:
        try:
            self.found = work(*given)
        except BaseException as error:  # for the thread that waits
            self.found = error
        finally:
            self.done.set()

    def result(self) -> Window:
        self.done.wait()
        if isinstance(self.found, BaseException):
            raise self.found
        assert self.found is not None
        return self.found


class _File:
    """Samples in a file of the cache, which are read and not mapped: so memory holds those that are asked for alone."""

    def __init__(self, mapped: Mapped) -> None:
        self.path, self.file = mapped.path, mapped.file()
        weakref.finalize(self, self.file.close)
        self.start = self.file.tell()
        self.shape, self.dtype = mapped.lying[1:], packed(mapped[:1]).numpy().dtype
        self.size = math.prod(self.shape) * self.dtype.itemsize
        self.gap = max(1, GAP // self.size)

    def read(self, rows: Array, out: Array) -> None:
        """Read the samples of these numbers, which ascend, into `out`."""
        handle, size = self.file.fileno(), self.size
        cuts = [0, *(np.flatnonzero(np.diff(rows) > self.gap) + 1).tolist(), len(rows)]
        runs = [(a, b, int(rows[a]), int(rows[b - 1]) + 1) for a, b in pairwise(cuts) if a < b]
        if hasattr(os, "posix_fadvise"):  # all at once: a disk is faster with many reads at hand
            for _, _, first, end in runs:
                os.posix_fadvise(handle, self.start + first * size, (end - first) * size, os.POSIX_FADV_WILLNEED)
        for a, b, first, end in runs:
            if end - first == b - a:
                self._fill(out[a:b], first)
            else:
                self._pick(rows[a:b], out[a:b])

    def _pick(self, rows: Array, out: Array) -> None:
        """Read samples with gaps between them, a piece of the file at a time."""
        piece = np.empty((max(1, PIECE // self.size), *self.shape), self.dtype)
        done = 0
        while done < len(rows):
            first = rows[done]
            end = int(np.searchsorted(rows, first + len(piece)))
            last = int(rows[end - 1]) + 1
            self._fill(piece[: last - first], int(first))
            np.take(piece, rows[done:end] - first, axis=0, out=out[done:end], mode="clip")
            done = end

    def _fill(self, out: Array, first: int) -> None:
        into, place = out.reshape(-1).view(np.uint8).data, self.start + first * self.size
        try:
            while into:
                count = os.preadv(self.file.fileno(), [into], place)
                if not count:
                    raise DataError(f"{self.path} is shorter than it was (its source may have changed)", "start again")
                into, place = into[count:], place + count
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error


class _Elsewhere:
    """Samples of another kind, which are asked for as it says."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        first = packed(samples[:1]).numpy()
        self.shape, self.dtype, self.size = first.shape[1:], first.dtype, max(1, first.nbytes)

    def read(self, rows: Array, out: Array) -> None:
        """Read the samples of these numbers, which ascend, into `out`."""
        step = max(1, PIECE // self.size)
        for at in range(0, len(rows), step):
            some = torch.from_numpy(rows[at : at + step])
            out[at : at + step] = packed(self.samples[some]).numpy()
