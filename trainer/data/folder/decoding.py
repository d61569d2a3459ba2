"""Many images read at once, and what is known of each afterwards: a digest, its levels, or why it cannot be read."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from trainer.data.cache_entry import Array
from trainer.data.digests import of_rows
from trainer.data.image import UnreadableError, Way, read_with_levels
from trainer.system.errors import DataError
from trainer.system.machine import cores
from trainer.system.workers import end_with

PARALLEL = 1000  # files, from which on several processes decode them


class Decoded(NamedTuple):
    """An image (H, W, C), its digest, and the lowest and highest value of 16 bits of grey (-1: it has none)."""

    pixels: Array | None
    digest: int
    low: int
    high: int


def decoded(path: str, way: Way, keep: bool = True) -> Decoded | str:
    """Read one image, and forget its pixels if they are not to be kept; the reason if it cannot be read."""
    try:
        pixels, levels = read_with_levels(path, way)
    except UnreadableError as error:
        return error.reason
    digest = int(of_rows(pixels.transpose(2, 0, 1)[None])[0])
    return Decoded(pixels if keep else None, digest, *(levels or (-1, -1)))


def each(paths: Sequence[str], function: Callable[[str], Any], nbytes: int) -> Iterator[Any]:
    """Call `function` for each file and yield the results in order; each takes `nbytes`.

    Processes on all cores share many files. Threads would wait for each other, for much of decoding is Python.
    """
    if (
        len(paths) < PARALLEL or cores() == 1 or multiprocessing.current_process().daemon
    ):  # a worker of a DataLoader may not start others
        yield from map(function, paths)
        return
    size = max(1, min(32, 2**22 // max(1, nbytes)))  # files whose results a process returns together
    with ProcessPoolExecutor(cores(), initializer=_start, initargs=(os.getpid(),)) as pool:
        try:
            yield from pool.map(function, paths, chunksize=size)
        except BrokenProcessPool as error:
            raise DataError(
                "a process that decodes images was killed", "perhaps for want of memory: free some, and try again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(parent: int) -> None:
    """Leave Ctrl-C, which reaches every process of the terminal, to the parent, which then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent)
