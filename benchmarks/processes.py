"""One process, measured from outside: wall-clock time, CPU time, peak memory, and what others did meanwhile.

This process must stay small, and never import torch: until a child runs its own program its memory is ours, and
the kernel counts that peak too.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import guard

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
KILOBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


@dataclass(frozen=True)
class Ran:
    """A process that has ended."""

    code: int
    started: float  # on the monotonic clock, which all processes share
    wall: float
    cpu: float  # its own and its children's
    memory: int  # bytes, the largest process of the tree
    others: float | None  # CPU seconds of everybody else, where the system counts them
    report: dict[str, Any]  # what it wrote where BENCHMARK_REPORT said
    said: str  # the end of its output


def run(words: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Ran:
    """`python WORDS...` in `directory`, which must be its own; waits for the end."""
    report, log = directory / "report.json", directory / "output.log"
    busy, own, before = guard.busy(), _own(), _children()
    _adopt_orphans(True)
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=directory,
            env={**environment, "BENCHMARK_REPORT": str(report)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children end with it
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # reaped above: Popen need not
    cpu = usage.ru_utime + usage.ru_stime + _of_orphans(before)
    _adopt_orphans(False)
    after = guard.busy()
    # A counter that stands still is none: some sandboxes show a /proc/stat of zeros.
    others = None
    if busy is not None and after is not None and after > busy:
        others = max(0.0, after - busy - cpu - (_own() - own))
    return Ran(
        code=process.returncode,
        started=started,
        wall=wall,
        cpu=cpu,
        memory=usage.ru_maxrss * KILOBYTE,
        others=others,
        report=json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
        said=log.read_text(encoding="utf-8", errors="replace")[-2000:],
    )


def _adopt_orphans(whether: bool) -> None:
    """Whether processes whose parents have ended become children of this one, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(whether))


def _of_orphans(before: set[int]) -> float:
    """CPU seconds of what a command has left behind and ends with it: the server of workers, or of ranks, and these.

    Children that were there `before` are not its.
    """
    cpu, last = 0.0, time.monotonic() + 2
    while (left := _children() - before) and time.monotonic() < last:
        for child in left:
            pid, _, usage = os.wait4(child, os.WNOHANG)
            cpu += usage.ru_utime + usage.ru_stime if pid else 0.0
        time.sleep(0.01)
    return cpu


def _children() -> set[int]:
    """The processes that are this one's children, where the system tells."""
    try:
        return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
    except OSError:
        return set()


def _own() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
