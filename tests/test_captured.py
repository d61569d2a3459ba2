"""The captured step on a pretended device: what a graph would hold, and when it is not used.

`Pretend` stands in for CUDA graphs: recording does nothing but keep the work, replaying does it on the very
tensors that were there when it was recorded. Nothing here runs on a GPU; the tests marked `gpu` do.
"""

import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainer import models
from trainer.config.data import Augment
from trainer.config.scheduler import Constant, Cosine, OneCycle, StepDecay
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches
from trainer.data.splits import Split
from trainer.engine import losses
from trainer.engine.loop import Hook, fit
from trainer.engine.schedule import Schedule
from trainer.engine.state import Plan, State
from trainer.engine.steps import kind
from trainer.engine.steps.captured import CapturedStep, RawBatches, capturable
from trainer.engine.steps.eager import EagerStep
from trainer.system.errors import DeviceError

CPU = torch.device("cpu")
LOSS = losses.make("cross_entropy")


class Pretend:
    """Records work by keeping it. As in a graph, the loss and the gradients of `model` lie in the same tensors."""

    def __init__(self, model: nn.Module, failure: str = "") -> None:
        self.parameters, self.failure = list(model.parameters()), failure
        self.warmed = self.recorded = self.replayed = 0

    def warm(self, work: Callable[[], Tensor]) -> Tensor:
        self.warmed += 1
        return work()

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        if self.failure:
            raise RuntimeError(self.failure)
        self.recorded += 1
        result = torch.zeros(())
        gradients = [torch.zeros_like(p) for p in self.parameters]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

        def replay() -> None:
            self.replayed += 1
            result.copy_(work())
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                assert parameter.grad is not None
                parameter.grad = gradient.copy_(parameter.grad)

        return replay, result


def images(count: int = 70) -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 1, 28, 28), dtype=torch.uint8, generator=generator)
    return Split(pixels, torch.randint(10, (count,), generator=generator))


def batches(device: torch.device = CPU) -> Batches:
    """Nine batches of 8, the last with 6; augmented."""
    augment = Augmenter(Augment(flip=True, crop=2, shift=1, cutout=3), 28, 28)
    return Batches(images(), 8, device, mean=(0.5,), std=(0.25,), augment=augment)


def lenet(device: torch.device = CPU) -> nn.Module:
    torch.manual_seed(0)
    return models.make("lenet", in_channels=1, image_size=28, num_classes=10, dropout=0.0).to(device)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
}


def trained(
    name: str, config: Any, capture: bool, whole: bool = True, accumulate: int = 1
) -> tuple[list[Tensor], list[dict[str, float]], Pretend]:
    """The parameters after three epochs, the rows, and what was captured."""
    model, train = lenet(), batches()
    graphs = Pretend(model)
    optimizer = OPTIMIZERS[name](model.parameters())
    eager = EagerStep(model, LOSS, optimizer, 1.0, nullcontext)
    schedule = Schedule(config, optimizer, 27, "train/loss", "min")
    rows: list[dict[str, float]] = []

    class Rows(Hook):
        def on_epoch(self, state: Any, row: dict[str, float]) -> None:
            rows.append({k: v for k, v in row.items() if k in ("epoch", "step", "lr", "train/loss")})

    plan, hooks = Plan(3, accumulate=accumulate), [Rows(), schedule]
    if capture:
        fit(CapturedStep(eager, train.inputs, whole, pytest.fail, graphs), RawBatches(train), plan, hooks=hooks)
    else:
        fit(eager, train, plan, hooks=hooks)
    return [p.detach() for p in model.parameters()], rows, graphs


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(
    ("name", "config", "whole"),
    [
        ("sgd", Constant(), True),
        ("sgd", Cosine(warmup_steps=5), True),
        ("sgd", OneCycle(), False),
        ("adamw", StepDecay(step_size=1), True),
        ("adamw", OneCycle(), False),
        ("adagrad", Constant(), False),
    ],
    ids=lambda v: v if isinstance(v, str) else "" if isinstance(v, bool) else type(v).__name__,
)
def test_a_captured_training_is_the_eager_one(name: str, config: Any, whole: bool, accumulate: int) -> None:
    """Learning rates are float32 tensors in the graph, which is all that may differ: 1e-6 after 27 steps."""
    found, found_rows, graphs = trained(name, config, True, whole, accumulate)
    expected, rows, _ = trained(name, config, False, accumulate=accumulate)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    for row, other in zip(found_rows, rows, strict=True):
        assert row == pytest.approx(other, rel=1e-5)
    assert graphs.recorded == 1


def test_the_first_steps_and_ragged_ones_run_eagerly_and_all_others_from_the_graph() -> None:
    _, _, graphs = trained("sgd", Constant(), True)
    assert (graphs.warmed, graphs.replayed) == (3, 27 - 3 - 3)  # three epochs of nine steps, each with a ragged one


def test_recording_takes_no_step_and_leaves_learning_rates_as_they_were() -> None:
    model, train = lenet(), batches()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    eager = EagerStep(model, LOSS, optimizer, None, nullcontext)
    step = CapturedStep(eager, train.inputs, True, pytest.fail, Pretend(model))
    raws = list(train.raw(0))
    for raw in raws[:3]:
        step([raw])
    before = [p.detach().clone() for p in model.parameters()]
    step._record([raws[3]])
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert type(optimizer.param_groups[0]["lr"]) is float


def test_gradients_after_a_replay_are_those_of_the_graph() -> None:
    """TensorBoard's histograms read them, and an update outside the graph steps on them."""
    model, train = lenet(), batches()
    eager = EagerStep(model, LOSS, OPTIMIZERS["sgd"](model.parameters()), None, nullcontext)
    step = CapturedStep(eager, train.inputs, False, pytest.fail, Pretend(model))
    step._record([next(train.raw(0))])
    gradients = [torch.full_like(p, 2.0) for p in model.parameters()]
    step._gradients, step._replay = list(gradients), lambda: None
    before = [p.detach().clone() for p in model.parameters()]
    step._again([next(train.raw(0))])
    for parameter, old, gradient in zip(model.parameters(), before, gradients, strict=True):
        assert parameter.grad is gradient
        torch.testing.assert_close(parameter.detach(), old - 0.1, rtol=0, atol=1e-6)  # 0.05 times 2


def test_a_model_that_cannot_be_captured_runs_eagerly_and_says_so_once() -> None:
    said: list[str] = []
    model, train = lenet(), batches()
    eager = EagerStep(model, LOSS, OPTIMIZERS["sgd"](model.parameters()), 1.0, nullcontext)
    step = CapturedStep(eager, train.inputs, True, said.append, Pretend(model, "operation not permitted\nmore"))
    fit(step, RawBatches(train), Plan(3))
    assert type(eager.optimizer.param_groups[0]["lr"]) is float
    expected, _, _ = trained("sgd", Constant(), False)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected, strict=True))
    assert said == [
        "compile: this model cannot be captured as a CUDA graph, steps run eagerly: operation not permitted"
    ]


def test_the_reason_is_what_failed_and_not_what_failed_after_it() -> None:
    """torch ends the recording of a failed model with an error of its own, over the model's."""

    class Failing(Pretend):
        def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
            try:
                raise ValueError("called a synchronizing CUDA operation")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")

    said: list[str] = []
    model, train = lenet(), batches()
    eager = EagerStep(model, LOSS, OPTIMIZERS["sgd"](model.parameters()), None, nullcontext)
    fit(CapturedStep(eager, train.inputs, True, said.append, Failing(model)), RawBatches(train), Plan(1))
    assert [line.split(": ")[-1] for line in said] == ["called a synchronizing CUDA operation"]


@pytest.mark.parametrize(
    "draw",
    [lambda: torch.rand(()), random.random, lambda: np.random.rand(), lambda: np.random.seed(1)],
    ids=["torch", "python", "numpy", "seed"],
)
def test_a_model_that_draws_numbers_on_the_cpu_is_not_captured(draw: Callable[[], object]) -> None:
    """A graph would take the same branch, or the same number, in every step, and nothing would tell."""

    class Drawing(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            draw()
            return super().forward(inputs.flatten(1))

    said: list[str] = []
    model, train = Drawing(784, 10), batches()
    eager = EagerStep(model, LOSS, OPTIMIZERS["sgd"](model.parameters()), None, nullcontext)
    graphs = Pretend(model)
    fit(CapturedStep(eager, train.inputs, True, said.append, graphs), RawBatches(train), Plan(2))
    assert graphs.recorded == 0
    assert len(said) == 1
    assert "draws random numbers on the CPU" in said[0]


def test_a_training_that_begins_with_a_ragged_batch_captures_the_others() -> None:
    model, train = lenet(), batches()
    eager = EagerStep(model, LOSS, OPTIMIZERS["sgd"](model.parameters()), None, nullcontext)
    graphs = Pretend(model)
    step = CapturedStep(eager, train.inputs, True, pytest.fail, graphs)
    fit(step, RawBatches(train), Plan(3), state=State(batch=8, step=8, losses=torch.ones(8)))
    assert graphs.replayed == 2 * 8 - 3


def test_learning_rates_of_a_loaded_state_reach_the_graph() -> None:
    """Loading replaces the optimizer's groups."""
    model, train = lenet(), batches()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    eager = EagerStep(model, LOSS, optimizer, None, nullcontext)
    step = CapturedStep(eager, train.inputs, True, pytest.fail, Pretend(model))
    optimizer.load_state_dict(optimizer.state_dict())
    raws = list(train.raw(0))
    for raw in raws[:4]:
        step([raw])
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[0]["momentum"] = 0.0
    step([raws[4]])
    assert [float(rate) for rate in step._rates] == [0.0]


@pytest.mark.parametrize(
    ("asked", "device", "steps", "found"),
    [
        ("auto", "cpu", 10**6, "off"),
        ("auto", "mps", 10**6, "off"),
        ("auto", "cuda", 10**6, "cudagraph"),
        ("auto", "cuda", 10, "off"),
        ("off", "cuda", 10**6, "off"),
        ("inductor", "cpu", 1, "inductor"),
        ("cudagraph", "cuda", 1, "cudagraph"),
    ],
)
def test_auto_captures_on_cuda_where_it_pays(asked: str, device: str, steps: int, found: str) -> None:
    assert kind(asked, device, steps) == found


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_cuda_graphs_elsewhere_are_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="needs an NVIDIA GPU"):
        kind("cudagraph", device, 10**6)


# --- on a GPU -----------------------------------------------------------------------------------------


def on_a_gpu(
    model: nn.Module,
    name: str,
    captured: bool,
    say: Callable[[str], Any] = pytest.fail,
    train: Batches | None = None,
) -> list[Tensor]:
    """The parameters after four epochs of `batches`, or of `train`, there."""
    device = torch.device("cuda")
    model, train = model.to(device), train or batches(device)
    optimizer = OPTIMIZERS[name](model.parameters())
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True
    eager = EagerStep(model, LOSS, optimizer, 1.0, nullcontext)
    whole = capturable(optimizer)
    step, source = (CapturedStep(eager, train.inputs, whole, say), RawBatches(train)) if captured else (eager, train)
    schedule = Schedule(Cosine(warmup_steps=5), optimizer, 36, "train/loss", "min")
    fit(step, source, Plan(4), hooks=[schedule])
    return [p.detach().cpu() for p in model.parameters()]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize(("name", "close"), [("sgd", 1e-4), ("adamw", 1e-3)])
def test_a_graph_on_a_gpu_trains_as_eager_steps_do(name: str, close: float, dropout: float) -> None:
    """Over four epochs: kernels and random numbers are the same. Adam's steps follow the sign of the tiniest gradient,
    and some kernels add up in any order."""
    found = []
    for captured in (True, False):
        torch.manual_seed(0)
        model = models.make("lenet", in_channels=1, image_size=28, num_classes=10, dropout=dropout)
        found.append(on_a_gpu(model, name, captured))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=close)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_graph_on_a_gpu_is_exact_in_float64() -> None:
    device, found = torch.device("cuda"), []
    for captured in (True, False):
        train = Batches(images(), 8, device, dtype=torch.float64, mean=(0.5,), std=(0.25,))
        found.append(on_a_gpu(lenet().double(), "adamw", captured, train=train))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_graph_on_a_gpu_takes_batches_that_workers_read() -> None:
    """A thread pins them, also while the graph is recorded."""
    device = torch.device("cuda")
    streamed = Batches(images(), 8, device, mean=(0.5,), std=(0.25,), workers=1)
    resident = Batches(images(), 8, device, mean=(0.5,), std=(0.25,))
    found = [on_a_gpu(lenet(), "sgd", True, train=train) for train in (streamed, resident)]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda x: float(x.sum()), id="torch-refuses"),
        pytest.param(
            lambda x: torch.cuda.synchronize(),
            id="cuda-refuses",
            marks=pytest.mark.skipif(torch.__version__ < "2.12", reason="no later test could capture anything"),
        ),
    ],
)
def test_a_model_that_waits_for_the_gpu_falls_back(wait: Callable[[Tensor], object]) -> None:
    """And trains as if nothing had been tried: random numbers and the current stream are as they were."""

    class Waits(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            outputs = nn.functional.dropout(super().forward(inputs.flatten(1)))
            wait(outputs)
            return outputs

    said: list[str] = []
    stream, found = torch.cuda.current_stream(), []
    for captured in (True, False):
        torch.manual_seed(0)
        found.append(on_a_gpu(Waits(784, 10), "sgd", captured, said.append))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    assert len(said) == 1
    assert torch.cuda.current_stream() == stream


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda p: torch.optim.SGD(p, fused=True), True),
        (lambda p: torch.optim.SGD(p), False),
        (lambda p: torch.optim.AdamW(p, fused=True, capturable=True), True),
        (lambda p: torch.optim.AdamW(p, fused=True), False),
        (lambda p: torch.optim.RMSprop(p, capturable=True), True),
        (lambda p: torch.optim.Adagrad(p), False),
        (lambda p: torch.optim.SGD([q.detach().double() for q in p], fused=True), False),
    ],
    ids=["sgd-fused", "sgd", "adamw", "adamw-untold", "rmsprop", "adagrad", "float64"],
)
def test_only_updates_that_wait_for_nothing_go_into_a_graph(make: Callable[[Any], Any], found: bool) -> None:
    assert bool(capturable(make(lenet().parameters()))) == found
