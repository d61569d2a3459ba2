"""Files of images decoded by processes of their own while the model computes: in order, in constant memory."""

import ctypes
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, islice, repeat, tee
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from trainer.data.image import UnreadableError, Way, read_image
from trainer.system.errors import DataError
from trainer.system.machine import cores
from trainer.system.shown import shortened
from trainer.system.signals import ENDING, blocked
from trainer.system.workers import end_with

FEW = 200  # files up to which no process is worth its start
_WINDOW = 64  # files that are decoded, and given to the model, together
_SMALL = 8  # the same at the beginning
_BYTES = 2**22  # of pixels that are decoded together, at most
_AHEAD = 4  # windows that each process is given at once
_MOST = 16  # processes
_LONGEST = 200  # characters of a reason

Reasons = dict[int, str]


@dataclass(frozen=True)
class Window:
    """Some files and their `pixels` (N, H, W, C) uint8, for each way of reading one array; and why, by their place
    among them, some files cannot be read: the pixels of those mean nothing. It is to be used before the next is taken.
    `seconds` of a core is what it took another process to decode them, if one did.
    """

    paths: Sequence[str]
    pixels: Sequence[np.ndarray]
    reasons: Reasons
    seconds: float | None = None


def decoded(paths: Iterator[str], ways: Sequence[Way], rank: int = 0, ranks: int = 1) -> Iterator[Window]:
    """Read all files in each of the ways, and yield them in their order, some at a time.

    With several `ranks`, this one reads every so many-th window, and the others come without pixels.

    Raises:
        DataError: A process that decodes was killed, or this machine fails to read a file.
    """
    nbytes = sum(math.prod(way.shape) for way in ways)
    size = max(1, min(_WINDOW, _BYTES // nbytes))
    first = [*islice(paths, FEW + 1)]
    windows, every = tee(_windows(first, paths, size))
    with closing(_read(islice(windows, rank, None, ranks), ways, size, cores() // ranks, len(first) <= FEW)) as own:
        for number, window in enumerate(every):
            yield next(own) if number % ranks == rank else Window(window, (), {})


def _read(
    windows: Iterator[list[str]], ways: Sequence[Way], size: int, processes: int, few: bool
) -> Generator[Window, None, None]:
    if few or processes <= 1 or multiprocessing.current_process().daemon:
        yield from _here(windows, ways, size)
        return
    pool = _Pool(min(_MOST, processes), ways, size)
    try:
        yield from pool.decoded(windows)
    finally:
        pool.close()


def _windows(first: list[str], rest: Iterator[str], size: int) -> Iterator[list[str]]:
    paths = chain(first, rest)
    sizes = chain((min(_SMALL, size), min(_SMALL, size)), repeat(size))  # small ones tell what takes longer: `Threads`
    while window := [*islice(paths, next(sizes))]:
        yield window


def _here(windows: Iterator[list[str]], ways: Sequence[Way], size: int) -> Iterator[Window]:
    pixels = _arrays(bytearray(size * sum(math.prod(way.shape) for way in ways)), ways, size)
    for paths in windows:
        reasons = _fill(pixels, paths, ways)
        yield Window(paths, [array[: len(paths)] for array in pixels], reasons)


def _arrays(buffer: Any, ways: Sequence[Way], size: int) -> list[np.ndarray]:
    """For each way an array (size, H, W, C) in one piece of memory."""
    flat, place, arrays = np.frombuffer(buffer, dtype=np.uint8), 0, []
    for way in ways:
        length = size * math.prod(way.shape)
        arrays.append(flat[place : place + length].reshape(size, *way.shape))
        place += length
    return arrays


def _fill(pixels: Sequence[np.ndarray], paths: Sequence[str], ways: Sequence[Way]) -> Reasons:
    """Read files into the arrays of each way; why some cannot be read."""
    reasons = Reasons()
    for place, path in enumerate(paths):
        try:
            for array, way in zip(pixels, ways, strict=True):
                array[place] = read_image(path, way)
        except UnreadableError as error:
            reasons[place] = shortened(error.reason, _LONGEST)
    return reasons


class _Worker:
    """A process that decodes, the parent's end of the pipe to it, and how many windows it has not answered for."""

    def __init__(self, slots: Sequence[Any], ways: Sequence[Way], size: int) -> None:
        self.pipe, its = multiprocessing.Pipe()
        arguments = its, self.pipe, slots, ways, size, os.getpid()
        self.process = multiprocessing.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        its.close()
        self.busy = 0


class _Pool:
    """Processes that decode windows of files into memory which they share with the parent, its slots."""

    def __init__(self, count: int, ways: Sequence[Way], size: int) -> None:
        nbytes = size * sum(math.prod(way.shape) for way in ways)
        slots = [multiprocessing.RawArray(ctypes.c_uint8, nbytes) for _ in range(_AHEAD * count + 1)]
        self.arrays = [_arrays(slot, ways, size) for slot in slots]
        self.free = [*range(len(slots))]
        self.done: dict[int, tuple[Reasons, float]] = {}  # by slot, with the seconds that it took
        self.workers: list[_Worker] = []
        with blocked(*ENDING):
            for _ in range(count):
                self.workers.append(_Worker(slots, ways, size))

    def decoded(self, windows: Iterator[list[str]]) -> Iterator[Window]:
        """The windows in their order."""
        begun: deque[tuple[int, list[str]]] = deque()
        while True:
            while self.free and (worker := min(self.workers, key=_busy)).busy < _AHEAD:
                paths = next(windows, None)
                if paths is None:
                    break
                begun.append((self.free.pop(), paths))
                self._tell(worker, begun[-1])
            if not begun:
                return
            slot, paths = begun.popleft()
            while slot not in self.done:
                self._hear(None)
            yield Window(paths, [array[: len(paths)] for array in self.arrays[slot]], *self.done.pop(slot))
            self.free.append(slot)
            self._hear(0)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()

    def _tell(self, worker: _Worker, task: tuple[int, list[str]]) -> None:
        try:
            worker.pipe.send(task)
        except OSError as error:
            raise _killed() from error
        worker.busy += 1

    def _hear(self, timeout: float | None) -> None:
        """Take what the processes have answered; without a timeout, wait for one."""
        ready = wait([worker.pipe for worker in self.workers], timeout)
        for worker in self.workers:
            if worker.pipe not in ready:
                continue
            try:
                slot, answer = worker.pipe.recv()
            except (EOFError, OSError) as error:
                raise _killed() from error
            if isinstance(answer, DataError):
                raise answer
            self.done[slot] = answer
            worker.busy -= 1


def _busy(worker: _Worker) -> int:
    return worker.busy


def _killed() -> DataError:
    return DataError("a process that decodes images was killed", "perhaps for want of memory: free some, and try again")


def _work(pipe: Connection, parents: Connection, slots: Sequence[Any], ways: Sequence[Way], size: int, by: int) -> None:
    """Decode windows until the parent ends this process. Ctrl-C, which reaches it, too, is left to the parent."""
    end_with(by)
    parents.close()
    for signum in ENDING:
        signal.signal(signum, signal.SIG_IGN if signum == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    arrays = [_arrays(slot, ways, size) for slot in slots]
    with suppress(EOFError, BrokenPipeError):  # the parent has ended
        while True:
            slot, paths = pipe.recv()
            begun = time.process_time()
            try:
                reasons = _fill(arrays[slot], paths, ways)
            except DataError as error:  # of this machine, and not of a file
                pipe.send((slot, error))
            else:
                pipe.send((slot, (reasons, time.process_time() - begun)))
