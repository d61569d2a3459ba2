"""What there is: each model, data set, optimizer, ... and each verb is found by its name, because it is there.

A section of the group `optim` named `adam` is the dataclass in `trainer/config/optim.py` whose key `name` has the
default `adam`. A group in which each thing has a module of its own has the dataclass there: that of the data set
`mnist` stands in `trainer/data/sets/mnist.py`. A verb is a module in `trainer/commands`, and its dataclass is called
as the verb. Names are only ever looked up among those that are there: one that a file gives imports nothing.
"""

import dataclasses
import functools
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer.config.keys import MISSING, public

OF_A_TRAINING = ("model", "data", "optim", "scheduler", "loss")
OF_A_SWEEP = ("sweep", "search")  # how a sweep is run, and which trainings it has
BESIDE = ("tracking",)  # what is done beside a training, on which no result depends
OF_THE_USER = OF_A_TRAINING  # groups in which a class of the user's own may be chosen by `_target_`
# Kinds of parts of the user's own that a key names: `metrics=[f1,mine]` has configs/metric/mine.yaml.
NAMED = {"metric": "metrics", "hook": "hooks", "augment": "data.augment.preset"}
GROUPS = (*OF_A_TRAINING, *OF_A_SWEEP, *BESIDE)
TRAINING = ("train", "config", "check", "profile")  # the verbs whose config is that of a new training
REOPENING = ("resume", "reproduce")  # the verbs whose config is that of a run, with the few keys that may change

_PACKAGE = Path(__file__).parent.parent
_MODULES = {"data": "trainer.data.sets"}  # groups with a module for each choice, which the dataclass stands in


def names(group: str) -> list[str]:
    """The names in a group."""
    return list(_modules(_MODULES[group])) if group in _MODULES else list(_sections(f"trainer.config.{group}"))


def section(group: str, name: Any) -> Any:
    """The dataclass that declares the keys of `name` in a group; None if there is no such."""
    if name not in names(group):
        return None
    place = f"{_MODULES[group]}.{name}" if group in _MODULES else f"trainer.config.{group}"
    return _sections(place)[name]


def sections(group: str) -> dict[str, Any]:
    """All dataclasses of a group by their names."""
    return {name: section(group, name) for name in names(group)}


def shared(group: str) -> Any:
    """The dataclass with the keys that a section of the user's own shares with ours; None where there are none."""
    return getattr(importlib.import_module(f"trainer.config.{group}"), "SHARED", None)


def beside(kind: str) -> Any:
    """The dataclass with the keys that trainer reads in a section of the user's own; None where there are none."""
    module = importlib.import_module(f"trainer.config.{'named' if kind in NAMED else kind}")
    return getattr(module, "BESIDE", {}).get(kind) if kind in NAMED else getattr(module, "OWN", shared(kind))


def verbs() -> list[str]:
    """The names of the verbs, those first that people begin with."""
    first = ("train", "resume", "eval", "predict", "export", "serve", "inspect", "runs")
    found = _modules("trainer.commands")
    return [*(verb for verb in first if verb in found), *(verb for verb in found if verb not in first)]


def command(verb: str) -> ModuleType:
    """The module of a verb: its keys, `SUMMARY`, `EXAMPLES` and `run(config)`."""
    return importlib.import_module(f"trainer.commands.{verb}")


def of_verb(verb: str) -> Any:
    """The dataclass that declares the keys of a verb."""
    return getattr(command(verb), verb.capitalize())


@functools.cache
def declared() -> dict[str, Any]:
    """All dataclasses by their own names: those of sections, of verbs, and those that sections share."""
    found = [cls for group in GROUPS for cls in sections(group).values()]
    found += [*map(of_verb, verbs()), *filter(None, map(shared, GROUPS))]
    return {cls.__name__: cls for cls in found}


def defaults(cls: Any) -> dict[str, Any]:
    """The defaults of a dataclass as plain values by the keys that people type, without the sections of groups."""
    found = {}
    for f in dataclasses.fields(cls):
        value = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        if f.name not in GROUPS:
            found[public(f.name)] = defaults(value) if dataclasses.is_dataclass(value) else value
    return found


@functools.cache
def _modules(package: str) -> tuple[str, ...]:
    folder = _PACKAGE.joinpath(*package.split(".")[1:])
    return tuple(sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__"))


@functools.cache
def _sections(module: str) -> dict[str, Any]:
    """The dataclasses of a module by the defaults of their key `name`; one without is the base of others."""
    found = {}
    for value in vars(importlib.import_module(module)).values():
        fields = {f.name: f for f in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else {}
        if "name" in fields and fields["name"].default != MISSING:
            found[str(fields["name"].default)] = value
    return found
