"""What a checkpoint says of its model and data: JSON text of names and scalars, checked before anything uses it."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainer.checkpoint.columns import is_plan
from trainer.system.errors import CheckpointError
from trainer.system.shapes import has, is_count, is_real, is_text, table

_LONGEST = 2**23  # characters of a description
_DEEPEST = 20  # levels of lists and dictionaries in it
_MOST_PARTS = 100
_SHELL = re.compile(r"""[$`;&|<>()'"\\\x00-\x1f]""")


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `values` that are plain: text, numbers, booleans, None, and lists or dicts of them."""
    return {name: value for name, value in values.items() if _is_plain(value, 1)}


def parsed(path: Path, text: Any) -> dict[str, Any]:
    """The description in the file `path`, from its JSON `text`.

    Raises:
        CheckpointError: it is not JSON, too long, nested too deeply, or has values of wrong types.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise CheckpointError(f"{path} is damaged: its description is not a text, or too long")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its description cannot be read") from error
    if not isinstance(description, dict) or not _is_plain(description):
        raise CheckpointError(f"{path} is damaged: its description is not what it should be")
    for name, fits in _FACTS.items():
        if description.get(name) is not None and not fits(description[name]):
            raise CheckpointError(f"{path} is damaged: its description's {name} are not what they should be")
    return description


def _is_plain(value: Any, level: int = 0) -> bool:
    """Whether `value` is of scalars that JSON and torch can hold, nested at most `_DEEPEST` levels deep."""
    if isinstance(value, list | tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        named = not isinstance(value, dict) or all(isinstance(key, str) for key in value)
        return named and level < _DEEPEST and all(_is_plain(part, level + 1) for part in parts)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)


def _words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _reals(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, int | float) for v in value)


def _scales(value: Any) -> bool:
    return _reals(value) and all(v > 0 for v in value)


def _choices(value: Any) -> bool:
    """Names that are shown as what to type: with nothing in them that means more to a shell."""
    return isinstance(value, dict) and _words([*value.values()]) and not any(map(_SHELL.search, value.values()))


def _levels(value: Any) -> bool:
    """Two values of 16 bits, the lower one first."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_count, value)) and value[0] < value[1] < 2**16


def _shape(value: Any) -> bool:
    """Of an image (C, H, W), or of features (F,); as large as a machine may hold."""
    return (
        isinstance(value, list) and len(value) in (1, 3) and all(map(is_count, value)) and 0 < math.prod(value) < 2**31
    )


def _own(value: Any) -> bool:
    """Parts of somebody's own, by kind and name, each with its class; no more than anybody would name."""
    is_part = has({"class": is_text}, ("class",))
    return table(is_part)(value) and len(value) <= _MOST_PARTS


def _temperature(value: Any) -> bool:
    return is_real(value) and 1e-3 <= value <= 1e3


def _share(value: Any) -> bool:
    return is_real(value) and 0 <= value <= 1


_FACTS: dict[str, Callable[[Any], bool]] = {
    "classes": _words,
    "columns": _words,
    "mean": _reals,
    "std": _scales,
    "target_mean": _reals,
    "target_std": _scales,
    "plan": is_plan,
    "choices": _choices,
    "own": _own,
    "samples": is_count,
    "levels": _levels,
    "shape": _shape,
    "bytes": lambda value: isinstance(value, bool),
    "outputs": lambda value: is_count(value) and value > 0,
    "temperature": _temperature,
    "threshold": _share,
}
