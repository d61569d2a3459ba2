"""What might make a training faster, by rules of what was seen; docs/profile.md states them in words."""

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from trainer.profiling import clock as parts_of
from trainer.profiling.kernels import Kernels
from trainer.profiling.session import Measured
from trainer.run.parts import Parts
from trainer.run.ranks import number
from trainer.system.machine import cores
from trainer.system.memory import RESIDENT_SHARE, free_memory

LARGER = 4, 2  # times as large a batch, if an epoch then still has ...
FEWEST = 8  # ... so many steps
SMALL_STEP = 0.02  # seconds of a step in which threads wait for each other longer than they compute
LEAST_STEP = 0.001  # seconds of a step that more threads may make faster
SHARE = 0.1  # of an epoch that a part has to take to be worth a change
LONGEST_TEST = 10.0  # seconds: trainings on several devices are tried from their start to their end
LONG = 600.0  # seconds of a training that may spend half a minute on compiling
FIXED = 0.02  # of an epoch that is spent per step and not per sample
EVALUATION = 0.05  # of the time that evaluations may take, where there are fewer of them
AMPERE = (8, 0)  # the first generation of NVIDIA's GPUs with tf32 and bfloat16
SAME = "none: the same batches, to the bit"
ROUNDING = "sums are rounded otherwise, and nothing else changes"


@dataclass(frozen=True)
class Candidate:
    """A change of a training that might make it faster."""

    words: str  # what is typed for it, before the command or behind it
    why: str  # what was seen
    effect: str  # what it does to the result
    expected: float  # the share of an epoch that it may save: those with most are tried first
    changes: dict[str, Any] = field(default_factory=dict)  # of the config, by key
    threads: int | None = None
    harmless: bool = False  # whether the result stays as it is, but for rounding
    rarer: int | None = None  # evaluations after every so many epochs
    devices: int | None = None

    def typed(self, command: str) -> str:
        """The command with this change."""
        return f"{self.words} {command}" if self.threads is not None else f"{command} {self.words}"


@dataclass(frozen=True)
class Seen:
    """What a profile has shown."""

    parts: Parts
    measured: Measured
    kernels: Kernels
    eager: dict[str, float] = field(default_factory=dict)  # seconds of the parts of a step that is captured else

    @property
    def cuda(self) -> bool:
        return self.parts.compute.device.type == "cuda"

    @property
    def computing(self) -> float:
        """The share of an epoch that is forward and backward, or a captured step."""
        return sum(map(self.measured.share, (parts_of.FORWARD, parts_of.BACKWARD, parts_of.STEP)))

    @property
    def step(self) -> float:
        """Seconds of a step with its batch."""
        return self.measured.training / self.measured.steps

    @property
    def idle(self) -> float | None:
        """The share of a plain epoch's steps in which a GPU does nothing; None of a CPU.

        The profiler slows down what it looks at, but not kernels: their time is set against that of plain steps.
        """
        if self.kernels.busy is None:
            return None
        plain = median(self.measured.plain)
        steps = self.measured.training * plain / self.measured.seconds / self.measured.steps
        return max(0.0, 1 - self.kernels.busy / steps)

    @property
    def products(self) -> float:
        """The share of the operators' time that is matrix products and convolutions, which precision makes faster."""
        found = sum(operator.seconds for operator in self.kernels.operators if operator.product)
        return found / self.kernels.seconds if self.kernels.seconds else 0.0


def found(seen: Seen) -> list[Candidate]:
    """What is worth trying, the most promising first; what leaves the result as it is counts double."""
    candidates = [candidate for rule in _RULES for candidate in rule(seen)]
    return sorted(candidates, key=lambda candidate: -candidate.expected * (1 + candidate.harmless))


def _placement(seen: Seen) -> Iterator[Candidate]:
    parts, share = seen.parts, seen.measured.share(parts_of.DATA)
    data, device = parts.data, parts.compute.device
    if parts.evaluator.placing.workers is None or share < SHARE or parts.config.samples.placement != "stream":
        return
    splits = [split for split in (data.train, data.val, data.test) if split is not None]
    if sum(split.nbytes for split in splits) <= RESIDENT_SHARE * free_memory(device):
        why = f"data take {share:.0%} of an epoch, and are streamed though they fit"
        yield Candidate("data.placement=auto", why, SAME, 0.9 * share, {"data.placement": "auto"}, harmless=True)


def _workers(seen: Seen) -> Iterator[Candidate]:
    parts, share = seen.parts, seen.measured.share(parts_of.DATA)
    workers = parts.evaluator.placing.workers
    more = min(cores(), max(1, 2 * (workers or 0)))
    if workers is None or share < SHARE or more <= workers:
        return
    why = f"data take {share:.0%} of an epoch, read by {workers or 'no'} worker{'s' * (workers != 1)}"
    yield Candidate(f"data.workers={more}", why, SAME, 0.5 * share, {"data.workers": more}, harmless=True)


def _batch(seen: Seen) -> Iterator[Candidate]:
    batches, measured = seen.parts.train, seen.measured
    larger = next((n * batches.batch_size for n in LARGER if n * batches.batch_size <= batches.total // FEWEST), 0)
    fixed = sum(map(measured.share, (parts_of.OPTIMIZER, parts_of.REST, parts_of.HOOKS)))
    if seen.idle is not None:
        fixed = max(fixed, seen.idle)
    if not larger or fixed < FIXED:
        return
    if seen.idle is None:
        why = f"{fixed:.0%} of an epoch is spent per step, whatever the size of a batch"
    else:
        why = f"the GPU is idle for {seen.idle:.0%} of a step with {batches.batch_size} samples"
    effect = "it trains otherwise: fewer, less noisy steps; the learning rate has to be found again, often a larger one"
    gain = fixed * (1 - batches.batch_size / larger)
    yield Candidate(f"data.batch_size={larger}", why, effect, gain, {"data.batch_size": larger})


def _threads(seen: Seen) -> Iterator[Candidate]:
    threads, here = torch.get_num_threads(), cores()
    if seen.parts.compute.device.type != "cpu" or here == 1:
        return
    if threads > 1 and seen.step < SMALL_STEP:
        why = f"a step takes {1000 * seen.step:.1f} ms, in which {threads} threads wait for each other"
        yield Candidate("OMP_NUM_THREADS=1", why, ROUNDING, 0.3 * seen.computing, threads=1, harmless=True)
    elif threads < here and seen.step > LEAST_STEP:
        why = f"{threads} of {here} cores compute, and forward and backward take {seen.computing:.0%}"
        yield Candidate(f"OMP_NUM_THREADS={here}", why, ROUNDING, 0.25 * seen.computing, threads=here, harmless=True)


def _precision(seen: Seen) -> Iterator[Candidate]:
    compute = seen.parts.compute
    if compute.precision not in ("float32", "tf32"):
        return
    if seen.cuda:
        able = torch.cuda.get_device_capability(compute.device) >= AMPERE
    else:
        able = compute.device.type == "cpu" and compute.precision == "float32" and _has_bfloat16()
    saved = seen.products * seen.computing * (1 - (seen.idle or 0.0))
    why = f"matrix products and convolutions are {seen.products:.0%} of the operators' time"
    if not able or saved < SHARE:
        return
    if seen.cuda and compute.precision == "float32":
        effect = "products are of 10 bits in the place of 23; most trainings end as well"
        yield Candidate("precision=tf32", why, effect, 0.4 * saved, {"precision": "tf32"})
    effect = "numbers change: forward and backward have 8 bits, weights and optimizer stay float32; compare the metrics"
    yield Candidate("precision=bfloat16", why, effect, 0.5 * saved, {"precision": "bfloat16"})


def _has_bfloat16() -> bool:
    """Whether the CPU has instructions for it; without, it is emulated, and slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _compiled(seen: Seen) -> Iterator[Candidate]:
    parts = seen.parts
    if seen.cuda and parts.compiled == "off" and (seen.idle or 0.0) > SHARE and parts.config.on_nan != "skip":
        why = f"the GPU is idle for {seen.idle:.0%} of a step: kernels are launched one by one"
        saved = 0.8 * (seen.idle or 0.0)
        yield Candidate("compile=cudagraph", why, ROUNDING, saved, {"compile": "cudagraph"}, harmless=True)
    lasts, fusable = parts.plan.epochs * seen.measured.whole, (1 - seen.products) * seen.computing
    compiler = seen.cuda or shutil.which(os.environ.get("CXX", "c++")) is not None
    if parts.compiled != "inductor" and lasts > LONG and fusable > SHARE and compiler:
        why = f"{1 - seen.products:.0%} of the operators' time are small ones that a compiler can join"
        effect = f"{ROUNDING}; compiling takes half a minute at the start"
        yield Candidate("compile=inductor", why, effect, 0.4 * fusable, {"compile": "inductor"}, harmless=True)


def _evaluation(seen: Seen) -> Iterator[Candidate]:
    share, plan = seen.measured.share(parts_of.EVALUATION), seen.parts.plan
    if share < 2 * SHARE or plan.epochs < 3:
        return
    every = min(plan.epochs, 10, max(2, round(share / (1 - share) / EVALUATION)))
    if every <= plan.evaluate_epochs:
        return
    why = f"evaluation takes {share:.0%} of an epoch"
    effect = f"the weights are the same; the best epoch is picked, and early stopping looks, at every {every}th only"
    saved = share * (1 / plan.evaluate_epochs - 1 / every)
    yield Candidate(f"evaluate.every_epochs={every}", why, effect, saved, rarer=every)


def _devices(seen: Seen) -> Iterator[Candidate]:
    parts, measured = seen.parts, seen.measured
    asked = copy.copy(parts.config)
    asked.devices = "auto"
    devices, _, _ = number.chosen(asked, parts.train.batch_size)
    test = parts.data.test
    if devices == 1 or measured.evaluation * len(test or ()) > LONGEST_TEST * max(1, measured.of_evaluated):
        return
    if seen.cuda:
        why = f"{devices} GPUs are there, and the one that is used is busy for {1 - (seen.idle or 0.0):.0%} of a step"
    else:
        why = f"a small convolutional net on {devices} cores, whose forward and backward take {seen.computing:.0%}"
    saved = seen.computing * (1 - (seen.idle or 0.0)) * (1 - 1 / devices) / 2
    yield Candidate(f"devices={devices}", why, ROUNDING, saved, harmless=True, devices=devices)


_RULES: tuple[Callable[[Seen], Iterator[Candidate]], ...] = (
    _placement,
    _workers,
    _batch,
    _threads,
    _devices,
    _precision,
    _compiled,
    _evaluation,
)
