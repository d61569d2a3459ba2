"""Python's search for garbage, put off while much is made at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage within the block.

    Each search goes through all that the program has, 0.1 s once torch is imported: importing matplotlib takes 0.3 s
    with the searches and 0.2 s without, and pictures have thousands of objects, too.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
