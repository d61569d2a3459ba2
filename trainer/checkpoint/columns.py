"""What a checkpoint may say of the columns of a table: each kind with its values, checked before they are used."""

import re
from typing import Any

from trainer.system.shapes import Shape, each, has, is_number, is_text

_MOST = 200_000  # columns
_LONGEST = 100_000  # words of one
_LARGEST = 1e300  # so that no difference is infinite
_FORM = re.compile(r"own|(%[YymdbBHMSIp]|%\.f|[-/.: ,T])+")  # how dates are written


def is_plan(value: Any) -> bool:
    """A list of columns, no two of one name, each of a kind that there is and with what belongs to it."""
    if not isinstance(value, list) or len(value) > _MOST or not all(map(_is_column, value)):
        return False
    return len({column["name"] for column in value}) == len(value)


def _is_column(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or value["kind"] not in _KINDS:
        return False
    shapes = {"kind": _is_text, "name": _is_text, **_KINDS[value["kind"]]}
    return value.keys() == shapes.keys() and has(shapes)(value)


def _is_text(value: Any) -> bool:
    """A text without half of a character, which no library of tables takes."""
    return is_text(value) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_scale(value: Any) -> bool:
    return _is_real(value) and value > 0


def _is_real(value: Any) -> bool:
    return is_number(value) and abs(value) < _LARGEST


def _are_words(value: Any) -> bool:
    return each(_is_text)(value) and len(value) <= _LONGEST and len(set(value)) == len(value)


def _is_pair(value: Any) -> bool:
    return _are_words(value) and len(value) == 2


def _is_form(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 40 and _FORM.fullmatch(value) is not None


def _is_part(value: Any) -> bool:
    """A number that a date has; where the date is missing is the date's to say."""
    if not _is_column(value) or value["kind"] != "number" or value["missing"]:
        return False
    return value["name"] in ("year", "month", "weekday", "hour")


_NUMBER: dict[str, Shape] = {
    "fill": _is_real,
    "mean": _is_real,
    "deviation": _is_scale,
    "missing": _is_flag,
    "comma": _is_flag,
}
_KINDS: dict[str, dict[str, Shape]] = {
    "number": _NUMBER,
    "category": {"words": _are_words, "rare": _is_flag, "missing": _is_flag},
    "boolean": {"words": _is_pair, "fill": is_number, "missing": _is_flag},
    "date": {"form": _is_form, "parts": each(_is_part), "missing": _is_flag},
    "dropped": {"reason": _is_text},
}
