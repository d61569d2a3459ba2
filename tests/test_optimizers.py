"""An optimizer's step as the loop takes it, against torch's own `step`."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Trainer
from running import QUICK
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from trainer.engine.optimizers import lean

MAKE: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))


def backward(model: nn.Module) -> None:
    model.zero_grad()
    model(torch.linspace(0, 1, 8).view(2, 4)).square().sum().backward()


@pytest.mark.parametrize("name", MAKE)
def test_a_lean_step_is_torchs_to_the_bit(name: str) -> None:
    one, other = network(), network()
    plain, optimizer = MAKE[name](one.parameters()), MAKE[name](other.parameters())
    step = lean(optimizer)
    for _ in range(5):
        for model in (one, other):
            backward(model)
        plain.step()
        step()
    for expected, found in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["register_step_pre_hook", "register_step_post_hook", "of all optimizers"])
def test_hooks_are_called_at_each_step(kind: str, when: str) -> None:
    """Whether they were registered before the loop took the optimizer's step, or later."""
    model, calls = network(), list[object]()
    optimizer = MAKE["sgd"](model.parameters())

    def register() -> Any:
        if kind == "of all optimizers":
            return register_optimizer_step_post_hook(lambda *facts: calls.append(facts))
        return getattr(optimizer, kind)(lambda *facts: calls.append(facts))

    handle = register() if when == "before" else None
    step = lean(optimizer)
    handle = handle or register()
    try:
        for _ in range(3):
            backward(model)
            step()
    finally:
        handle.remove()
    assert len(calls) == 3


def test_a_step_of_its_own_is_called_and_a_schedule_beside_it_does_not_hide_it() -> None:
    model, calls = network(), list[int]()
    optimizer = MAKE["sgd"](model.parameters())
    torchs = optimizer.step

    def own() -> None:
        calls.append(1)
        torchs()

    optimizer.step = own  # type: ignore[assignment]
    step = lean(optimizer)
    for _ in range(3):
        backward(model)
        step()
    assert len(calls) == 3


def test_a_schedule_does_not_make_a_step_any_slower_or_warn() -> None:
    model = network()
    optimizer = MAKE["sgd"](model.parameters())
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    before = copy.deepcopy(model)
    step = lean(optimizer)
    backward(model)
    step()
    schedule.step()  # which would warn if no step had been taken
    assert not all(torch.equal(a, b) for a, b in zip(before.parameters(), model.parameters(), strict=True))


HOOKED = """
from pathlib import Path

import torch


def note(*facts):
    calls = Path("calls")
    calls.write_text((calls.read_text() if calls.exists() else "") + "x")


def hooked(parameters, lr):
    optimizer = torch.optim.SGD(parameters, lr=lr)
    optimizer.register_step_post_hook(note)
    return optimizer
"""


def own(name: str, target: str) -> None:
    """An optimizer of the user's own in `./configs`."""
    Path("configs/optim").mkdir(parents=True)
    Path(f"configs/optim/{name}.yaml").write_text(f"_target_: {target}\nlr: 0.01\n")


def test_hooks_of_the_users_optimizer_are_called_in_a_training(trainer: Trainer) -> None:
    Path("hooked.py").write_text(HOOKED)
    own("mine", "hooked.hooked")
    ran = trainer("train", *QUICK, "optim=mine", "data.batch_size=30")
    assert ran.code == 0, ran.err
    assert Path("calls").read_text() == "xxx"


def test_an_optimizer_that_computes_the_loss_itself_is_refused_before_there_is_a_run(trainer: Trainer) -> None:
    own("lbfgs", "torch.optim.LBFGS")
    ran = trainer("train", *QUICK, "optim=lbfgs")
    assert ran.code == 2
    first, hint = ran.err.splitlines()
    assert first.startswith("error: optim._target_=torch.optim.LBFGS: its step needs a closure")
    assert "whose step() takes no arguments" in hint
    assert not Path("runs").exists()
