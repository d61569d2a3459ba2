"""How many threads compute, of the cores that there are."""

from collections.abc import Iterator

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.machine import cores
from trainer.system.shown import counted

ABOUT = "the threads"


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the threads of torch with the cores of this machine."""
    threads, there = torch.get_num_threads(), cores()
    found = f"{counted(threads, 'thread')} on {counted(there, 'core')}"
    if threads > there:
        yield Finding("threads", found, f"fewer: OMP_NUM_THREADS={there} trainer train ...", wrong=True)
    else:
        yield Finding("threads", found)
