"""One optimizer step against the lines of a tutorial."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.engine import losses
from trainer.engine.steps.eager import EagerStep

Pair = tuple[Tensor, Tensor]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def batch(size: int = 12) -> Pair:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, 5, generator=generator), torch.randint(3, (size,), generator=generator)


def step(model: nn.Module, clip_norm: float | None = None, smoothing: float = 0.0, lr: float = 0.1) -> EagerStep:
    trained = [p for p in model.parameters() if p.requires_grad]
    loss = losses.make("cross_entropy", smoothing)
    return EagerStep(model, loss, torch.optim.SGD(trained, lr=lr), clip_norm, nullcontext)


@pytest.mark.parametrize("norm", [1e-3, 0.1, 1e3])
def test_clipping_equals_torchs(norm: float) -> None:
    """Far below the gradient's norm, near it, and far above."""
    plain, model = network(), network()
    inputs, targets = batch()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(plain(inputs), targets).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), norm)
        optimizer.step()
    stepper = step(model, clip_norm=norm)
    for _ in range(3):
        stepper([(inputs, targets)])
    for (name, expected), found in zip(plain.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(found, expected), name


def test_the_accumulated_gradient_is_clipped_and_not_its_parts() -> None:
    inputs, targets = batch()
    many, one = network().double(), network().double()
    pair = (inputs.double(), targets)
    step(one, clip_norm=0.05)([pair])
    step(many, clip_norm=0.05)([(pair[0][i : i + 5], targets[i : i + 5]) for i in (0, 5, 10)])
    for expected, found in zip(one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_the_loss_is_that_of_the_whole_step_and_has_no_graph() -> None:
    model = network()
    inputs, targets = batch()
    expected = float(F.cross_entropy(model(inputs), targets).detach())
    found = step(model)([(inputs[:9], targets[:9]), (inputs[9:], targets[9:])])
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert not found.requires_grad


def test_gradients_of_the_step_before_are_forgotten() -> None:
    model = network()
    stepper = step(model, lr=0.0 + 1e-30)  # so small that the weights stay what they are
    stepper([batch()])
    first = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    stepper([batch()])
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), first, strict=True) if p.grad is not None)


def test_frozen_parameters_stay_and_do_not_count_in_the_norm() -> None:
    frozen, alone = network(), network()
    frozen[0].requires_grad_(False)
    inputs, targets = batch()
    step(frozen, clip_norm=0.01)([(inputs, targets)])

    last = alone[2]
    hidden = alone[1](alone[0](inputs)).detach()
    F.cross_entropy(last(hidden), targets).backward()
    nn.utils.clip_grad_norm_(last.parameters(), 0.01)
    torch.optim.SGD(last.parameters(), lr=0.1).step()

    assert torch.equal(frozen[0].weight, alone[0].weight)
    torch.testing.assert_close(frozen[2].weight, last.weight, rtol=0, atol=0)


def test_training_smooths_labels() -> None:
    model = network()
    inputs, targets = batch()
    expected = F.cross_entropy(model(inputs), targets, label_smoothing=0.2)
    assert torch.equal(step(model, smoothing=0.2)([(inputs, targets)]), expected.detach())


def test_forward_and_loss_run_under_autocast_and_the_backward_pass_does_not() -> None:
    entered: list[str] = []

    @contextmanager
    def autocast() -> Iterator[None]:
        entered.append("in")
        yield
        entered.append("out")

    model = network()
    model.register_forward_hook(lambda *_: entered.append("forward"))
    model[2].weight.register_hook(lambda _: entered.append("backward"))
    optimizer = torch.optim.SGD(model.parameters())
    EagerStep(model, losses.make("cross_entropy"), optimizer, None, autocast)([batch(), batch()])
    assert entered == ["in", "forward", "out", "backward"] * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
        lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
        lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
        lambda p: torch.optim.Adagrad(p, lr=0.1, lr_decay=0.1),
        lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    ],
    ids=["sgd", "sgd-fused", "adam", "adamw-fused", "adagrad", "rmsprop"],
)
def test_the_lean_update_is_torchs_own_to_the_bit(make: Callable[[Any], torch.optim.Optimizer]) -> None:
    plain, model = network(), network()
    expected, optimizer = make(plain.parameters()), make(model.parameters())
    stepper = EagerStep(model, losses.make("cross_entropy"), optimizer, None, nullcontext)
    for _ in range(5):
        inputs, targets = batch()
        expected.zero_grad()
        F.cross_entropy(plain(inputs), targets).backward()
        expected.step()
        stepper([(inputs, targets)])
    for a, b in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_optimizer_of_the_users_own_is_called_as_it_is() -> None:
    class Counting(torch.optim.SGD):
        steps = 0

        def step(self, closure: Any = None) -> Any:
            self.steps += 1
            return super().step(closure)

    model = network()
    optimizer = Counting(model.parameters(), lr=0.1)
    seen: list[int] = []
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    EagerStep(model, losses.make("cross_entropy"), optimizer, None, nullcontext)([batch()])
    assert optimizer.steps == 1
    assert seen


def test_a_schedule_does_not_miss_the_optimizers_step() -> None:
    """torch warns of a schedule that moves before the optimizer has stepped; warnings are errors here."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = EagerStep(model, losses.make("cross_entropy"), optimizer, None, nullcontext)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    stepper([batch()])
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.05
