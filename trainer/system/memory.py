"""How much memory is free, on a device and on this machine."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

RESIDENT_SHARE = 0.5  # of a device's free memory: so much of it may samples take unless the user says otherwise


def free_shared_memory() -> int:
    """Bytes that are free in /dev/shm, where processes share tensors; endless where the system has no such folder."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return sys.maxsize
    return found.f_bavail * found.f_frsize


def free_memory(device: torch.device) -> int:
    """Bytes of memory that are free on `device`; for the CPU, as many as the system and its container allow."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # unknown: assume half of all
    return min([free, *(left for place in _groups() if (left := _left(place)) is not None)])


def _groups() -> Iterator[tuple[Path, str, str]]:
    """The control groups of this process and those above it, with the names of their files: those of both versions."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield from ((Path(f"/sys/fs/cgroup{above}"), "max", "current") for above in _upwards(path))
            elif "memory" in controllers.split(","):
                top = "/sys/fs/cgroup/memory"
                yield from ((Path(f"{top}{above}"), "limit_in_bytes", "usage_in_bytes") for above in _upwards(path))
    yield Path("/sys/fs/cgroup"), "max", "current"  # of a container, which sees its own group as the top


def _upwards(path: str) -> list[str]:
    parts = path.rstrip("/").split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _left(group: tuple[Path, str, str]) -> int | None:
    """Bytes that a control group leaves; None where it has no limit."""
    folder, limit, used = group
    with suppress(OSError, ValueError, KeyError):
        most, now, stat = ((folder / f"memory.{name}").read_text() for name in (limit, used, "stat"))
        parts = dict(line.split() for line in stat.splitlines())
        total = "total_" if "total_active_file" in parts else ""  # with the groups below, where both are counted
        cached = int(parts[f"{total}active_file"]) + int(parts[f"{total}inactive_file"])  # the system gives it up
        return max(0, int(most) - int(now) + cached)
    return None
