"""The end of a process that has done its command."""

import atexit
import os
import sys
from contextlib import suppress


class Leaving:
    """Ends the process with a `code`, once that is known, as the last of what is registered from now on for its end.

    Python would take torch and matplotlib apart first, module by module, which takes up to 0.4 s. Threads have been
    waited for by then, and files and other processes are seen to by what is registered. Without a code, Python ends
    the process as ever: an error of ours is on its way.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._leave)

    def _leave(self) -> None:
        if self.code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed, or full, which the command has said
                stream.flush()
        os._exit(self.code)
