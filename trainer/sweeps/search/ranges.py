"""What a search may try: ranges and choices in Hydra's grammar become Optuna's distributions, values overrides."""

import math
import sys
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from trainer.config import registry
from trainer.config.check import LARGEST
from trainer.config.swept import MOST, length, numbers, values
from trainer.system.errors import ConfigError, did_you_mean

EXAMPLES = "'optim.lr=tag(log,interval(1e-4,1))', 'model.hidden=range(16,257,16)', optim=sgd,adam"
DIGITS = 6  # of a number that a trial is run with: as many as people like to read and type again


@dataclass(frozen=True)
class Space:
    """The overrides that all trials have in common, and what is searched, by keys as people write them."""

    fixed: list[str]
    ranges: dict[str, BaseDistribution]
    typed: dict[str, str]  # the keys as Hydra wants them: `++optim.lr`

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """The overrides of a trial that has a value for each key."""
        common = [word for word in self.fixed if _bare(word).split(".")[0] not in registry.OF_A_SWEEP]
        return common + [f"{self.typed[key]}={value}" for key, value in self.chosen(trial).items()]

    def chosen(self, trial: FrozenTrial) -> dict[str, str]:
        """The values of a trial as they are typed. Its own ranges count, which a resumed search may have changed."""
        return {key: _text(trial.distributions[key], trial.params[key]) for key in self.ranges}

    def example(self) -> list[str]:
        """The overrides of a trial in the middle of all ranges, and those that say how to search."""
        return self.fixed + [f"{self.typed[key]}={_text(r, _middle(r))}" for key, r in self.ranges.items()]


def space(parsed: list[Override]) -> Space:
    """The space that the words of a command line span.

    Raises:
        ConfigError: nothing is to be searched, or a range has no values.
    """
    latest = {override.get_key_element(): override for override in parsed}  # a key typed twice: its last word
    fixed, ranges, typed = [], {}, {}
    for written, override in latest.items():
        key = _bare(written)
        if not override.is_sweep_override():
            fixed.append(written if override.is_delete() else str(override.input_line))
            continue
        word = str(override.input_line).lstrip("+")
        if key.split(".")[0] in registry.OF_A_SWEEP:
            raise ConfigError(f"{word}: a search is carried out in one way", f"choose one: {key}=...")
        if key == "seed":
            raise ConfigError(
                f"{word}: a search would pick the seed that was lucky",
                "search with one seed, then run the best with several: trainer train -m ... seed=0,1,2",
            )
        if key == "data.fold":
            raise ConfigError(
                f"{word}: a search would pick the fold that is easy",
                "search with one fold, then run the best with all: trainer train -m ... 'data.fold=range(5)'",
            )
        ranges[key], typed[key] = _distribution(word, override), written
    if not ranges:
        raise ConfigError("search=optuna has nothing to search", f"give ranges or choices, like {EXAMPLES}")
    return Space(fixed, ranges, typed)


def _bare(word: str) -> str:
    return word.lstrip("+~").split("=", 1)[0]


def _distribution(word: str, override: Override) -> BaseDistribution:
    """The distribution of the values that `override`, typed as `word`, stands for."""
    value = override.value()
    tags = set(value.tags) if isinstance(value, Sweep) else set()
    log = "log" in tags
    if tags - {"log"}:
        raise ConfigError(f"{word}: no such tag", did_you_mean(min(tags - {"log"}), ["log"]))
    if isinstance(value, IntervalSweep):
        return _numbers(word, value.start, value.end, log=log)
    if isinstance(value, RangeSweep):
        count = length(override, value)
        if not count:
            raise ConfigError(f"{word}: no value is in this range", "the end of a range is not part of it: range(1,9)")
        if count > MOST:
            raise ConfigError(f"{word}: too many values for a range", f"search in an interval, like {EXAMPLES}")
        if log:
            raise ConfigError(f"{word}: steps do not go with log", f"use tag(log,int(interval(...))), like {EXAMPLES}")
        found = numbers(value)
        return _numbers(word, min(found), max(found), step=abs(value.step))
    if log:
        raise ConfigError(f"{word}: log goes with numbers of an interval", f"like {EXAMPLES}")
    choices = list(dict.fromkeys(written for _, written in values(override)))
    if not choices:
        raise ConfigError(f"{word}: there is no such choice", "name them: a,b")
    return CategoricalDistribution(choices)


def _numbers(word: str, low: Any, high: Any, step: Any = None, log: bool = False) -> BaseDistribution:
    if not all(abs(end) <= (LARGEST if isinstance(end, int) else sys.float_info.max) for end in (low, high)):
        raise ConfigError(f"{word}: a range has finite ends", f"like {EXAMPLES}")
    if low > high:
        raise ConfigError(
            f"{word}: the range ends before it begins", f"the smaller number is first: {high:g} to {low:g}"
        )
    if log and low <= 0:
        raise ConfigError(f"{word}: a logarithmic range begins above 0", "give a small number: 1e-6")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _middle(found: BaseDistribution) -> Any:
    """A value that should be allowed. An end of the range might not be: a limit may exclude it."""
    if isinstance(found, CategoricalDistribution):
        return found.choices[0]
    assert isinstance(found, IntDistribution | FloatDistribution)
    middle = math.sqrt(found.low * found.high) if found.log else (found.low + found.high) / 2
    if found.step is not None:
        middle = found.low + (middle - found.low) // found.step * found.step
    return int(middle) if isinstance(found, IntDistribution) else middle


def _text(found: BaseDistribution, value: Any) -> str:
    """A value as it is typed."""
    if not isinstance(found, FloatDistribution):
        return str(value)
    short = f"{value:.{DIGITS}g}"
    return short if found.low <= float(short) <= found.high else repr(value)
