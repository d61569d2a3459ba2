"""Processes that work for another process end with it, however it ends."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """In a worker that `parent` has started: end this process when the parent ends, were it by SIGKILL.

    Linux kills a child when the thread ends that forked it. A worker that a server of multiprocessing forked, or one
    on another system, has a thread that waits for the parent's end of a pipe to close.
    """
    if sys.platform == "linux" and os.getppid() == parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # else the parent ended before the system knew
            return
    creator = multiprocessing.parent_process()
    if creator is None or not creator.is_alive():
        os._exit(1)
    threading.Thread(target=_end_after, args=(creator,), daemon=True).start()


def _end_after(creator: multiprocessing.process.BaseProcess) -> None:
    creator.join()
    os._exit(1)
