"""What is given in Python as the words of a command line: `epochs=3` is what `trainer train epochs=3` says."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from trainer.system.errors import ConfigError


def words(overrides: Iterable[str], keys: Mapping[str, Any]) -> list[str]:
    """The overrides as they are, and each key with its value as a word.

    Raises:
        ConfigError: One is no text, is a flag, or has a value that no key takes.
    """
    found = list(overrides)
    for word in found:
        if not isinstance(word, str):
            raise ConfigError(f"{word!r} is not an override", "give texts like 'optim.lr=0.1', or keys: epochs=3")
        if word.startswith("-"):
            raise ConfigError(f"'{word}' is a flag", "flags are for the command line: trainer train --help")
    return found + [f"{key.removesuffix('_')}={_written(key, value)}" for key, value in keys.items()]


def place(key: str, path: "str | os.PathLike[str]") -> str:
    """The word that names a run, a checkpoint or a sweep."""
    return f"{key}={_text(os.fspath(path))}"


def _written(key: str, value: Any) -> str:
    """A value as it is typed. A text stands for itself, but for `${...}` in it."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(float(value) if isinstance(value, float) else int(value))  # NumPy's are no others
    if isinstance(value, list | tuple):
        return f"[{','.join(_written(key, item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{_text(str(name))}:{_written(key, item)}' for name, item in value.items())}}}"
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of NumPy or torch
        return _written(key, value.item())
    raise ConfigError(
        f"{key}={value!r}: no key takes the type {type(value).__name__}", "give a text, a number, or a list"
    )


def _text(value: str) -> str:
    from trainer.cli import quoting

    return value if quoting.is_plain(value) else quoting.quoted(value)
