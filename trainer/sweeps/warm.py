"""How the workers of `sweep=parallel` are started: forked from a server that has imported what every job needs.

A worker is there after 0.05 s instead of 2 s. The server computes nothing, so it has neither threads of torch's nor
CUDA, which would not survive a fork. Each worker initialises its own CUDA, which reads CUDA_VISIBLE_DEVICES only then.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path

import trainer
from trainer.system.signals import blocked

PRELOADED = "trainer.sweeps.preload"
BOARD = "trainer.run.hooks.tensorboard"  # a fifth of a second, which a job without it need not wait for


def start(words: Collection[str] = ()) -> BaseContext:
    """How workers are started; the server is begun, and imports while this process goes on.

    It may be called before the `words` of a command have been checked: the server ends with this process.
    """
    # Apple's libraries do not allow a fork once they are loaded. The server's socket, whose path has at most 107 bytes,
    # is in the temporary folder; its name there has 32.
    if sys.platform != "linux" or len(os.fsencode(tempfile.gettempdir())) > 75:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED, *([] if "tensorboard.enabled=false" in words else [BOARD])])
    with environment(importing()):
        resource_tracker.ensure_running()  # first, for starting it unblocks SIGINT
        with blocked(signal.SIGINT):  # until the server ignores the signal itself
            forkserver.ensure_running()
    return context


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
