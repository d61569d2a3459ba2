"""How processes that need torch are started: forked from a server that has imported what all of them need.

One is there after 0.05 s instead of 2 s. The server computes nothing, so it has neither threads of torch's nor CUDA,
which would not survive a fork. Each process initialises its own CUDA, which reads CUDA_VISIBLE_DEVICES only then.
"""

import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path

import trainer
from trainer.system.signals import blocked
from trainer.system.workers import end_with


def start(*modules: str) -> BaseContext:
    """How processes are started; the server is begun, and imports `modules` while this process goes on.

    The first of them calls `serving`. The server ends with this process, and there is one of it at most: the modules
    of a later call are not imported ahead.
    """
    # Apple's libraries do not allow a fork once they are loaded. The server's socket, whose path has at most 107 bytes,
    # is in the temporary folder; its name there has 32.
    if sys.platform != "linux" or len(os.fsencode(tempfile.gettempdir())) > 75:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*modules])
    with environment(importing()):
        resource_tracker.ensure_running()  # first, for starting it unblocks SIGINT
        with blocked(signal.SIGINT):  # until the server ignores the signal itself
            forkserver.ensure_running()
    return context


def serving() -> None:
    """Called in the server, before all else: only its parent ends it."""
    os.setpgid(0, 0)  # or what the terminal sends to all processes of its group would reach it, and those it forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # `start` has started it with this one blocked
    end_with(os.getppid())  # at once: Python takes a second to leave torch, in which it would hold the terminal
    gc.disable()  # to look for garbage in what torch imports takes a fifth of the time; each process enables it


def importing() -> dict[str, str]:
    """Environment variables by which the server, and a worker, import what this process has imported.

    The current directory is left out, where a `socket.py` of the user's would be taken for Python's own: `Place` brings
    it to the end of a worker's path. Only where trainer itself lies in it, it has to be there.
    """
    entries = [entry for entry in map(os.path.abspath, sys.path) if entry != os.getcwd() or lies_in(entry)]
    return {"PYTHONPATH": os.pathsep.join(entries), "PYTHONSAFEPATH": "1"}


def lies_in(folder: str) -> bool:
    """Whether trainer is imported from `folder`: a copy of its repository, say."""
    return Path(trainer.__file__).parent.parent == Path(folder)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Within the block, processes are started with these variables, too."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
