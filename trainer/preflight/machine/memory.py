"""Whether a step of this batch size fits into memory, and how large a batch would: steps of growing batches."""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.run.parts import Parts
from trainer.system.memory import free_memory
from trainer.system.shown import counted

ABOUT = "the memory of a step"
FIRST = 8  # samples of the first step; each has twice as many as the one before
TIMES = 64  # the batch size at most, to which steps grow
SHARE = 0.25  # of free memory, up to which they grow
SECONDS = 4.0  # that all of them take at most
SPARED = 0.9  # of free memory that a batch may take: there are other programs
RESETS = Path("/proc/self/clear_refs")
SURE = 2**25  # bytes by which two steps differ, so that it is no noise


def look(subject: Subject) -> Iterator[Finding]:
    """Measure the peak of memory in steps of growing batches."""
    if subject.first.compute.device.type != "cuda" and not os.access(RESETS, os.W_OK):
        return  # only Linux says what a process took at most since it was asked
    parts = subject.parts(compile="off")
    meter = Meter(parts.compute.device)
    ranks = subject.config.devices if isinstance(subject.config.devices, int) else 1
    size, free = -(-parts.train.batch_size // ranks), free_memory(parts.compute.device)  # each takes its part
    free = free // ranks if parts.compute.device.type == "cpu" else free
    taken = list(_peaks(parts, meter, size, free))
    (few, low), (many, high) = taken[0], taken[-1]
    each = max(0.0, (high - low) / (many - few)) if many > few else high / many
    needed = low + each * (size - few)
    where, has = str(parts.compute.device), f"of {_bytes(free)} free{' for each process' if ranks > 1 else ''}"
    if needed > SPARED * free:
        largest = max(1, int(few + (SPARED * free - low) / each)) if each else size
        times = -(-size // largest)  # micro-batches, as equal as they can be
        found = f"a step of {size:,} takes {_bytes(needed)} {has} on {where}"
        each_of, times = -(-size // times), times * subject.config.accumulate
        advice = f"data.batch_size={each_of * ranks} accumulate={times} takes the same steps; or a smaller model"
        yield Finding("memory", found, advice, wrong=True)
        return
    found = f"a step of {counted(size, 'sample')} takes {_bytes(needed)} {has} on {where}"
    if high - low > SURE:
        found += f"; about {_rounded(few + (SPARED * free - low) / each)} samples would fit"
    else:
        found += f"; {many:,} take no more"
    yield Finding("memory", found)


class Meter:
    """The most memory that a step takes beside what was in use; on a CPU by what Linux says of the process."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def start(self) -> int:
        """Begin anew; the bytes that are in use."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            return int(torch.cuda.memory_allocated(self.device))
        _give_back()
        RESETS.write_text("5")
        return _of_process("VmRSS")

    def peak(self) -> int:
        """The most bytes that were in use since."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return _of_process("VmHWM")


def _give_back() -> None:
    """Have the C library return what is free within its heap: a step that takes that again would seem to take none."""
    with suppress(AttributeError):  # another library than that of GNU
        ctypes.CDLL(None).malloc_trim(0)


def _of_process(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _peaks(parts: Parts, meter: Meter, size: int, free: int) -> Iterator[tuple[int, int]]:
    """The sizes of batches that steps were taken with, and the memory of each."""
    few = parts.train.batch_size = min(FIRST, size)
    inputs, targets = next(iter(parts.train.epoch(0)))
    _step(parts, inputs, targets, few)  # in which the optimizer gets its state
    begun, first = time.perf_counter(), 0
    while True:
        before, now = meter.start(), time.perf_counter()
        _step(parts, inputs, targets, few)
        peak, took = meter.peak() - before, time.perf_counter() - now
        yield few, peak
        patience = SECONDS if first else 3 * SECONDS  # two sizes tell what a sample takes
        late = time.perf_counter() - begun + 2 * took > patience
        first = first or peak
        told = few >= size and peak - first > SURE
        if late or told or 2 * few > max(TIMES * size, FIRST) or 2 * peak > SHARE * free:
            return
        few *= 2


def _step(parts: Parts, inputs: Tensor, targets: Tensor, size: int) -> None:
    times = -(-size // len(inputs))
    parts.step([(torch.cat([inputs] * times)[:size], torch.cat([targets] * times)[:size])])


def _bytes(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"


def _rounded(number: float) -> str:
    """In two digits: it is an estimate."""
    return f"{int(float(f'{number:.1e}')):,}"
