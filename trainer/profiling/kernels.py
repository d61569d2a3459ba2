"""What torch's profiler sees in a few steps: the operators that take longest, how busy a GPU is, and a trace.

The trace is Chrome's JSON, gzipped: https://ui.perfetto.dev opens it. Its rows have the parts of a step by name.
"""

import os
import shutil
import sys
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from torch._C._autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from trainer.engine.loop import grouped
from trainer.engine.state import BatchSource, Step
from trainer.profiling import flops
from trainer.profiling.clock import Clock, kind
from trainer.system.atomic import replacing

WAIT, WARM = 1, 2  # steps before the profiler is started, and those in which it looks and keeps nothing
_PRODUCTS = ("gemm", "conv", "xmma", "wgrad", "dgrad")  # in the names of NVIDIA's kernels
_STEP = "ProfilerStep"  # the region that the profiler has for a step


@dataclass
class Operator:
    """An operator of torch as the model, its gradient or the optimizer calls it, with what it calls itself."""

    name: str
    shapes: str  # of its inputs, in the call that took longest
    calls: float  # in a step
    seconds: float  # in a step: of the device that computes
    flops: float  # in a step, of matrix products and convolutions; 0: it has none, or they are not known
    product: bool  # whether it is one of those


@dataclass
class Kernels:
    """What the profiler has found; seconds are those of one step."""

    operators: list[Operator]  # those that take longest come first
    seconds: float  # of all of them
    busy: float | None  # in which a GPU computes or copies; None of a CPU
    steps: int


def recorded(
    step: Step,
    batches: BatchSource,
    accumulate: int,
    clock: Clock,
    active: int,
    trace: Path,
    wait: Callable[[], object] | None,
) -> Kernels:
    """Take steps under torch's profiler, of which `active` are kept; `step` and `batches` tell the clock their parts.

    Raises:
        StorageError: The trace cannot be written.
    """
    regions = _Regions()
    needed = WAIT + WARM + active
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if step.device.type == "cuda" else [])]
    plan = schedule(wait=WAIT, warmup=WARM, active=active, repeat=1)
    keeps: dict[str, Any] = {"record_shapes": True, "with_flops": True, "acc_events": True}
    clock.told = regions.begin
    try:
        with _quiet(), profile(activities=activities, schedule=plan, **keeps) as profiler:
            taken = 0
            while taken < needed:
                for group in grouped(batches.epoch(taken), accumulate):
                    step(group)
                    taken += 1
                    if wait is not None and taken == needed:
                        wait()
                    regions.end()
                    profiler.step()
                    if taken == needed:
                        break
    finally:
        clock.told = None
        regions.end()
    _keep(profiler, trace)
    events: Sequence[FunctionEvent] = profiler.events() or []
    on_gpu = step.device.type == "cuda"
    operators, busy = _operators(events, on_gpu), _busy(events) / active if on_gpu else None
    if busy is not None and sum(operator.seconds for operator in operators) < busy / 2:
        operators = _of_graph(events, active)
    return Kernels(operators, sum(operator.seconds for operator in operators), busy, active)


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block nothing comes to the standard error: the profiler's library says when it starts and stops there,
    and on a machine without a GPU that it finds none.
    """
    try:
        kept = os.dup(2)
    except OSError:  # it is closed already
        yield
        return
    sys.stderr.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


class _Regions:
    """The part of a step that is being done, as a region of the trace."""

    def __init__(self) -> None:
        self._open: Any = None
        self._name = ""

    def begin(self, part: str) -> None:
        name = kind(part)
        if name == self._name:
            return
        self.end()
        self._name, self._open = name, record_function(name)
        self._open.__enter__()

    def end(self) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
        self._name, self._open = "", None


def _operators(events: Sequence[FunctionEvent], on_gpu: bool) -> list[Operator]:
    """The operators that are called by no other operator, summed up by name, those first that take longest.

    Of an operator's seconds in each step the median counts: now and then another process has the core.
    """
    on_cpu = [event for event in events if event.device_type == DeviceType.CPU]
    steps = sorted(event.time_range.start for event in on_cpu if event.name.startswith(_STEP))
    called: dict[str, list[FunctionEvent]] = defaultdict(list)
    for event in on_cpu:
        if _is_operator(event) and not _within_another(event):
            called[event.name].append(event)
    found = []
    for name, calls in called.items():
        seconds = [0.0] * len(steps)
        for call in calls:
            seconds[bisect(steps, call.time_range.start) - 1] += _seconds(call, on_gpu)
        longest = max(calls, key=lambda call: _seconds(call, on_gpu))
        flops_of_all = sum(map(flops.of, calls))
        shapes = _shapes(longest)
        called_so = name.removeprefix("aten::")
        each = len(calls) / len(steps), median(seconds), flops_of_all / len(steps)
        found.append(Operator(called_so, shapes, *each, flops_of_all > 0))
    return _longest_first(found)


def _of_graph(events: Sequence[FunctionEvent], steps: int) -> list[Operator]:
    """The kernels of steps that are captured as a CUDA graph, which no operator has called."""
    called: dict[str, list[float]] = defaultdict(list)
    for event in _on_gpu(events):
        called[event.name].append(_seconds(event, on_gpu=True))
    return _longest_first(
        [
            Operator(name, "", len(found) / steps, sum(found) / steps, 0.0, any(word in name for word in _PRODUCTS))
            for name, found in called.items()
        ]
    )


def _longest_first(found: list[Operator]) -> list[Operator]:
    return sorted(found, key=lambda operator: -operator.seconds)


def _shapes(event: FunctionEvent) -> str:
    """The shapes of the inputs that are tensors; of lists of such nothing is said."""
    given: Any = event.input_shapes
    return " ".join("x".join(map(str, shape)) for shape in given if shape and isinstance(shape[0], int))


def _is_operator(event: FunctionEvent) -> bool:
    return "::" in event.name and not event.name.startswith(("autograd::", _STEP))


def _within_another(event: FunctionEvent) -> bool:
    above = event.cpu_parent
    while above is not None:
        if _is_operator(above):
            return True
        above = above.cpu_parent
    return False


def _seconds(event: FunctionEvent, on_gpu: bool) -> float:
    microseconds = event.device_time_total if on_gpu else event.cpu_time_total
    return float(microseconds) / 1e6


def _on_gpu(events: Iterable[FunctionEvent]) -> list[FunctionEvent]:
    """Kernels, and copies of memory."""
    return [event for event in events if event.device_type == DeviceType.CUDA and not event.is_user_annotation]


def _busy(events: Iterable[FunctionEvent]) -> float:
    """The seconds in which a GPU computes or copies: what it does at the same time counts once."""
    spans = sorted((event.time_range.start, event.time_range.end) for event in _on_gpu(events))
    busy, until = 0.0, float("-inf")
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy / 1e6


def _keep(profiler: profile, trace: Path) -> None:
    with TemporaryDirectory(prefix="trainer-trace-") as folder:
        made = Path(folder) / trace.name
        profiler.export_chrome_trace(str(made))
        with replacing(trace) as file, made.open("rb") as whole:
            shutil.copyfileobj(whole, file)
