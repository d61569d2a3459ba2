"""The keys of a run's config.yaml as one flat table: `optim.lr`, `seed`, and `model` for what people call the model.

A thousand runs are listed in less than a second, and a YAML parser takes three milliseconds for each. trainer writes
one key on a line, and so the file is read line by line; one that is written otherwise goes to the parser.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from trainer.config import registry
from trainer.config.base import BESIDE, FACTS
from trainer.system import inside

CONFIG = "config.yaml"
LONGEST = 2**18  # bytes of it; one has about two thousand
LARGEST = 2**64  # whole number that is taken for one: sorting makes a float of it
_LINE = re.compile(r"( *)(?:([A-Za-z_][\w-]*):(?: (.+))?|- (.+))")
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_PLAIN = re.compile(r"(?!- )[\w$/~.+-](?:(?!: |:\Z| #).)*(?<! )")  # on one line, without a comment
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d*)?(e[-+]?\d+)?", re.ASCII)
_WORDS: dict[str, Any] = {"null": None, "true": True, "false": False, "{}": {}, "[]": []}


class _OtherwiseError(Exception):
    """The file is not written as trainer writes it."""


def of(directory: Path) -> dict[str, Any]:
    """The keys of a run; none where its config.yaml cannot be read."""
    try:
        written = inside.content(directory / CONFIG, LONGEST).decode()
        try:
            found = _by_lines(written)
        except _OtherwiseError:
            found = dict(_flat(yaml.load(inside.yaml_of(directory / CONFIG, LONGEST), inside.yaml_loader()), ""))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return {group: name for group in registry.GROUPS if (name := _called(group, found)) is not None} | found


def is_compared(key: str) -> bool:
    """Whether runs are told apart by a key: not by where they lie, nor by what follows from their data and choices."""
    group, _, name = key.partition(".")
    if group == "data" and name in FACTS:
        return False
    return not ({key, group} & set(BESIDE) or name in ("name", "_target_", "arch"))


def _called(group: str, found: Mapping[str, Any]) -> Any:
    """What people call the section: a network by its own name, a class of the user's by that."""
    names = (found.get(f"{group}.{key}") for key in ("arch", "name", "_target_"))
    return next((name for name in names if isinstance(name, str) and "${" not in name), None)


def _by_lines(written: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    above: list[tuple[int, str]] = []  # indentation and prefix of the sections that a line may stand in
    last, depth = "", 0  # the key without a value so far: a section or a list follows
    for line in written.splitlines():
        indent, name, value = _line(line)
        if name is None:  # an entry of a list
            if not last or indent < depth:
                raise _OtherwiseError
            found[last] = [*(found[last] or ()), value]
            continue
        if last and found[last] is None and indent > depth:
            del found[last]
            above.append((depth, f"{last}."))
        while above and indent <= above[-1][0]:
            above.pop()
        key = above[-1][1] + name if above else name
        if (indent > 0) != bool(above):
            raise _OtherwiseError
        found[key] = None if value is _OPEN else value
        last, depth = (key, indent) if value is _OPEN else ("", 0)
    return found


_OPEN = object()


@functools.lru_cache(2**16)
def _line(line: str) -> tuple[int, str | None, Any]:
    """Indentation, key and value of a line; no key in a list, and the value `_OPEN` where more lines say it."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise _OtherwiseError
    indent, key, value, entry = match.groups()
    if key is None:
        return len(indent), None, _scalar(entry)
    return len(indent), key, _OPEN if value is None else _scalar(value)


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if number := _NUMBER.fullmatch(text):
        return float(text) if number[2] or number[3] else _plain(int(text))
    if _QUOTED.fullmatch(text):
        return text[1:-1].replace("''", "'")
    if not _PLAIN.fullmatch(text):
        raise _OtherwiseError
    return _plain(yaml.load(text, inside.yaml_loader()))


def _plain(value: Any) -> Any:
    """A value as JSON has it: YAML also knows dates."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, int) and abs(value) > LARGEST:
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _flat(value: Any, above: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not above):
        for name, inner in value.items():
            yield from _flat(inner, f"{above}.{name}" if above else str(name))
    elif above:
        yield above, _plain(value)
