"""The user's own classes and functions, which a config names by `_target_`."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from trainer.config import registry
from trainer.config.base import Config, Custom
from trainer.system.errors import ConfigError, TrainerError, first_line


def call(group: str, section: Custom, *args: Any) -> Any:
    """Import what `_target_` names, also from the current directory, and call it.

    Raises:
        ConfigError: it cannot be imported, or the call fails.
    """
    function = _imported(group, section.target)
    try:
        return function(*args, **section.kwargs)
    except TrainerError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{group}._target_={section.target} does not build: {type(error).__name__}: {first_line(error)}",
            "HYDRA_FULL_ERROR=1 shows where",
        ) from error


def _imported(group: str, target: str) -> Callable[..., Any]:
    here = os.getcwd()
    name, _, attribute = target.rpartition(".")
    try:
        with _first(here):
            found = getattr(importlib.import_module(name), attribute)
    except Exception as error:  # importing runs the user's code: anything can happen
        missing = isinstance(error, ModuleNotFoundError) and not (Path(here) / f"{name.split('.')[0]}.py").exists()
        hint = (
            f"run trainer where {name.split('.')[0]}.py is, or install it"
            if missing
            else "HYDRA_FULL_ERROR=1 shows where"
        )
        raise ConfigError(
            f"{group}._target_={target} cannot be imported: {type(error).__name__}: {first_line(error)}", hint
        ) from error
    if not callable(found):
        raise ConfigError(f"{group}._target_={target} is not a class or function")
    return found  # type: ignore[no-any-return]


@contextmanager
def _first(folder: str) -> Iterator[None]:
    """Within the block modules are imported from `folder` before all others, and afterwards only if no other has them.

    What libraries import later, a `timeit` or a `scipy.stats`, is then not taken for a file of the user's.
    """
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)  # the first one
        if folder not in sys.path:
            sys.path.append(folder)


def announced(config: Config) -> list[str]:
    """A line for each class of somebody's own that a config has, and where it comes from: said before it is run."""
    lines = []
    for group in registry.OF_THE_USER:
        section = getattr(config, group, None)
        target = section.target if isinstance(section, Custom) else _written_target(config, group)
        if target is not None:
            lines.append(f"{group}={config.title(group)} runs code: {target}, from {_place(target.partition('.')[0])}")
    return lines


def _place(module: str) -> str:
    """Where a module would be imported from; it is not."""
    found = PathFinder.find_spec(module, [os.getcwd(), *sys.path])
    if found is None:
        return "nowhere yet"
    place = found.origin or next(iter(found.submodule_search_locations or ()), "somewhere")
    here = f"{os.getcwd()}{os.sep}"
    return f".{os.sep}{place.removeprefix(here)}" if place.startswith(here) else place


def _written_target(config: Config, group: str) -> str | None:
    """The class of a model that waits for the data."""
    target = config.written(group).get("_target_") if group == "model" else None
    return target if isinstance(target, str) else None
