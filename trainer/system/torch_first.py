"""The way to torch's first import in a process."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.system import signals
from trainer.system.garbage import uncollected


@contextmanager
def set_aside() -> Iterator[None]:
    """What is made within the block stays until the end of the process, unless torch is there already.

    Python's garbage collector would look through it again and again, while it is made and with each of the large
    libraries that come later. It rests within the block, and what is there after it is set aside from it for good.
    """
    if "torch" in sys.modules:  # many commands in one process, of which each leaves garbage
        yield
        return
    with uncollected():
        yield
        gc.freeze()


def import_torch() -> None:
    """Import torch, unless it is there: signals wait until it is whole, for it may break where one interrupts it.

    Torch makes a million objects, and looking through them took a third of the time of `trainer train` until its first
    step.
    """
    if "torch" not in sys.modules:
        with set_aside(), signals.delayed():
            import torch  # noqa: F401
