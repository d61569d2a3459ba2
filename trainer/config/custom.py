"""The user's own classes and functions, which a config names by `_target_`."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from trainer.config import registry
from trainer.config.base import Config, Custom
from trainer.system.errors import ConfigError, TrainerError, TrainingFailedError, did_you_mean, first_line, named

WHERE = "HYDRA_FULL_ERROR=1 shows where"


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
            WHERE,
        ) from error


def part(path: str, section: Custom, *args: Any) -> Any:
    """What `_target_` names: an object of a class, made with `args` and the keys; or a function that has its keys.

    Raises:
        ConfigError: It cannot be imported, does not build, or has no such argument as a key says.
    """
    found = _imported(path, section.target)
    if isinstance(found, type):
        return call(path, section, *args)
    with suppress(TypeError, ValueError):  # Python cannot tell the arguments of each function of C
        known = inspect.signature(found).parameters
        unknown = [name for name in section.kwargs if name not in known]
        if unknown and not any(argument.kind is argument.VAR_KEYWORD for argument in known.values()):
            raise ConfigError(
                f"{path}.{unknown[0]}: {section.target} has no such argument", did_you_mean(unknown[0], known)
            )
    return partial(found, **section.kwargs) if section.kwargs else found


def arguments(path: str, section: Custom) -> Collection[str]:
    """The names of the arguments of what `_target_` names, as far as Python can tell.

    Raises:
        ConfigError: It cannot be imported.
    """
    found = _imported(path, section.target)
    with suppress(TypeError, ValueError):
        return inspect.signature(found).parameters.keys()
    return ()


def is_subclass(path: str, section: Custom, of: type) -> bool:
    """Whether `_target_` names a class that is one `of` these.

    Raises:
        ConfigError: It cannot be imported.
    """
    found = _imported(path, section.target)
    return isinstance(found, type) and issubclass(found, of)


def guarded(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the user's own that says in a line what goes wrong in it while a training runs.

    Raises:
        TrainingFailedError: It raised something.
    """

    def called(*args: Any) -> Any:
        try:
            return function(*args)
        except TrainerError:
            raise
        except Exception as error:
            raise TrainingFailedError(f"{what} fails: {named(error)}", WHERE) from error

    return called


def _imported(group: str, target: str) -> Callable[..., Any]:
    here = os.getcwd()
    name, _, attribute = target.rpartition(".")
    try:
        with _first(here):
            found = getattr(importlib.import_module(name), attribute)
    except Exception as error:  # importing runs the user's code: anything can happen
        missing = isinstance(error, ModuleNotFoundError) and not (Path(here) / f"{name.split('.')[0]}.py").exists()
        hint = f"run trainer where {name.split('.')[0]}.py is, or install it" if missing else WHERE
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
            lines.append(_said(f"{group}={config.title(group)}", target))
    for kind, parts in config.own.items():
        lines += [_said(f"{kind}={name}", section.target) for name, section in parts.items()]
    return lines


def _said(part: str, target: str) -> str:
    return f"{part} runs code: {target}, from {_place(target.partition('.')[0])}"


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
