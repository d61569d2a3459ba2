"""The jobs of `-m`: what was typed is read in Hydra's grammar, and what they share is composed once."""

import itertools
import pickle
from collections.abc import Iterator, Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from trainer.cli.arguments import Arguments
from trainer.config import registry
from trainer.config.composition import compose, explained
from trainer.system.errors import ConfigError

Composed = tuple[DictConfig, dict[str, str]]  # a config, and the choice in each group


class Jobs:
    """Composes the jobs of one command, as Hydra would.

    Jobs that differ in plain values only are composed once, as far as that goes: their values are then set in copies,
    in the order in which Hydra sets them, which comes last in composing, too. `common` is the config without what
    differs between jobs.
    """

    def __init__(self, given: Arguments) -> None:
        self.name = given.name
        self._loader = GlobalHydra.instance().config_loader()
        self._parser = OverridesParser.create(config_loader=self._loader)
        self._composed: dict[tuple[str, ...], tuple[bytes, dict[str, str]]] = {}  # by the words that choose configs
        self._groups: dict[str, bool] = {}  # whether a key is a group
        self.overrides = self._parsed(given.prepared())
        for override in self.overrides:
            if _root(override) in registry.OF_A_SWEEP and override.is_sweep_override():
                word = str(override.input_line).lstrip("+")
                raise ConfigError(f"{word}: a sweep is run in one way", f"choose one: {word.split('=')[0]}=...")
        self.common = self([str(o.input_line) for o in self.overrides if not o.is_sweep_override()])[0]

    def __call__(self, words: Sequence[str]) -> Composed:
        """Compose one job from its words.

        Raises:
            ConfigError: A choice does not exist, or a word cannot be read.
        """
        return self._job(words, self._parsed(words))

    def combinations(self) -> Iterator[tuple[list[str], Composed]]:
        """Every combination of the values, the last key changing fastest; a key typed twice has its last values."""
        values = {override.get_key_element(): _values(override) for override in self.overrides}
        parsed = [list(zip(words, self._parsed(words), strict=True)) for words in values.values()]
        for job in itertools.product(*parsed):
            words = [word for word, _ in job]
            yield words, self._job(words, [override for _, override in job])

    def _parsed(self, words: Sequence[str]) -> list[Override]:
        with explained():
            return self._parser.parse_overrides(list(words))

    def _job(self, words: Sequence[str], overrides: Sequence[Override]) -> Composed:
        values = [override for override in overrides if self._is_value(override)]
        choosing = tuple(word for word, override in zip(words, overrides, strict=True) if override not in values)
        if choosing not in self._composed:
            self._composed[choosing] = self._base(choosing)
        frozen, choices = self._composed[choosing]
        job: DictConfig = pickle.loads(frozen)  # a third of the time of copy.deepcopy
        with explained():
            for override in values:
                OmegaConf.update(job, override.key_or_group, override.value(), merge=True, force_add=True)
        return job, choices

    def _base(self, choosing: Sequence[str]) -> tuple[bytes, dict[str, str]]:
        cfg, choices = compose(self.name, choosing)
        return pickle.dumps(cfg), choices

    def _is_value(self, override: Override) -> bool:
        """Whether it sets a key, and chooses nothing that brings others with it."""
        if not override.is_force_add() or override.package is not None or override.is_hydra_override():
            return False
        key = override.key_or_group
        if key not in self._groups:  # for each job Hydra would copy all that it knows, which takes 14 ms
            self._groups[key] = bool(self._loader.get_group_options(key))
        return not self._groups[key]


def _root(override: Override) -> str:
    return str(override.key_or_group).split(".")[0]


def _values(override: Override) -> list[str]:
    """What `override` stands for, as words for one job each."""
    key = override.get_key_element()
    if override.is_delete():
        return [key]
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if override.is_interval_sweep():
        word = str(override.input_line).lstrip("+")
        raise ConfigError(
            f"{word}: an interval has no single values to combine",
            f"search in it: add search=optuna; or name values: {word.split('=')[0]}=a,b,c",
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]
