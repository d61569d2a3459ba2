"""How many jobs `-m` would have, counted before any is made: `seed=range(1,10**9)` is quickly typed."""

import math
from collections.abc import Iterable
from decimal import Decimal

from hydra.core.override_parser.types import Override, RangeSweep

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


def length(override: Override, found: RangeSweep) -> int:
    """How many numbers are in a range.

    Raises:
        ConfigError: It has no end.
    """
    start, stop, step = (Decimal(number or 0) for number in (found.start, found.stop, found.step))
    if not (start.is_finite() and stop.is_finite() and step.is_finite() and step):
        word = str(override.input_line).lstrip("+")
        raise ConfigError(f"{word}: the range has no end", "like range(1,9) or range(0,1,0.1)")
    return max(0, math.ceil((stop - start) / step))


def _shown(number: int) -> str:
    return f"{number:,}" if number < 10**18 else f"more than 10^{int(math.log10(number))}"
