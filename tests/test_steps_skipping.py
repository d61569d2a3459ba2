"""The step that looks before it is taken: eager to the bit while everything is finite, and nothing where it is not."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainer.engine import losses
from trainer.engine.steps import WORTH_CAPTURING, kind
from trainer.engine.steps.eager import EagerStep, SkippingStep
from trainer.system.errors import ConfigError

Pair = tuple[Tensor, Tensor]
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def batches(count: int) -> list[Pair]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(12, 5, generator=generator), torch.randint(3, (12,), generator=generator)) for _ in range(count)
    ]


def make(
    cls: type[EagerStep], optimizer: str = "sgd", clip_norm: float | None = None
) -> tuple[nn.Sequential, torch.optim.Optimizer, EagerStep]:
    model = network()
    made = OPTIMIZERS[optimizer](model.parameters())
    return model, made, cls(model, losses.make("cross_entropy"), made, clip_norm, nullcontext)


def everything(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Weights, running means and the optimizer's state."""
    state = optimizer.state_dict()["state"]
    values = [v for entry in state.values() for v in entry.values() if isinstance(v, Tensor)]
    return [v.clone() for v in (*model.state_dict().values(), *values)]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def bad(pair: Pair, value: float) -> Pair:
    inputs = pair[0].clone()
    inputs[3, 2] = value
    return inputs, pair[1]


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_while_everything_is_finite_it_is_the_eager_step_to_the_bit(
    optimizer: str, clip_norm: float | None, accumulate: int
) -> None:
    found = []
    for cls in (EagerStep, SkippingStep):
        model, made, step = make(cls, optimizer, clip_norm)
        torch.manual_seed(7)
        taken = batches(6)
        values = [step(taken[i : i + accumulate]) for i in range(0, 6, accumulate)]
        found.append([*values, *everything(model, made)])
    assert equal(*found)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("before", [0, 2])
def test_a_bad_batch_touches_nothing_and_its_loss_is_nan(optimizer: str, value: float, before: int) -> None:
    """Neither weights, nor the optimizer's state, nor the running means of batch normalisation."""
    model, made, step = make(SkippingStep, optimizer)
    good = batches(before + 1)
    for pair in good[:before]:
        step([pair])
    left = everything(model, made)
    assert bool(step([bad(good[before], value)]).isnan())
    assert equal(everything(model, made), left)
    assert bool(step([good[before]]).isfinite())
    assert not equal(everything(model, made), left)


def test_one_bad_part_of_an_accumulated_step_skips_all_of_it() -> None:
    model, made, step = make(SkippingStep)
    left = everything(model, made)
    one, other = batches(2)
    assert bool(step([one, bad(other, float("nan"))]).isnan())
    assert equal(everything(model, made), left)


def test_a_training_goes_on_as_if_the_bad_batch_had_not_been_there() -> None:
    found = []
    for spoilt in (True, False):
        model, made, step = make(SkippingStep, "adamw")
        model[3] = nn.Identity()  # dropout would draw for the bad batch, too
        for number, pair in enumerate(batches(5)):
            if spoilt and number in (0, 3):
                step([bad(pair, float("nan"))])
            step([pair])
        found.append(everything(model, made))
    assert equal(*found)


class Steep(nn.Module):
    """A finite output whose gradient is not: the root's at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.sqrt() * x[:, :3]


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_gradient_that_is_not_finite_skips_although_the_loss_is(clip_norm: float | None) -> None:
    model = Steep()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = SkippingStep(model, losses.make("cross_entropy"), optimizer, clip_norm, nullcontext)
    assert bool(step(batches(1)).isnan())
    assert torch.equal(model.weight, torch.zeros(3))


def test_the_loss_has_the_type_and_place_of_any_other() -> None:
    for dtype in (torch.float32, torch.float64):
        model = network().to(dtype)
        step = SkippingStep(model, losses.make("cross_entropy"), torch.optim.SGD(model.parameters()), None, nullcontext)
        ((inputs, targets),) = batches(1)
        good, other = step([(inputs.to(dtype), targets)]), step([bad((inputs.to(dtype), targets), float("nan"))])
        assert (good.dtype, good.shape, good.requires_grad) == (other.dtype, other.shape, other.requires_grad)


def test_a_graph_cannot_look_at_each_step() -> None:
    assert kind("auto", "cuda", WORTH_CAPTURING, on_nan="stop") == "cudagraph"
    assert kind("auto", "cuda", WORTH_CAPTURING, on_nan="skip") == "off"
    assert kind("inductor", "cuda", WORTH_CAPTURING, on_nan="skip") == "inductor"
    with pytest.raises(ConfigError, match="on_nan=skip looks at each step"):
        kind("cudagraph", "cuda", WORTH_CAPTURING, on_nan="skip")
