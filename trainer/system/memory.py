"""How much memory is free, on a device and on this machine."""

import os
import sys
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
    with suppress(OSError, ValueError, KeyError):  # a container's own limit
        limit, used, stat = (Path(f"/sys/fs/cgroup/memory.{name}").read_text() for name in ("max", "current", "stat"))
        parts = dict(line.split() for line in stat.splitlines())
        cached = int(parts["active_file"]) + int(parts["inactive_file"])  # the system gives it up
        free = min(free, max(0, int(limit) - int(used) + cached))
    return free
