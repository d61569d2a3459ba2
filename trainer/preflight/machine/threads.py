"""How many threads compute, of the cores that this process may use."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.machine import cores
from trainer.system.shown import counted

ABOUT = "the threads"
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of CPU time that a container has, in so many


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the threads of torch with the cores of this machine, and what its container allows."""
    threads, there = torch.get_num_threads(), cores()
    allowed = min(float(there), _allowed())
    found = f"{counted(threads, 'thread')} on {counted(there, 'core')}"
    if allowed < there:
        found += f", of which the container allows {allowed:.3g}"
    if threads > max(1.0, allowed + 0.5):
        advice = f"they wait for each other: export OMP_NUM_THREADS={max(1, int(allowed))}"
        yield Finding("threads", found, advice, wrong=True)
    else:
        yield Finding("threads", found)


def _allowed() -> float:
    """The cores' worth of time that a container allows; endless where nothing is said."""
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        return int(quota) / int(period)
    return float("inf")
