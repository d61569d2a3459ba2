"""Processes that work for another: they end with it, however it ends."""

import ctypes
import multiprocessing
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """In a worker that the main thread of `parent` has started: be killed when that is, were it by SIGKILL.

    Linux does it, when the thread ends. Elsewhere a worker notices when it next wants something from its parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if _orphaned(parent):  # before that
        os._exit(1)


def _orphaned(parent: int) -> bool:
    if multiprocessing.get_start_method() != "forkserver":
        return os.getppid() != parent
    creator = multiprocessing.parent_process()  # a server forked us, and ends with `parent`
    return creator is not None and not creator.is_alive()
