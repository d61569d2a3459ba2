"""What a value that was read from a file has to look like: a shape is a function that says whether a value has it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Shape = Callable[[Any], bool]
_LARGEST = 2**53  # whole numbers beyond this are no counts, and not exact where they are divided


def is_number(value: Any) -> bool:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < _LARGEST


def is_real(value: Any) -> bool:
    """A number, which may be infinite, as the best of nothing is, but not NaN."""
    return type(value) in (int, float) and value == value


def is_amount(value: Any) -> bool:
    """A finite number from 0 on."""
    return is_number(value) and value >= 0


def is_count(value: Any) -> bool:
    """A whole number from 0 on."""
    return type(value) is int and 0 <= value < _LARGEST


def reads_as_number(text: str) -> bool:
    """Whether a text is that of a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_2 as 12


def is_text(value: Any) -> bool:
    """A text."""
    return isinstance(value, str)


def optional(shape: Shape) -> Shape:
    """The shape, or nothing."""
    return lambda value: value is None or shape(value)


def one_of(*words: str) -> Shape:
    """One of these words."""
    return lambda value: isinstance(value, str) and value in words


def each(shape: Shape) -> Shape:
    """A list of such values."""
    return lambda value: isinstance(value, list) and all(map(shape, value))


def table(shape: Shape) -> Shape:
    """Such values by names."""
    return lambda value: (
        isinstance(value, dict) and all(isinstance(name, str) for name in value) and all(map(shape, value.values()))
    )


def known(value: Any, shapes: Mapping[str, Shape], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The entries of a dictionary that are known, each of its shape.

    Raises:
        ValueError: It is no dictionary, one that is `needed` is missing, or one has another shape.
    """
    if not isinstance(value, dict):
        raise ValueError("it is not a table of names and values")
    found = {name: value[name] for name in shapes if name in value}
    for name in (*needed, *found):
        if name not in found or not shapes[name](found[name]):
            raise ValueError(f"its {name} is not what it should be" if name in found else f"it has no {name}")
    return found


def has(shapes: Mapping[str, Shape], needed: tuple[str, ...] = ()) -> Shape:
    """A dictionary whose known entries have their shapes, as `known` says."""

    def fits(value: Any) -> bool:
        try:
            known(value, shapes, needed)
        except ValueError:
            return False
        return True

    return fits
