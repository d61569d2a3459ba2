"""The whole training step as one CUDA graph: a small model's step is dozens of tiny kernels, and launching each
from Python takes longer than running it.

After PyTorch's notes on CUDA semantics, section "CUDA Graphs", whole-network capture.
"""

import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trainer.data.batches import Raw
from trainer.engine.optimizers import declared, is_changed
from trainer.engine.state import BatchSource, Step
from trainer.system.errors import first_line

Work = Callable[[], Tensor]


class Eager(Step, Protocol):
    """A step that can be captured, as a whole or up to its update."""

    parameters: list[Tensor]
    optimizer: torch.optim.Optimizer

    def gradients(self, batches: Sequence[Any]) -> Tensor:
        """Leave the gradients of `batches` in the parameters; their loss."""

    def update(self) -> None:
        """Move the parameters along their gradients."""


def capturable(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its update can be in a graph: a fused kernel, or one that was told of it, waits for nothing.

    The learning rates of a graph are float32, as fused kernels take them, which would spoil an update in float64.
    """
    known = declared(optimizer) is not None and not is_changed(optimizer)
    exact = any(p.dtype == torch.float64 for group in optimizer.param_groups for p in group["params"])
    # Fused Adam has to be told of it, too.
    return known and not exact and all(group.get("capturable", group.get("fused")) for group in optimizer.param_groups)


class CudaGraphs:
    """Records work on a device. It is warmed and recorded on the same stream, for each gets workspaces of its own."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm(self, work: Work) -> Tensor:
        """Do `work` now, so that what libraries set up on first use is there before it is recorded."""
        main = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            result = work()
        main.wait_stream(self.stream)
        return result

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Record `work` without doing it: what does it, and where its result then is."""
        graph = torch.cuda.CUDAGraph()
        main = torch.cuda.current_stream(self.device)
        # Other threads, like the one that pins streamed batches, may go on meanwhile: thread_local.
        recording = torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local")
        try:
            with torch.cuda.stream(main), recording, _nothing_waits():  # torch 2.11 forgets `main` after an error
                result = work()
        except BaseException:  # and takes its random generator for one that still records
            generator = torch.cuda.default_generators[self.device.index]
            generator.graphsafe_set_state(generator.clone_state())
            raise
        return graph.replay, result


@contextmanager
def _nothing_waits() -> Iterator[None]:
    """What would wait for the device fails before it does: so the recording ends in order, and says what it was."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


class Draws(BatchSource, Protocol):
    """A source whose batches can also be had raw, before they are gathered and normalised."""

    def raw(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        """The samples of each batch of an epoch from number `start` on."""


class RawBatches:
    """Raw batches: gathering, augmentation and normalisation are part of the captured step."""

    def __init__(self, batches: Draws) -> None:
        self.batches = batches
        self.sizes = batches.sizes

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        return self.batches.raw(epoch, start)


class CapturedStep:
    """The step of `eager`, from the rows of its batches to the new parameters, replayed from a graph.

    The first steps run eagerly and count as any other. Batches of another shape (the last of an epoch) always
    do. Learning rates are device tensors within the graph, filled when a schedule has changed them; with
    `whole` false (a schedule that moves momentum, an optimizer that cannot be captured) the update stays
    outside. A model that cannot be captured runs eagerly from then on, and `say` is told why.
    """

    WARM_UP = 3

    def __init__(
        self,
        eager: Eager,
        inputs_of: Callable[[Raw], Any],
        whole: bool,
        say: Callable[[str], None],
        graphs: CudaGraphs | None = None,
    ) -> None:
        self.eager, self.inputs_of, self.whole, self.say = eager, inputs_of, whole, say
        self.loss, self.device, self.jobs, self.on_nan = eager.loss, eager.device, eager.jobs, eager.on_nan
        self.apart = eager.apart
        self.learning_rate = eager.learning_rate
        self.graphs = graphs or CudaGraphs(eager.device)
        self.usable = True
        self._seen: Counter[object] = Counter()  # steps of each shape
        self._shapes: object = None  # those of the graph
        self._inputs: list[Raw] = []
        self._replay: Callable[[], None] | None = None
        self._recorded_loss = torch.empty(0)
        self._gradients: list[Tensor | None] = []
        self._rates: list[Tensor] = []
        self._filled: list[float] = []

    def __call__(self, batches: Sequence[Raw]) -> Tensor:
        shapes = tuple(part.shape if isinstance(part, Tensor) else None for raw in batches for part in raw)
        if self._replay is None and self.usable:
            self._seen[shapes] += 1
            if self._seen[shapes] <= self.WARM_UP:
                return self._warmed(batches)
            self._try_to_record(batches, shapes)
        if self._replay is None or shapes != self._shapes:
            return self._eagerly(batches)
        return self._again(batches)

    def _eagerly(self, raws: Sequence[Raw]) -> Tensor:
        return self.eager([self.inputs_of(raw) for raw in raws])

    def _warmed(self, raws: Sequence[Raw]) -> Tensor:
        before = _host_randomness()
        loss = self.graphs.warm(lambda: self._eagerly(raws))
        if _host_randomness() != before:
            self._give_up("it draws random numbers on the CPU, which a graph would repeat")
        return loss

    def _try_to_record(self, raws: Sequence[Raw], shapes: object) -> None:
        try:
            self._record(raws)
            self._shapes = shapes
        except Exception as error:  # whatever a model does that a graph cannot hold
            self._give_up(first_line(error.__context__ or error))  # torch covers up what made a recording fail

    def _give_up(self, reason: str) -> None:
        self.usable = False
        self.say(f"compile: this model cannot be captured as a CUDA graph, steps run eagerly: {reason}")

    def _record(self, raws: Sequence[Raw]) -> None:
        self._inputs = [tuple(part.clone() if isinstance(part, Tensor) else part for part in raw) for raw in raws]
        groups = self.eager.optimizer.param_groups
        plain = [group["lr"] for group in groups]
        self._filled = [float(rate) for rate in plain]
        self._rates = [torch.tensor(rate, dtype=torch.float32, device=self.device) for rate in self._filled]
        for parameter in self.eager.parameters:  # gradients are made anew, in the graph's own memory
            parameter.grad = None

        def work() -> Tensor:
            batches = [self.inputs_of(raw) for raw in self._inputs]
            return self.eager(batches) if self.whole else self.eager.gradients(batches)

        try:
            if self.whole:
                for group, rate in zip(groups, self._rates, strict=True):
                    group["lr"] = rate
            self._replay, self._recorded_loss = self.graphs.record(work)
        finally:
            for group, rate in zip(groups, plain, strict=True):
                group["lr"] = rate
        self._gradients = [parameter.grad for parameter in self.eager.parameters]

    def _again(self, raws: Sequence[Raw]) -> Tensor:
        assert self._replay is not None
        for inputs, raw in zip(self._inputs, raws, strict=True):
            for part, new in zip(inputs, raw, strict=True):
                if isinstance(part, Tensor) and isinstance(new, Tensor):
                    part.copy_(new, non_blocking=True)
        if self.whole:
            for i, group in enumerate(self.eager.optimizer.param_groups):
                if group["lr"] != self._filled[i]:
                    self._filled[i] = group["lr"]
                    self._rates[i].fill_(group["lr"])
        self._replay()
        for parameter, gradient in zip(self.eager.parameters, self._gradients, strict=True):
            parameter.grad = gradient  # an eager step has put others there
        if not self.whole:
            self.eager.update()
        return self._recorded_loss


def _host_randomness() -> object:
    """The states of the generators that a model might draw from on the CPU."""
    _, words, *rest = np.random.get_state(legacy=True)
    return random.getstate(), torch.get_rng_state().numpy().tobytes(), np.asarray(words).tobytes(), rest
