"""The jobs of `-m`: what was typed is read in Hydra's grammar, and what they share is composed once."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from trainer.cli.arguments import Arguments
from trainer.config import registry, swept
from trainer.config.combining import Combining, Composed
from trainer.config.composition import explained
from trainer.config.swept import count
from trainer.system.errors import ConfigError


@dataclass(frozen=True)
class Word:
    """One word of a job: it sets a key to a value, or else chooses what brings other keys with it."""

    text: str
    sets: tuple[str, Any] | None


@dataclass(frozen=True)
class Job:
    """The words of one job."""

    words: list[str]
    choosing: tuple[str, ...]  # those that choose configs
    values: list[tuple[str, Any]]  # what the others set, in their order


class Jobs:
    """Composes the jobs of one command, as Hydra would.

    Jobs that differ in plain values only are composed once, as far as that goes: their values are then set in copies,
    in the order in which Hydra sets them, which comes last in composing, too. `common` is the config without what
    differs between jobs.
    """

    def __init__(self, given: Arguments) -> None:
        self._loader = GlobalHydra.instance().config_loader()
        self._parser = OverridesParser.create(config_loader=self._loader)
        self._combining = Combining(given.name)
        self._groups: dict[str, bool] = {}  # whether a key is a group
        self.overrides = self._parsed(given.prepared())
        for override in self.overrides:
            if _root(override) in registry.OF_A_SWEEP and override.is_sweep_override():
                word = str(override.input_line).lstrip("+")
                raise ConfigError(f"{word}: a sweep is run in one way", f"choose one: {word.split('=')[0]}=...")
        shared = [str(override.input_line) for override in self.overrides if not override.is_sweep_override()]
        self.common = self.composed(self.job(shared))[0]

    def job(self, words: Sequence[str]) -> Job:
        """A job from its words.

        Raises:
            ConfigError: A word cannot be read.
        """
        return _job([self._word(text, parsed) for text, parsed in zip(words, self._parsed(words), strict=True)])

    @cached_property
    def count(self) -> int:
        """How many combinations of the values there are.

        Raises:
            ConfigError: There are too many, or a word stands for no single values.
        """
        return count(self._latest)

    def combinations(self) -> Iterator[Job]:
        """Every combination of the values, the last key changing fastest; a key typed twice has its last values.

        Raises:
            ConfigError: There are too many, or a word stands for no single values.
        """
        if not self.count:
            return
        for words in itertools.product(*map(self._words, self._latest)):
            yield _job(words)

    def composed(self, job: Job) -> Composed:
        """The config of a job, and the choice in each group.

        Raises:
            ConfigError: A choice does not exist, or a word or a file cannot be read.
        """
        cfg, choices = self._combining(job.choosing)
        with explained():
            for key, value in job.values:
                OmegaConf.update(cfg, key, value, merge=True, force_add=True)
        return cfg, choices

    @property
    def _latest(self) -> list[Override]:
        return list({override.get_key_element(): override for override in self.overrides}.values())

    def _parsed(self, words: Sequence[str]) -> list[Override]:
        with explained():
            return self._parser.parse_overrides(list(words))

    def _words(self, override: Override) -> list[Word]:
        """What an override stands for, as words for one job each."""
        key = override.get_key_element()
        if override.is_delete():
            return [self._word(key, override)]
        if not override.is_sweep_override():
            text = str(override.input_line)  # as it was typed: Hydra writes `false` as `False`
            return [self._word(text, override)]
        is_value, found = self._is_value(override), []
        for value, written in swept.values(override):
            text = f"{key}={written}"
            if is_value and type(value) in (int, float):  # to read many numbers again would take a while
                found.append(Word(text, (override.key_or_group, value)))
            else:
                found.append(self._word(text, *self._parsed([text])))
        return found

    def _word(self, text: str, override: Override) -> Word:
        return Word(text, (override.key_or_group, override.value()) if self._is_value(override) else None)

    def _is_value(self, override: Override) -> bool:
        """Whether it sets a key, and chooses nothing that brings others with it."""
        if not override.is_force_add() or override.package is not None or override.is_hydra_override():
            return False
        key = override.key_or_group
        if key not in self._groups:  # for each job Hydra would copy all that it knows, which takes 14 ms
            self._groups[key] = bool(self._loader.get_group_options(key))
        return not self._groups[key]


def _job(words: Sequence[Word]) -> Job:
    return Job(
        [word.text for word in words],
        tuple(word.text for word in words if word.sets is None),
        [word.sets for word in words if word.sets is not None],
    )


def _root(override: Override) -> str:
    return str(override.key_or_group).split(".")[0]
