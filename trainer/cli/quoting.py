"""What is typed as it is meant, made ready for Hydra's grammar: paths, and names with spaces, brackets or accents.

Hydra's grammar has quotes, lists, calls and numbers of its own, and of letters only the English ones. A key that is
declared as `text` takes whatever is typed.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.config import index, registry
from trainer.config.composition import ours
from trainer.config.keys import public
from trainer.system.errors import ConfigError

# Hydra's functions that choose the values of a sweep, or make one.
_CALL = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag|extend_list|int|float|str|bool|json_str)\(.*\)", re.S)
_CONSTRUCTOR = re.compile(r"(\w+)\((\s*\w+\s*=.*)\)")  # optim=adam(lr=0.1)
_PLAIN = re.compile(r"[\w./:+-]+", re.ASCII)  # what Hydra takes as it is, though perhaps for a number
_VALUE = re.compile(r"[-+.\de_]+|true|false|inf|nan|null", re.IGNORECASE)  # what it takes for something else than text
_QUOTES = "'\""
_OPENING, _CLOSING = "[({", "])}"


@dataclasses.dataclass(frozen=True)
class Text:
    """How a key is declared whose values are texts."""

    many: bool  # a list of texts
    optional: bool  # it may be null


def prepared(override: str, texts: Mapping[str, Text], multirun: bool) -> str:
    """Rewrite an override for Hydra's grammar; `texts` are the keys whose values are texts.

    A key of ours is force-added: Hydra then leaves it to our own check to refuse a misspelt one, which
    knows all the keys, and a section that a checkpoint describes takes overrides before it is read.
    """
    if override.startswith("~"):
        return override
    name, value = override.split("=", 1)
    key = name.lstrip("+")
    groups = (*registry.GROUPS, "experiment")
    text = texts.get(key)
    if key in registry.NAMED:
        from trainer.config import named  # late, for it is a mistake

        raise named.misplaced(key, value)
    if key in groups and (call := _CONSTRUCTOR.fullmatch(value)):
        words = " ".join(f"{key}.{part.strip()}" for part in call[2].split(","))
        raise ConfigError(f"{key}={value}: a choice has no arguments", f"{key}={call[1].lower()} {words}")
    if key in groups and not multirun and "," in value and not os.path.exists(value):
        raise _several(key, value)
    if key in groups:
        value = quoted(value) if os.path.exists(value) and not _PLAIN.fullmatch(value) else _no_number(value)
    elif text is not None:
        value = ",".join(_list(part) if text.many else _one(part, text) for part in _parts(value, multirun, text))
    elif not _PLAIN.fullmatch(value) and os.path.exists(value):
        value = quoted(value)
    elif not multirun and len(_split(value, brackets=True)) > 1 and not _is_quoted(value):
        raise _several(key, value)
    if name.startswith("+") or key in groups or key.split(".")[0] == "hydra" or "@" in key or "/" in key:
        return f"{name}={value}"
    return f"++{key}={value}"


def _several(key: str, value: str) -> ConfigError:
    """The mistake of several values for one run."""
    sweep = f"trainer train -m {key}={value}"
    hints = [str(each.hint) for each in index.keys("train") if each.name == key]
    if re.fullmatch(r"-?\d*,\d+", value) and any("float" in hint for hint in hints):
        point = value.replace(",", ".")
        return ConfigError(f"{key}={value}: a decimal comma, or two values?", f"{key}={point}; or a sweep: {sweep}")
    a_list = f"a list is [{value}]; " if any("list" in hint for hint in hints) else ""
    return ConfigError(f"{key}={value}: several values for one run", f"{a_list}a sweep is {sweep}")


def is_plain(value: str) -> bool:
    """Whether a text may stand without quotes: a key that takes no text may take it for a number."""
    return bool(_PLAIN.fullmatch(value))


def quoted(value: str) -> str:
    """Quote a value. Hydra's grammar wants backslashes doubled before a quote or the end, and nowhere else."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


def texts(verb: str, chosen: Mapping[str, str]) -> dict[str, Text]:
    """The keys of a verb, and of the sections `chosen` in its groups, that are declared as text.

    A class of the user's own declares nothing, and takes lists and numbers by any name.
    """
    found = dict(_declared(registry.of_verb(verb), ""))
    for group in (*registry.OF_A_TRAINING, *registry.BESIDE):
        if group not in chosen or chosen[group] in ours(group):
            for section in registry.sections(group).values():
                found |= dict(_declared(section, f"{group}."))
    return found


def _declared(cls: Any, above: str) -> Iterator[tuple[str, Text]]:
    for field in dataclasses.fields(cls):
        name, kind = above + public(field.name), str(field.type)
        made: Any = field.default_factory
        if field.metadata.get("text"):
            yield name, Text("list" in kind, "None" in kind)
        elif dataclasses.is_dataclass(made):
            yield from _declared(made, f"{name}.")


def _parts(value: str, multirun: bool, text: Text) -> list[str]:
    """The values of a sweep, or the one value; a file that is there goes before a list."""
    if not multirun or os.path.exists(value):
        return [value]
    return _split(value, brackets=text.many)


def _one(value: str, text: Text) -> str:
    """A text as one value for Hydra, unless it is one already, or is to be computed."""
    if not os.path.exists(value) and (
        value == "" or _is_quoted(value) or "${" in value or _CALL.fullmatch(value) or (text.optional and _null(value))
    ):
        return value
    return _text(value)


def _text(value: str) -> str:
    """A text in quotes where it needs them."""
    return _no_number(value) if _PLAIN.fullmatch(value) else quoted(value)


def _list(value: str) -> str:
    """Texts as a list for Hydra: in brackets or without."""
    if value == "" or _null(value) or "${" in value or _CALL.fullmatch(value):
        return value
    if os.path.exists(value):
        return f"[{quoted(value)}]"
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    texts = [part.strip() for part in _split(inside, brackets=False) if part.strip()]
    return f"[{','.join(text if _is_quoted(text) else _text(text) for text in texts)}]"


def _no_number(value: str) -> str:
    """A value that reads like a number, or the like, as a text."""
    return quoted(value) if _VALUE.fullmatch(value) else value


def _null(value: str) -> bool:
    return value.lower() == "null"


def _is_quoted(value: str) -> bool:
    """Whether a value begins with a quote that ends where it ends."""
    return len(value) > 1 and value[0] in _QUOTES and _end_of_quote(value, 0) == len(value) - 1


def _end_of_quote(value: str, start: int) -> int:
    """Where the quote ends that begins at `start`; -1: nowhere."""
    place = start + 1
    while place < len(value):
        if value[place] == "\\":
            place += 1
        elif value[place] == value[start]:
            return place
        place += 1
    return -1


def _split(value: str, brackets: bool) -> list[str]:
    """Split at the commas outside quotes, outside functions such as `range(1,3)`, and perhaps outside `brackets`."""
    parts, start, place, depth = [], 0, 0, 0
    while place < len(value):
        letter = value[place]
        begins = place == start or value[start:place].isspace()
        if letter in _QUOTES and begins and (end := _end_of_quote(value, place)) > 0:
            place = end
        elif letter in (_OPENING if brackets else "(") and (brackets or _CALL.fullmatch(value[start:].strip())):
            depth += 1
        elif letter in (_CLOSING if brackets else ")") and depth:
            depth -= 1
        elif letter == "," and not depth:
            parts.append(value[start:place])
            start = place + 1
        place += 1
    return [*parts, value[start:]]
