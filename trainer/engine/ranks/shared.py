"""What ranks of one machine send one another through memory that they share.

A message of gloo's goes through the kernel and wakes a thread at either end: on two quiet cores 1.35 ms for the
gradients of `lenet`, of whose steps each takes 2 ms. Here a rank copies its values to its place, and looks at a number
beside those of the others until theirs are there, too: 0.05 ms.
"""

import mmap
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from trainer.engine.ranks import Ranks
from trainer.system.errors import LostRankError
from trainer.system.workers import born

LARGEST = 2**23  # bytes of a message: of larger ones the copying counts, and not the waking
LINE = 8  # numbers that lie together in a cache: a rank that writes one disturbs nobody who reads another
HEAD = 16  # bytes by which the memory is known to be the right one
LOOKS = 500  # at a number in a row
SPIN, NAP = 0.005, 0.0002  # seconds of waiting from which on a rank sleeps between its looks, and how long
ALIVE = 0.05  # seconds between two looks at whether the others are still there


class Shared:
    """The `memory` of all ranks, whose processes are `peers`: numbers and times of birth, in the order of ranks.

    Each has two places, in turn: who fills one for the second time knows that all have read what it held, for they
    have filled their other one since. What was written is there before the number that says so, which is how
    processors of the x86-64 kind work; on others this is not used.
    """

    def __init__(self, memory: mmap.mmap, rank: int, peers: Sequence[list[int]], timeout: float) -> None:
        self.memory, self.rank, self.peers, self.timeout = memory, rank, peers, timeout
        self.numbers = memoryview(memory)[HEAD : _places(len(peers))].cast("q")  # of messages; beside it: has left
        self.number = 0
        self._known: dict[Any, tuple[Tensor, ...]] = {}

    def exchanged(self, values: Tensor) -> Tensor | None:
        """The `values` of all ranks in a row, (size, N); they are to be read before the next message.

        None: they are none that go this way, on any rank.

        Raises:
            LostRankError: Another rank has ended, or has not answered in time.
        """
        if values.device.type != "cpu" or not 0 < values.nbytes <= LARGEST or not values.is_contiguous():
            return None
        self.number += 1
        of_all = self._place(values, self.number % 2)
        of_all[self.rank].copy_(values.view(-1))
        self.numbers[self.rank * LINE] = self.number
        for other in range(len(self.peers)):
            if self.numbers[other * LINE] < self.number:
                self._wait(other)
        return of_all

    def _place(self, values: Tensor, turn: int) -> Tensor:
        key = values.dtype, values.numel()
        if key not in self._known:
            size, start, row = len(self.peers), _places(len(self.peers)), LARGEST // values.itemsize
            length = values.numel()
            both = (
                torch.frombuffer(self.memory, dtype=values.dtype, count=size * row, offset=start + one * size * LARGEST)
                for one in (0, 1)
            )
            self._known[key] = tuple(each.view(size, row)[:, :length] for each in both)
        return self._known[key][turn]

    def _wait(self, other: int) -> None:
        """Until the message of `other` is there. A rank that is stopped, and with it all, loses no time by that."""
        at, waited, looked = other * LINE, 0.0, 0.0
        last = time.monotonic()
        while True:
            for _ in range(LOOKS):
                if self.numbers[at] >= self.number:
                    return
            if waited < SPIN:
                os.sched_yield()
            else:
                time.sleep(NAP)
            now = time.monotonic()
            waited, last = waited + min(1.0, now - last), now
            due = waited - looked > ALIVE
            looked = waited if due else looked
            if self.numbers[at + 1] or (due and born(self.peers[other][0]) != self.peers[other][1]):
                if self.numbers[at] >= self.number:  # it had said this before it left
                    return
                raise LostRankError("its process is gone")
            if waited > self.timeout:
                raise LostRankError(f"it was silent for {self.timeout:g} s")

    def leave(self) -> None:
        """Tell the others that no more messages come."""
        self.numbers[self.rank * LINE + 1] = 1


def _places(size: int) -> int:
    """Where the places begin, in bytes."""
    return -(-(HEAD + size * LINE * 8) // mmap.PAGESIZE) * mmap.PAGESIZE


def shared(ranks: Ranks, timeout: float) -> Shared | None:
    """The memory that `ranks` share, if they are on one machine that has it, and all can reach it.

    It has no name in any folder, so that nothing is left of it, however they end: rank 0 has made it, and the others
    come to it by way of its process.
    """
    usable = sys.platform == "linux" and platform.machine() == "x86_64"
    mark, made = os.urandom(HEAD), -1
    size = _places(ranks.size) + 2 * ranks.size * LARGEST
    if usable and ranks.first:
        with suppress(OSError):
            made = os.memfd_create("ranks")
            os.ftruncate(made, size)  # of which only what is written takes memory
            os.pwrite(made, mark, 0)
    offered: list[Any] = [os.getpid(), made, mark.hex()]
    owner, number, known = ranks.told(offered)
    peers: list[Any] = ranks.of_all([os.getpid(), born(os.getpid())])
    memory = None
    if usable and all(since is not None and born(process) == since for process, since in peers):
        with suppress(OSError, ValueError):
            memory = _mapped(f"/proc/{owner}/fd/{number}", size, bytes.fromhex(known))
    all_have = all(ranks.of_all(memory is not None))
    if made >= 0:
        os.close(made)
    return Shared(memory, ranks.rank, peers, timeout) if memory is not None and all_have else None


def _mapped(path: str, size: int, mark: bytes) -> mmap.mmap | None:
    """The memory, if it is the one with this `mark`: another machine has other things by the same numbers."""
    opened = os.open(path, os.O_RDWR)
    try:
        memory = mmap.mmap(opened, size)
    finally:
        os.close(opened)
    return memory if memory[: len(mark)] == mark else None
