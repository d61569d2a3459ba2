"""`optim.backbone_lr` and `optim.decay_norm_bias`: parameters in groups, against torch's own optimizers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Trainer
from resuming import differences, go_on, interrupting
from running import SILENT, checkpoint, rows, same, train, weights
from torch import nn

from trainer import models
from trainer.config import registry
from trainer.config.train import Train
from trainer.engine.optimizers import make_optimizer
from trainer.system.errors import ConfigError

DIGITS = (*SILENT, "model=lenet", "data=digits", "data.limit=100", "data.batch_size=30", "epochs=3")
BOTH = ("optim=adamw", "optim.lr=0.01", "optim.backbone_lr=0.001", "optim.decay_norm_bias=false")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 2))


def made(model: nn.Module, name: str, **keys: Any) -> torch.optim.Optimizer:
    config = Train()
    config.optim = registry.section("optim", name)(**keys)
    return make_optimizer(config, model, outputs=2)


def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 4) -> dict[str, torch.Tensor]:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.linspace(0, 1, 32).view(8, 4)).square().sum().backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "rmsprop"])
def test_groups_step_as_torch_does_with_the_same_groups(name: str) -> None:
    ours, theirs = network(), network()
    optimizer = made(ours, name, lr=0.1, weight_decay=0.3, backbone_lr=0.01, decay_norm_bias=False)
    first, norm, _, last = theirs
    groups = [
        {"params": [last.weight]},
        {"params": [last.bias], "weight_decay": 0.0},
        {"params": [first.weight], "lr": 0.01},
        {"params": [first.bias, norm.weight, norm.bias], "lr": 0.01, "weight_decay": 0.0},
    ]
    fused = {"fused": True} if name in ("sgd", "adam", "adamw") else {}
    plain = type(optimizer)(groups, lr=0.1, weight_decay=0.3, **fused)  # type: ignore[call-arg]
    found, expected = stepped(ours, optimizer), stepped(theirs, plain)
    assert same(found, expected)
    assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [
        (0.1, 0.3),
        (0.1, 0),
        (0.01, 0.3),
        (0.01, 0),
    ]


def test_parameters_are_one_group_where_nothing_parts_them() -> None:
    for keys in ({}, {"weight_decay": 0.5}, {"decay_norm_bias": False}):
        model = network()
        (group,) = made(model, "sgd", **keys).param_groups
        assert all(map(lambda one, other: one is other, group["params"], model.parameters()))
    assert len(made(network(), "sgd", weight_decay=0.5, decay_norm_bias=False).param_groups) == 2


def test_a_path_beside_the_layers_gives_outputs_too() -> None:
    model = models.make("mlp", in_features=3, out_features=2, hidden=[4, 2], activation="relu", skip=True)
    head, backbone = made(model, "sgd", backbone_lr=0.1).param_groups
    last = {"fc3.weight", "fc3.bias", "skip.weight"}
    assert {name for name, p in model.named_parameters() if any(p is one for one in head["params"])} == last
    assert len(backbone["params"]) == 4


def test_a_rate_for_all_but_the_last_layer_needs_both() -> None:
    with pytest.raises(ConfigError, match="only the last layer is trained"):
        made(nn.Sequential(nn.Linear(4, 2)), "sgd", backbone_lr=0.1)
    with pytest.raises(ConfigError, match="which that is cannot be told"):
        made(nn.Sequential(nn.Linear(4, 2), nn.LayerNorm(2)), "sgd", backbone_lr=0.1)


@pytest.mark.parametrize(
    "schedule",
    [
        ("scheduler=onecycle",),
        ("scheduler=cosine", "scheduler.warmup_steps=2"),
        ("scheduler=plateau", "scheduler.patience=0"),
    ],
)
def test_a_training_with_groups_is_resumed_to_the_bit(trainer: Trainer, schedule: tuple[str, ...]) -> None:
    whole = train(trainer, *DIGITS, *BOTH, *schedule)
    with interrupting(lambda state: state.step in (1, 5)):
        assert trainer("train", *DIGITS, *BOTH, *schedule, "output=cut").code == 130
        (cut,) = Path("cut/lenet_digits").iterdir()
        assert go_on(trainer, cut, 130) == [130, 0]
    assert differences(whole, cut) == []
    groups = checkpoint(whole)["optimizer"]["param_groups"]
    assert len(groups) == 4
    assert groups[0]["lr"] / groups[2]["lr"] == pytest.approx(10)
    assert rows(whole)[-1]["lr"] <= 0.01


def test_groups_of_another_config_do_not_resume(trainer: Trainer) -> None:
    run = train(trainer, *DIGITS, *BOTH, "max_steps=2")
    ran = trainer("resume", str(run), "max_steps=null", "optim.backbone_lr=0.1")
    assert ran.code == 2
    assert "optim.backbone_lr=0.1" in ran.err


def test_groups_are_trained_side_by_side_as_alone(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *DIGITS, *BOTH, "sweep=batched", "optim.lr=0.01,0.02")
    assert ran.code == 0, ran.err
    assert "runs by itself: its optimizer has groups of parameters" in " ".join(ran.out.split())
    alone = train(trainer, *DIGITS, *BOTH, "optim.lr=0.02", "output=alone")
    (job,) = Path("runs/sweeps").glob("*/*/1")
    assert same(weights(job), weights(alone))


def test_both_rates_are_shown(trainer: Trainer) -> None:
    ran = trainer("train", *DIGITS, *BOTH, "max_steps=1")
    assert "adamw lr 0.01 (all but the last layer 0.001)" in " ".join(ran.out.split())
