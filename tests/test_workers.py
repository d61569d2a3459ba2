"""Processes that work for another end with it, were it killed with -9: seen by the pipe that they all hold open."""

import multiprocessing
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pretending
import pytest
import sleeping
import torch
from folders import tree

from trainer import data
from trainer.data.folder import decoding
from trainer.data.sets.folder import Folder
from trainer.data.splits import Split
from trainer.data.streamed import Streamed
from trainer.system.workers import end_with

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the system does not end a process with its parent"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
LONG = 60  # seconds, of which none is waited for
forked = multiprocessing.get_context("fork")
Say = Callable[[], None]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    os.close(ends[0])


def killed(pipe: tuple[int, int], work: Callable[[Say], None], workers: int) -> int | None:
    """Kill the process that does `work` once so many of its workers have said something.

    Its exit code; None if it had ended before. What is left of it is waited for: it holds the pipe open.
    """
    reading, writing = pipe
    process = forked.Process(target=work, args=(lambda: os.write(writing, b"x") and None,))
    process.start()
    os.close(writing)
    try:
        for _ in range(workers):
            assert select.select([reading], [], [], 30)[0], "no worker has begun"
            assert os.read(reading, 1) == b"x"
        before = process.exitcode
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(20)
        while select.select([reading], [], [], 20)[0]:
            if not os.read(reading, 1):
                return process.exitcode if before is None else None
        raise AssertionError("a process lives on")
    finally:
        process.kill()


def _sleep(say: Say, parent: int) -> None:
    end_with(parent)
    say()
    time.sleep(LONG)


def _one_child(say: Say) -> None:
    child = forked.Process(target=_sleep, args=(say, os.getpid()))
    child.start()
    child.join()


def test_a_child_is_killed_with_its_parent(pipe: tuple[int, int]) -> None:
    assert killed(pipe, _one_child, 1) == -signal.SIGKILL


def _sleep_as_an_orphan(say: Say, parent: int) -> None:
    say()
    while os.getppid() == parent:
        time.sleep(0.01)
    end_with(parent)
    time.sleep(LONG)


def test_a_child_whose_parent_was_killed_before_it_could_say_so_ends(pipe: tuple[int, int]) -> None:
    def work(say: Say) -> None:
        child = forked.Process(target=_sleep_as_an_orphan, args=(say, os.getpid()))
        child.start()
        child.join()

    assert killed(pipe, work, 1) == -signal.SIGKILL


def _children_of_a_server(say: Say, writing: int) -> None:
    forkserver._forkserver.__init__()  # one that the tests have started is no child of this process
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([])
    for _ in range(2):
        context.Process(target=sleeping.say_and_sleep, args=(Connection(os.dup(writing)), os.getpid())).start()
    time.sleep(LONG)


def test_children_that_a_server_has_forked_are_killed_with_the_process_that_asked_for_them(
    pipe: tuple[int, int],
) -> None:
    assert killed(pipe, lambda say: _children_of_a_server(say, pipe[1]), 2) == -signal.SIGKILL


def test_processes_that_decode_are_killed_with_their_parent(
    pipe: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, {"a": 5, "b": 5})
    pretending.parallel_decoding(monkeypatch)

    def work(say: Say) -> None:
        global _say
        _say = say
        decoding.read_with_levels = _reads_for_long
        data.load(Folder(path=str(tmp_path), size=700, cache=None))

    assert killed(pipe, work, 2) == -signal.SIGKILL


def _reads_for_long(path: str, way: object) -> np.ndarray:
    _say()
    time.sleep(LONG)
    raise AssertionError("it was to be killed")


class Slow:
    """Samples that take long to read."""

    shape, dtype = torch.Size((8, 3, 2, 2)), torch.uint8

    def __init__(self, say: Say) -> None:
        self.say = say

    def __getitem__(self, index: object) -> torch.Tensor:
        self.say()
        time.sleep(LONG)
        raise AssertionError("it was to be killed")


def test_workers_that_read_batches_are_killed_with_their_parent(pipe: tuple[int, int]) -> None:
    """Those of torch's look for their parent as well, but only between batches."""

    def work(say: Say) -> None:
        split = Split(Slow(say), torch.arange(8))
        streamed = Streamed(split, torch.device("cpu"), 2)
        list(streamed.read([slice(0, 4), slice(4, 8)]))

    assert killed(pipe, work, 2) == -signal.SIGKILL
