"""Torch's first import in a process."""

import gc
import sys

from trainer.system import signals


def import_torch() -> None:
    """Import torch, unless it is there: signals wait until it is whole, for it may break where one interrupts it.

    Torch makes a million objects that stay until the end. Python's garbage collector would look through them again
    and again, while torch is imported and with each of the large libraries that come later: a third of the time of
    `trainer train` until its first step. They are set aside from it for good.
    """
    if "torch" in sys.modules:
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        with signals.delayed():
            import torch  # noqa: F401
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
