"""What the files of a run and of a sweep may say: plain values of keys. The rest is for the command line to say.

A directory may be a stranger's. So its files choose nothing that is run, imported, resolved, connected to or written
to: no class, no expression, no config elsewhere, and none of the keys that are declared as `outward`.
"""

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.config import registry

NEUTRAL = ("data.cache", "data.download")  # outward keys that no result depends on: their defaults do as well

_KEY = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*")
_CHOICES = re.compile(r"[\w\s,()'\"*?/-]*")  # names of configs, several of them, or patterns of names
_ELSEWHERE = re.compile(r"(^|[\s,('\"])/")  # a name that begins at the root of all configs
_REFERENCE = re.compile(r"\$\{([A-Za-z]\w*(?:\.\w+)*)\}")  # to another key of the same config


def may_say(word: str) -> bool:
    """Whether a file may hold `word`, an override as it is typed."""
    key, equals, value = word.lstrip("+").partition("=")
    if not equals or not _KEY.fullmatch(key) or key.split(".")[0] == "hydra" or "_target_" in value:
        return False
    if key in (*registry.GROUPS, "experiment"):
        return bool(_CHOICES.fullmatch(value)) and not _ELSEWHERE.search(value)
    return is_inert(value) and not is_outward(key)


def is_outward(key: str) -> bool:
    """Whether `key` leads out of a run, in any section of its group."""
    group, _, name = key.partition(".")
    return name.split(".")[0] in _outward(group)


@functools.cache
def _outward(group: str) -> frozenset[str]:
    sections = registry.sections(group).values() if group in registry.GROUPS else ()
    fields = (field for section in sections for field in section.__dataclass_fields__.values())
    return frozenset(field.name for field in fields if field.metadata.get("outward"))


def is_inert(text: str) -> bool:
    """Whether a text holds no expression but references to other keys, whose values are in the same file."""

    def dropped(found: re.Match[str]) -> str:
        leads_out = any(f"{key}.".startswith(f"{found[1]}.") for key in _of_the_environment())
        return found[0] if leads_out else ""

    return "${" not in _REFERENCE.sub(dropped, text)


@functools.cache
def _of_the_environment() -> tuple[str, ...]:
    """The keys whose declared defaults come from environment variables."""
    return tuple(path for group in registry.GROUPS for path, value in _declared(group) if "${oc.env" in value)


def _declared(group: str) -> Iterator[tuple[str, str]]:
    for section in registry.sections(group).values():
        yield from texts(registry.defaults(section), f"{group}.")


def texts(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a config, however deep, by the keys that they belong to."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from texts(value, f"{above}{name}.")
        else:
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    yield f"{above}{name}", text
                elif isinstance(text, Mapping):
                    yield from texts(text, f"{above}{name}.")


def expressions(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The expressions in a run's config that its file may not hold, by their keys.

    It may hold those that a default has, and those that the user's own `./configs` have at the same key.
    """
    found = [(key, text) for key, text in texts(values) if not is_inert(text)]
    for known in ((pair for group in registry.GROUPS for pair in _declared(group)), _of_the_user()):
        if found:  # most often the first are all, and the user's files need not be read
            taken = set(known)
            found = [pair for pair in found if pair not in taken]
    return found


def _of_the_user() -> Iterator[tuple[str, str]]:
    for group in (*registry.GROUPS, *registry.NAMED, "experiment"):
        for name, values in own_configs(group).items():
            above = "" if group == "experiment" else f"{group}.{name}." if group in registry.NAMED else f"{group}."
            yield from texts(values, above)


def unnamed(values: Mapping[str, Any], words: Collection[str]) -> Iterator[tuple[str, str, Any]]:
    """The classes in a config that the user has named neither in `./configs` nor by the `words` that were typed.

    Each comes with its kind (a group, or that of a part such as a metric), and with the path of its section.

    Raises:
        ValueError: A section is none.
    """
    sections = [(group, group, values[group]) for group in registry.GROUPS if isinstance(values.get(group), dict)]
    for kind in registry.NAMED:
        parts = values.get(kind) or {}
        if not isinstance(parts, dict) or not all(isinstance(section, dict) for section in parts.values()):
            raise ValueError(f"{kind} has no sections")
        sections += [(kind, f"{kind}.{name}", section) for name, section in parts.items()]
    for kind, path, section in sections:
        target = section.get("_target_")
        if target is None or f"{path}._target_" in words:
            continue
        if "${" in str(target) or target not in [values.get("_target_") for values in own_configs(kind).values()]:
            yield kind, path, target


def own_configs(group: str) -> dict[str, dict[str, Any]]:
    """The configs of a group in the user's `./configs`, as plain values by their names, those that can be read."""
    from omegaconf import DictConfig, OmegaConf

    from trainer.config.written import plain

    configs = {}
    for path in sorted((Path("configs") / group).glob("*.yaml")):
        try:
            found = OmegaConf.load(path)
        except Exception:  # whatever is wrong with it
            continue
        if isinstance(found, DictConfig):
            configs[path.stem] = plain(found)
    return configs
