"""The server that the workers of `sweep=parallel` are forked from, begun before the words of a command are checked."""

from collections.abc import Collection
from multiprocessing.context import BaseContext

from trainer.system import forking

PRELOADED = "trainer.sweeps.preload"
BOARD = "trainer.run.hooks.tensorboard"  # a fifth of a second, which a job without it need not wait for


def start(words: Collection[str] = ()) -> BaseContext:
    """How workers are started; the `words` are those of the command."""
    return forking.start(PRELOADED, *([] if "tensorboard.enabled=false" in words else [BOARD]))
