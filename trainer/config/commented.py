"""A config as YAML, with what is declared of each key as a comment beside it."""

import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from trainer.config import index
from trainer.config.index import Key
from trainer.system.shown import printable

_WIDTH = 120  # of a line; a comment that does not fit beside its key stands above it


def text(values: Mapping[str, Any], chosen: Mapping[str, str]) -> str:
    """The YAML of a training's config; `chosen` has the name of the section of each group."""
    keys = {key.name: key for key in index.keys("train", chosen)}
    return "".join(f"{line}\n" for line in _lines(values, "", "", keys))


def _lines(values: Mapping[str, Any], above: str, indent: str, keys: Mapping[str, Key]) -> Iterator[str]:
    for name, value in values.items():
        full = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_flow(name)}:"
            yield from _lines(value, f"{full}.", f"{indent}  ", keys)
            continue
        line = f"{indent}{_flow(name)}: {_flow(value)}"
        said = _said(keys[full]) if full in keys else ""
        if said and len(line) + len(said) + 4 > _WIDTH:
            yield from (f"{indent}# {part}" for part in textwrap.wrap(said, _WIDTH - len(indent) - 2))
            yield line
        else:
            yield f"{line}  # {said}" if said else line


def _said(key: Key) -> str:
    """What a key means, what it may be, and its limits."""
    choices = [] if all(choice in key.doc for choice in key.choices) else [", ".join(key.choices)]
    more = "; ".join(part for part in (*choices, key.limits) if part)
    return printable(f"{key.doc} ({more})" if more else key.doc)


def _flow(value: Any) -> str:
    """A value on one line. A number with an exponent has a point, for YAML takes `1e-3` for a text."""
    written: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=False, sort_keys=False)
    return written.removesuffix("\n").removesuffix("\n...")
