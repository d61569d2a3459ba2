"""The values that a word of `-m` stands for: counted before any is made, and written as they were typed."""

import math
import random
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import Override, RangeSweep, Transformer

from trainer.system.errors import ConfigError

MOST = 100_000  # jobs of a sweep, each of which has a directory


def count(overrides: Iterable[Override]) -> int:
    """How many combinations of the values there are.

    Raises:
        ConfigError: There are too many, or a word stands for no single values.
    """
    found = math.prod(map(_count, overrides))
    if found > MOST:
        raise ConfigError(
            f"a sweep of {_shown(found)} jobs: it may have {MOST:,}",
            "let a search choose among them (add search=optuna), or run several sweeps",
        )
    return found


def values(override: Override) -> Iterator[tuple[Any, str]]:
    """Each value that a word of a sweep stands for, and how it is written: as it was typed, where it was."""
    found = override.value()
    if isinstance(found, RangeSweep):
        counted = numbers(found)
        if found.shuffle:
            random.shuffle(counted)
        yield from ((number, str(number)) for number in counted)
        return
    every = list(override.sweep_iterator())
    typed = str(override.input_line).partition("=")[2].removeprefix("choice(").removesuffix(")").split(",")
    for value, written in zip(every, typed if len(typed) == len(every) else [""] * len(every), strict=True):
        yield value, written.strip() if _is(written.strip(), value) else _text(value)


def numbers(found: RangeSweep) -> list[int] | list[float]:
    """The numbers of a range, without its end: of decimals, as one counts by hand, and no sums that were rounded."""
    if isinstance(found.range(), range):
        return list(found.range())
    start, step = _decimal(found.start), _decimal(found.step)
    return [float(start + place * step) for place in range(_steps(found))]


def length(override: Override, found: RangeSweep) -> int:
    """How many numbers are in a range.

    Raises:
        ConfigError: It has no end.
    """
    start, stop, step = map(_decimal, (found.start, found.stop, found.step))
    if not (start.is_finite() and stop.is_finite() and step.is_finite() and step):
        word = str(override.input_line).lstrip("+")
        raise ConfigError(f"{word}: the range has no end", "like range(1,9) or range(0,1,0.1)")
    return _steps(found)


def _count(override: Override) -> int:
    if override.is_delete() or not override.is_sweep_override():
        return 1
    if override.is_interval_sweep():
        word = str(override.input_line).lstrip("+")
        raise ConfigError(
            f"{word}: an interval has no single values to combine",
            f"search in it: add search=optuna; or name values: {word.split('=')[0]}=a,b,c",
        )
    value = override.value()
    return length(override, value) if isinstance(value, RangeSweep) else len(list(override.sweep_iterator()))


def _steps(found: RangeSweep) -> int:
    start, stop, step = map(_decimal, (found.start, found.stop, found.step))
    return max(0, math.ceil((stop - start) / step))


def _decimal(number: float | None) -> Decimal:
    """A number as it is written: 0.01, and not the binary number next to it, of which five are less than 0.05."""
    return Decimal(str(number or 0))


def _is(written: str, value: Any) -> bool:
    """Whether `written` is the number or the truth value `value`."""
    if isinstance(value, bool):
        return written.lower() == _text(value)
    try:
        return type(value) in (int, float) and type(value)(written) == value
    except ValueError:
        return False


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(Transformer.str(value))


def _shown(number: int) -> str:
    return f"{number:,}" if number < 10**18 else f"more than 10^{int(math.log10(number))}"
