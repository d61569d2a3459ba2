"""Configs that differ from a checked one in plain values: only these are checked, and the rest is taken over."""

import copy
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from trainer.config import registry
from trainer.config.base import Custom
from trainer.config.check import converted, declaration, declared
from trainer.config.keys import MISSING
from trainer.config.train import Train
from trainer.config.written import interpolated

Values = Mapping[str, Any]
_CHOOSES = ("name", "_target_")  # with another of these, a section has other keys
_FROM_OUTSIDE = re.compile(r"\$\{oc\.env:[^${}]*\}")  # what depends on no other key


class Alike:
    """Makes configs that are like a checked one, `base`, but for the values of some of `keys`.

    It does so for values that stand for themselves, in sections of ours. What else a value may do (lead to another key,
    be a section, choose what other keys there are) is for the check of a whole config.
    """

    def __init__(self, base: Train, keys: Collection[str]) -> None:
        self._paths = {key: key.split(".") for key in keys}
        self._values = base.composed()
        self._base = _copied(base, self._values)  # the job itself will be trained, and facts of the data entered there

    def __call__(self, values: Values, typed: list[str]) -> Train | None:
        """The checked config with these values, which are all of the keys; None if it has to be checked as a whole.

        Raises:
            ConfigError: A value has the wrong type or is out of range. (There may be others, which come first.)
        """
        if not self._usable or values.keys() != self._paths.keys():
            return None
        new = {key: value for key, value in values.items() if not _same(value, self._before[key])}
        if not all(self._stands_alone(key) and _is_plain(value) for key, value in new.items()):
            return None
        composed = self._values
        for key, value in new.items():
            composed = _with(composed, self._paths[key], value)
        config = _copied(self._base, composed)
        config.typed = typed
        for key, value in new.items():
            if key.startswith("model."):
                converted(declaration("model", composed["model"]), {self._paths[key][1]: value}, "model")
            else:
                _replace(config, self._paths[key], value)
        return config

    @cached_property
    def _before(self) -> dict[str, Any]:
        return {key: self._found(path) for key, path in self._paths.items()}

    @cached_property
    def _usable(self) -> bool:
        """Whether no key is within another, and no value that is checked now follows from others."""
        within = any(one != other and other.startswith(f"{one}.") for one in self._paths for other in self._paths)
        sections = {key: value for key, value in self._values.items() if key != "model"}  # it is filled in later
        return not within and not interpolated(_without_environment(sections))

    def _found(self, path: Sequence[str]) -> Any:
        value: Any = self._values
        for name in path:
            value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        return value

    def _stands_alone(self, key: str) -> bool:
        """Whether the key has a plain value now, in a section of ours, and nothing else follows from it."""
        path = self._paths[key]
        group = path[0] if path[0] in registry.GROUPS else None
        named = path[0] in registry.NAMED or key in registry.NAMED.values()
        if named or (group and path[-1] in _CHOOSES) or key in ("from", "ckpt") or not _is_plain(self._before[key]):
            return False
        if group == "model" and len(path) > 2:
            return False
        return group is None or (self._base.given(group) and "_target_" not in self._values[group])


def _copied(config: Train, composed: dict[str, Any]) -> Train:
    """A config with sections of its own."""
    copied = copy.copy(config)
    copied.take_over(composed)
    for group in registry.GROUPS:
        section = getattr(config, group)
        if isinstance(section, Custom):
            section = replace(section, kwargs=copy.deepcopy(section.kwargs), common=copy.copy(section.common))
        setattr(copied, group, copy.copy(section))
    return copied


def _replace(section: Any, path: Sequence[str], value: Any, above: str = "") -> None:
    """Check a value and enter it below a section that is the caller's own; those on the way are copied."""
    name, *rest = path
    if not rest:
        vars(section).update(converted(type(section), {name: value}, above))
        return
    cls: Any = type(section)
    field = declared(cls)[name][0].name
    inner = copy.copy(getattr(section, field))
    setattr(section, field, inner)
    _replace(inner, rest, value, f"{above}.{name}" if above else name)


def _with(values: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """The values with another at a path; the given ones stay as they are."""
    name, *rest = path
    return values | {name: _with(values[name], rest, value) if rest else value}


def _is_plain(value: Any) -> bool:
    """Whether a value stands for itself."""
    return not isinstance(value, dict | list) and not interpolated(value) and value != MISSING


def _same(value: Any, before: Any) -> bool:
    """Whether two values are written alike: 1, 1.0 and true are not, nor are 0.0 and -0.0."""
    return repr(value) == repr(before)


def _without_environment(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_environment(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_environment(item) for item in value]
    return _FROM_OUTSIDE.sub("", value) if isinstance(value, str) else value
