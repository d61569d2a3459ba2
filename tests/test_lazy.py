"""Models that make parameters on first use: they are trained, resumed and read as any other."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import Trainer
from running import SILENT, evaluate, reported, same, train, weights
from torch import Tensor, nn

from trainer.engine.loop import Hook
from trainer.engine.state import State
from trainer.engine.unused import NamesUnused, without_gradient

NETS = """
import torch
from torch import nn


class Lazy(nn.Sequential):
    def __init__(self, classes=10):
        super().__init__(nn.Flatten(), nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(classes))


class Convolutions(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(10)
        )


class PlainLazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


class PlainConvolutions(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(676, 10)
        )


class PlainLate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Late(nn.Module):
    # Without torch's lazy layers: as people write it.
    def __init__(self):
        super().__init__()
        self.fc = None

    def forward(self, x):
        if self.fc is None:
            self.fc = nn.Linear(x[0].numel(), 10)
        return self.fc(x.flatten(1))


class Unused(nn.Module):
    def __init__(self, unused=2):
        super().__init__()
        self.fc = nn.LazyLinear(10)
        self.heads = nn.ModuleList([nn.Linear(3, 3, bias=False) for _ in range(unused)])

    def forward(self, x):
        return self.fc(x.flatten(1))


class NeverUsed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.LazyLinear(10), nn.LazyLinear(2)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Silent(nn.Module):
    def forward(self, x):
        raise NotImplementedError
"""
FAST = (*SILENT, "data=digits", "epochs=2", "data.limit=400", "optim.lr=0.1")


@pytest.fixture(autouse=True)
def nets(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (empty / "lazy_nets.py").write_text(NETS)
    (empty / "configs" / "model").mkdir(parents=True)
    for name in re.findall(r"class (\w+)", NETS):
        more = "unused: 2\n" if name == "Unused" else ""
        (empty / "configs" / "model" / f"{name}.yaml").write_text(f"_target_: lazy_nets.{name}\n{more}")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("lazy_nets", None)


def net(name: str) -> str:
    return f"model={name}"


@pytest.mark.parametrize(
    ("name", "precision"),
    [("Lazy", "float32"), ("Lazy", "float64"), ("Convolutions", "float32"), ("Convolutions", "float64"),
     ("Late", "float32")],
)  # fmt: skip
def test_a_lazy_model_is_trained_as_one_whose_shapes_are_written(trainer: Trainer, name: str, precision: str) -> None:
    """To the bit: it begins with the numbers of the run's seed, and all of it is trained."""
    lazy, plain = (train(trainer, *FAST, net(n), "seed=3", f"precision={precision}") for n in (name, f"Plain{name}"))
    assert same(weights(lazy), weights(plain))
    assert reported(lazy) == reported(plain)


@pytest.mark.parametrize("name", ["Lazy", "Convolutions", "Late"])
def test_a_lazy_model_is_resumed_and_evaluated_as_any_other(trainer: Trainer, name: str) -> None:
    whole = train(trainer, *FAST, net(name), "epochs=3")
    cut = train(trainer, *FAST, net(name), "epochs=1")
    assert trainer("resume", str(cut), "epochs=3").code == 0
    assert same(weights(cut), weights(whole))
    assert evaluate(trainer, f"ckpt={whole}", net(name)) == reported(whole)
    ran = trainer("inspect", f"ckpt={whole}", net(name))
    assert ran.code == 0, ran.err
    ran = trainer("inspect", net(name))
    assert ran.code == 0, ran.err


def test_a_lazy_layer_without_input_is_named(trainer: Trainer) -> None:
    ran = trainer("train", *FAST, net("NeverUsed"))
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 2
    assert "the shape of head.weight is not known" in ran.err


def test_an_error_without_a_message_is_named_by_its_class(trainer: Trainer) -> None:
    ran = trainer("train", *FAST, net("Silent"))
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 2
    assert "of shape (1, 28, 28): NotImplementedError" in ran.err


# --- parameters without a gradient --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unused", "words"),
    [
        (1, "no gradient reaches 1 parameter of the model, which training does not change: heads.0.weight\n"),
        (5, "no gradient reaches 5 parameters of the model, which training does not change: heads.0.weight, "
            "heads.1.weight, heads.2.weight, ...\n"),
    ],
)  # fmt: skip
def test_parameters_without_a_gradient_are_named_once(trainer: Trainer, unused: int, words: str) -> None:
    ran = trainer("train", *FAST, net("Unused"), f"model.unused={unused}")
    assert ran.code == 0, ran.err
    assert " ".join(words.split()) in " ".join((ran.err + ran.out).split())
    assert (ran.err + ran.out).count("no gradient") == 1


def test_parameters_without_a_gradient_are_named_where_models_are_stepped_together(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *FAST, net("Unused"), "sweep=batched", "seed=0,1", "optim.lr=0.1,0.01")
    assert ran.code == 0, ran.err
    assert "heads.0.weight, heads.1.weight" in " ".join((ran.err + ran.out).split())
    assert (ran.err + ran.out).count("no gradient") == 1


def test_models_whose_parameters_all_have_gradients_say_nothing(trainer: Trainer) -> None:
    for model in ("model=mlp", net("Lazy"), "model=lenet"):
        ran = trainer("train", *FAST, model, "max_steps=2")
        assert "no gradient" not in ran.err + ran.out


def test_only_the_first_step_is_looked_at() -> None:
    used, frozen, unused = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    frozen.requires_grad_(False)
    used.sum().backward()
    named: dict[str, Tensor] = {"used": used, "frozen": frozen, "unused": unused}
    said: list[str] = []
    hook: Hook = NamesUnused(named.items, said.append)
    for _ in range(2):
        hook.on_step(State())
    assert said == [without_gradient(named.items())]
    assert said[0].endswith(": unused")
    assert without_gradient([("used", used), ("frozen", frozen)]) == ""
    assert without_gradient([("unused", unused)]) == ""
