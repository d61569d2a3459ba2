"""Processes that work for another process end with it, however it ends."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """In a worker that `parent` has started: end this process when the parent ends, were it by SIGKILL.

    Linux kills a child when the thread ends that forked it. A worker that a server of multiprocessing forked, or one
    on another system, has a thread that waits for the parent's end of a pipe to close.
    """
    if os.getppid() == parent and end_with_starter():
        return
    creator = multiprocessing.parent_process()
    if creator is None or not creator.is_alive():
        os._exit(1)
    threading.Thread(target=_end_after, args=(creator,), daemon=True).start()


def end_with_starter() -> bool:
    """End this process when the one ends that has forked it, were it stopped by then; whether the system sees to that.

    In a process that a server of multiprocessing has forked, that is the server, which ends with `parent`.
    """
    if sys.platform != "linux":
        return False
    starter = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return starter != 1 and os.getppid() == starter  # else it ended before the system knew


def born(process: int) -> int | None:
    """When a process was started, in ticks since the machine was; None if it has ended, or the system does not say."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return None if state in (b"Z", b"X") else int(fields[18])
    except (OSError, ValueError, IndexError):
        return None


def _end_after(creator: multiprocessing.process.BaseProcess) -> None:
    creator.join()
    os._exit(1)
