"""The whole training step as one CUDA graph: a small model's step is dozens of tiny kernels, and launching each
from Python takes longer than running it.

After PyTorch's notes on CUDA semantics, section "CUDA Graphs", whole-network capture.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from trainer.data.batches import Batches, Raw
from trainer.loop import Batch
from trainer.steps.eager import EagerStep

Work = Callable[[], Tensor]
CAPTURABLE = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)


class Graphs(Protocol):
    """What can record work on a device, and do it again."""

    def warm(self, work: Work) -> Tensor:
        """Do `work` now, so that what libraries set up on first use is there before it is recorded."""

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Record `work` without doing it: what does it, and where its result then is."""


class CudaGraphs:
    """torch's own."""

    def warm(self, work: Work) -> Tensor:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = work()
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = work()
        return graph.replay, result


class Drawn:
    """Batches before they are ready: gathering, augmentation and normalisation are part of the captured step."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.sizes = batches.sizes

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        return self.batches.drawn(epoch, start)


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
        eager: EagerStep,
        ready: Callable[[Raw], Batch],
        whole: bool,
        say: Callable[[str], None],
        graphs: Graphs | None = None,
    ) -> None:
        self.eager, self.ready, self.whole, self.say = eager, ready, whole, say
        self.graphs = graphs or CudaGraphs()
        self.groups = eager.optimizer.param_groups
        self.usable = True
        self._warm = 0
        self._shapes: object = None
        self._inputs: list[Raw] = []
        self._replay: Callable[[], None] | None = None
        self._loss = torch.empty(0)
        self._gradients: list[Tensor | None] = []
        self._rates: list[Tensor] = []
        self._filled: list[float] = []

    def __call__(self, batches: Sequence[Raw]) -> Tensor:
        shapes = [[part.shape if isinstance(part, Tensor) else None for part in raw] for raw in batches]
        if self._shapes is None:
            self._shapes = shapes
        if not self.usable or shapes != self._shapes:
            return self._eagerly(batches)
        if self._warm < self.WARM_UP:
            self._warm += 1
            return self.graphs.warm(lambda: self._eagerly(batches))
        if self._replay is None:
            try:
                self._record(batches)
            except RuntimeError as error:  # whatever a model does that a graph cannot hold
                self.usable = False
                reason = str(error).strip().splitlines()[0]
                self.say(f"compile: this model cannot be captured as a CUDA graph, steps run eagerly: {reason}")
                return self._eagerly(batches)
        return self._again(batches)

    def _eagerly(self, raws: Sequence[Raw]) -> Tensor:
        return self.eager([self.ready(raw) for raw in raws])

    def _record(self, raws: Sequence[Raw]) -> None:
        self._inputs = [tuple(part.clone() if isinstance(part, Tensor) else part for part in raw) for raw in raws]
        plain = [group["lr"] for group in self.groups]
        device = self.eager.parameters[0].device
        self._rates = [torch.tensor(float(rate), device=device) for rate in plain]
        self._filled = [float(rate) for rate in plain]
        for parameter in self.eager.parameters:  # gradients are made anew, in the graph's own memory
            parameter.grad = None

        def work() -> Tensor:
            batches = [self.ready(raw) for raw in self._inputs]
            return self.eager(batches) if self.whole else self.eager.gradients(batches)

        try:
            if self.whole:
                for group, rate in zip(self.groups, self._rates, strict=True):
                    group["lr"] = rate
            self._replay, self._loss = self.graphs.record(work)
        finally:
            for group, rate in zip(self.groups, plain, strict=True):
                group["lr"] = rate
        self._gradients = [parameter.grad for parameter in self.eager.parameters]

    def _again(self, raws: Sequence[Raw]) -> Tensor:
        assert self._replay is not None
        for inputs, raw in zip(self._inputs, raws, strict=True):
            for part, new in zip(inputs, raw, strict=True):
                if isinstance(part, Tensor) and isinstance(new, Tensor):
                    part.copy_(new, non_blocking=True)
        for i, group in enumerate(self.groups):
            if group["lr"] != self._filled[i]:
                self._filled[i] = group["lr"]
                self._rates[i].fill_(group["lr"])
        self._replay()
        for parameter, gradient in zip(self.eager.parameters, self._gradients, strict=True):
            parameter.grad = gradient  # an eager step has put others there
        if not self.whole:
            self.eager.update()
        return self._loss
