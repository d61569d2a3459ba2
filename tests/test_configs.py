"""Every YAML below configs/: a new one is tested by being there."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import OmegaConf, open_dict
from torch import nn

from trainer.config import registry
from trainer.config.base import Config
from trainer.config.check import check
from trainer.config.composition import CONFIGS, group_choices, register
from trainer.config.data import CACHE
from trainer.config.keys import MISSING
from trainer.data.splits import Dataset, Split
from trainer.engine.objective import Objective
from trainer.engine.optimizers import make_optimizer
from trainer.engine.schedule import Schedule, make_schedule
from trainer.models.build import build_model

YAMLS = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml"))
CHOICES = [(group, choice) for group in registry.GROUPS for choice in group_choices(group)]
ARCH = {"torchvision": "squeezenet1_1", "timm": "test_resnet"}  # small networks of libraries


def compose(verb: str, *overrides: str) -> Config:
    """What `trainer VERB OVERRIDES...` composes, checked; values that the user must give are made up."""
    register()
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose(verb, list(overrides), return_hydra_config=True)
    choices = {k: str(v) for k, v in cfg.hydra.runtime.choices.items()}
    with open_dict(cfg):
        del cfg["hydra"]
    for section in (cfg, *(cfg[group] for group in registry.GROUPS if cfg.get(group))):
        for key in OmegaConf.missing_keys(section):
            kind = str(getattr(registry.of_verb(verb), "__annotations__", {}).get(key, ""))
            OmegaConf.update(cfg, key, ["given"] if "list" in kind else "given")
    return check(verb, cfg, list(overrides), choices)


def sample(channels: int, size: int) -> Dataset:
    images = torch.zeros(4, channels, size, size, dtype=torch.uint8)
    split = Split(images, torch.tensor([0, 1, 2, 3]))
    return Dataset("sample", split, split, None, tuple("abcd"), (0.5,) * channels, (0.5,) * channels)


@pytest.mark.parametrize("path", YAMLS)
def test_every_yaml_begins_with_what_it_is(path: str) -> None:
    lines = (CONFIGS / path).read_text().splitlines()
    if path.startswith("experiment/"):
        assert lines.pop(0) == "# @package _global_"
        assert any(f"trainer train experiment={Path(path).stem}" in line for line in lines)
    assert re.match(r"# \S.{10,}\.$|# .*[.:;]( |$)", lines[0]), lines[0]


def test_every_yaml_is_a_verb_or_a_choice_of_a_known_group() -> None:
    groups = {Path(path).parent.as_posix() for path in YAMLS}
    assert groups == {".", "experiment", *registry.GROUPS}
    assert {Path(path).stem for path in YAMLS if "/" not in path} == set(registry.verbs())


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_with_the_declared_defaults(group: str, choice: str) -> None:
    composed = compose("train", f"{group}={choice}")
    assert composed.title(group) == choice
    section = registry.section(group, composed.written(group)["name"])
    assert set(composed.written(group)) == {field.name for field in dataclasses.fields(section)}


@pytest.mark.parametrize("group", registry.GROUPS)
def test_every_registered_section_has_a_yaml(group: str) -> None:
    assert set(registry.names(group)) <= set(group_choices(group))  # which may have another name of one


@pytest.mark.parametrize("verb", registry.verbs())
def test_a_verbs_config_has_the_declared_defaults(verb: str) -> None:
    config = compose(verb)
    for field in dataclasses.fields(registry.of_verb(verb)):
        if field.name not in registry.GROUPS and field.default not in (MISSING, CACHE):  # the environment's
            assert getattr(config, field.name) == default(field), field.name


def default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


@pytest.mark.parametrize("choice", group_choices("model"))
def test_every_model_builds_for_its_data_and_runs(choice: str) -> None:
    arch = [f"++model.arch={ARCH[choice]}"] if choice in ARCH else []
    composed = compose("train", f"model={choice}", "data=folder", "data.channels=1", "data.size=28", *arch)
    composed.fill_data(sample(1, 28).facts())
    model = build_model(composed, torch.randn(1, 1, 28, 28), outputs=4)
    model.eval()
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 4)


@pytest.mark.parametrize("choice", sorted({*group_choices("optim")} - {"auto"}))
def test_every_optimizer_builds_as_torch_has_it(choice: str) -> None:
    model = nn.Linear(2, 2)
    made = make_optimizer(compose("train", f"optim={choice}", "optim.lr=0.25"), model, outputs=2)
    assert type(made).__name__.lower() == choice
    assert made.defaults["lr"] == 0.25
    model(torch.ones(1, 2)).sum().backward()
    made.step()
    torch_default = type(made)(model.parameters(), lr=0.25).defaults
    ours = {k: v for k, v in made.defaults.items() if k not in ("fused", "foreach")}
    assert ours == {k: torch_default[k] for k in ours}


@pytest.mark.parametrize("choice", sorted({*group_choices("scheduler")} - {"auto"}))
def test_every_scheduler_builds(choice: str) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    made = make_schedule(compose("train", f"scheduler={choice}"), optimizer, 100, Objective("val/loss", "min"))
    assert isinstance(made, Schedule)
    assert bool(made.per_step or made.per_epoch) == (choice != "constant")


@pytest.mark.parametrize("choice", group_choices("experiment"))
def test_every_experiment_composes(choice: str) -> None:
    composed = compose("train", f"experiment={choice}")
    assert composed.name == choice
    assert composed.choices["experiment"] == choice
    for group in ("data", "optim", "scheduler"):
        assert getattr(composed, group).name == composed.choices[group]
    schedule, optim = composed.scheduler, composed.optim
    if optim.name != "auto":  # which the data choose
        made = make_optimizer(composed, nn.Linear(2, 2), outputs=2)
        assert made.defaults["lr"] == optim.lr
    assert schedule.warmup_steps >= 0
