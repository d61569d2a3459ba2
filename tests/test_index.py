"""The one list of keys (trainer.config.index) holds what is composed and declared, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from trainer.config import index, registry
from trainer.config.composition import compose, ready
from trainer.config.written import plain


def flat(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


@pytest.mark.parametrize("verb", registry.verbs())
def test_the_keys_of_a_verb_are_those_of_its_composed_config(verb: str) -> None:
    with ready():
        composed = plain(compose(verb, [])[0])
    sections = {group: composed.pop(group) for group in index.groups(verb) if composed.get(group) is not None}
    keys = [
        key for key in index.keys(verb, {g: section["name"] for g, section in sections.items()}) if not key.is_group
    ]
    names = [key.name for key in keys if not (verb in registry.REOPENING and key.has("runtime"))]
    assert sorted(names) == sorted(k for k in flat({**composed, **sections}) if not k.endswith(".name"))


@pytest.mark.parametrize("group", registry.GROUPS)
def test_the_keys_of_a_section_are_those_of_its_dataclass(group: str) -> None:
    everything = {(key.name, key.section) for key in index.keys("train")}
    for name in registry.names(group):
        found = index.of_section(group, name)
        assert [key.within for key in found] == [
            k for k in flat(registry.defaults(registry.section(group, name))) if k != "name"
        ]
        assert {(key.name, key.section) for key in found} <= everything
        assert {key.section for key in found} <= {None, name}
        assert {key for key in found if key.section is None} <= set(index.of_group(group))


def test_a_key_says_what_was_declared() -> None:
    keys = {key.name: key for key in index.keys("train", {"model": "mlp", "optim": "sgd", "data": "my own"})}
    momentum, epochs, flip = keys["optim.momentum"], keys["epochs"], keys["data.augment.flip"]
    assert (momentum.type, momentum.shown_default, momentum.limits) == ("float", "0.0", "at least 0, below 1")
    assert (momentum.group, momentum.section, momentum.within) == ("optim", "sgd", "momentum")
    assert (epochs.type, epochs.values, epochs.group) == ("int or auto", ("auto",), None)
    assert (flip.section, flip.within, flip.word, flip.values) == (
        None,
        "augment.flip",
        "flip",
        ("true", "false", "null"),
    )
    assert keys["model.activation"].choices == ("sigmoid", "relu", "tanh", "gelu", "silu")
    assert keys["data.batch_size"].section is None  # a section of the user's own has what all have
    assert "data.path" not in keys


def test_a_last_word_names_the_keys_that_end_with_it() -> None:
    keys = index.keys("train", {"optim": "sgd", "scheduler": "plateau"})
    assert [key.name for key in index.named("lr", keys)] == ["optim.lr"]
    assert {key.name for key in index.named("patience", keys)} == {"early_stopping.patience", "scheduler.patience"}
    assert [key.name for key in index.named("seed", index.keys("train"))] == ["seed"]  # and not data.split_seed
    assert index.named("r", keys) == []


def test_a_run_that_is_opened_again_takes_what_may_change() -> None:
    names = {key.name for key in index.keys("resume")}
    assert {"run", "epochs", "device", "data.root", "tensorboard.enabled"} <= names
    assert names.isdisjoint({"seed", "optim.lr", "accumulate", "model.hidden"})
