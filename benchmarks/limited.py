"""A command that gets so much memory and no more, the page cache of its files included: in a control group of its own.

Where none can be made, the limit is on the memory of the process itself (RLIMIT_DATA), and says nothing of the cache.
"""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TOP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Peak:
    """The most bytes that a command took: of its own (`anonymous`), and of what its group was charged for (0: none)."""

    anonymous: int
    charged: int


@contextmanager
def group(limit: int | None) -> Iterator[Path | None]:
    """A control group below that of this process which may take `limit` bytes; None: it cannot be made."""
    made = None
    for folder, name in _own() if limit is not None else ():
        with suppress(OSError):
            child = folder / f"benchmark-{os.getpid()}"
            child.mkdir()
            made = child
            (child / name).write_text(str(limit))
            break
    try:
        yield made
    finally:
        if made is not None:
            made.rmdir()


def _own() -> Iterator[tuple[Path, str]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield Path(f"{TOP}/memory{path}"), "memory.limit_in_bytes"
        elif not controllers:
            yield Path(f"{TOP}{path}"), "memory.max"


def run(words: Sequence[str], limit: int | None, log: Path) -> Peak:
    """`python WORDS...`, which must end well, with its output in `log`; it ends with this process, too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with group(limit) as place:

        def enter() -> None:
            if place is not None:
                (place / "cgroup.procs").write_text(str(os.getpid()))
            elif limit is not None:
                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=enter,
            )
            anonymous = 0
            try:
                while child.poll() is None:
                    anonymous = max(anonymous, _anonymous(child.pid))
                    time.sleep(0.05)
            finally:
                child.kill()
                child.wait()
        charged = 0
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            with suppress(OSError):
                charged = int((place / name).read_text()) if place is not None else 0
    if child.returncode:
        sys.exit(f"the command ended with {child.returncode}:\n{log.read_text()[-3000:]}")
    return Peak(anonymous, charged)


def _anonymous(pid: int) -> int:
    with suppress(OSError):
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def forget(path: Path) -> None:
    """Let the system drop what it holds of a file, so that the next who reads it reads the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
