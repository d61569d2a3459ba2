"""Hydra's side of a sweep: what was typed after `-m` is read in Hydra's grammar, and each job composed once."""

import copy
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from trainer.sweeps.search import ranges
from trainer.sweeps.search.ranges import Space
from trainer.system.errors import ConfigError

T = TypeVar("T")
# Composes a job from its overrides, and hands its config to a function.
Compose = Callable[[list[str], Callable[[Any], Any]], Any]
Search = Callable[[Space, Compose], None]


class Sweeping(Sweeper):
    """Composes each combination once and hands it to the task function, which keeps or runs it.

    A search has no combinations: `search` gets what is to be searched, and what composes a trial when it is known.
    Hydra's own sweeper composes everything twice, and writes a file into a directory of the sweep's.
    """

    def __init__(self, search: Search) -> None:
        self.search = search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.task, self.master = hydra_context.config_loader, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        compose = Composer(self.loader, self.master)
        parsed = compose.parser.parse_overrides(arguments)
        if (self.master.get("search") or {}).get("name", "none") != "none":
            self.search(ranges.space(parsed), compose)
            return
        for overrides in combinations(parsed):
            compose(overrides, self.task)


def combinations(parsed: list[Override]) -> Iterator[list[str]]:
    """Every combination of the values, the last key changing fastest; a key typed twice has its last values."""
    values = {override.get_key_element(): _values(override) for override in parsed}
    return map(list, itertools.product(*values.values()))


def _values(override: Override) -> list[str]:
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


class Composer:
    """Composes the jobs of one sweep from their overrides, as Hydra would.

    Jobs that differ in plain values only are composed once, as far as that goes: their values are then set in copies,
    in the order and by the code that Hydra sets them with, which comes last in composing, too.
    """

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        self.loader, self.sweep = loader, sweep
        self.parser = OverridesParser.create(config_loader=loader)
        self._bases: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}  # by what chooses: (job, Hydra's part)

    def __call__(self, overrides: list[str], task: Callable[[Any], T]) -> T:
        """What `task` makes of the job's config; HydraConfig tells its overrides and choices meanwhile."""
        parsed = self.parser.parse_overrides(overrides)
        values = [override for override in parsed if is_value(override, self.loader)]
        base, hydra = self._base(tuple(str(override.input_line) for override in parsed if override not in values))
        job = copy.deepcopy(base)
        ConfigLoaderImpl._apply_overrides_to_config(values, job)
        with read_write(hydra.hydra), open_dict(hydra.hydra):
            hydra.hydra.overrides.task = overrides
        before = HydraConfig.instance().cfg
        HydraConfig.instance().set_config(hydra)
        try:
            return task(job)
        finally:
            HydraConfig.instance().cfg = before

    def _base(self, choosing: tuple[str, ...]) -> tuple[DictConfig, DictConfig]:
        if choosing not in self._bases:
            whole = self.loader.load_sweep_config(self.sweep, list(choosing))
            own = copy.copy(whole)
            with read_write(own), open_dict(own):
                del own["hydra"]
            self._bases[choosing] = own, whole
        return self._bases[choosing]


def is_value(override: Override, loader: ConfigLoader) -> bool:
    """Whether it sets a key, and chooses nothing that brings others with it."""
    if not override.is_force_add() or override.package is not None or override.is_hydra_override():
        return False
    return not (isinstance(loader, ConfigLoaderImpl) and loader.repository.group_exists(override.key_or_group))


@contextmanager
def in_place(search: Search) -> Iterator[None]:
    """Within the block Hydra sweeps with `Sweeping`: by itself it takes sweepers of its own packages only."""
    before = Plugins.instantiate_sweeper

    def instantiate(self: Plugins, **facts: Any) -> Sweeper:
        sweeper = Sweeping(search)
        sweeper.setup(**facts)
        return sweeper

    Plugins.instantiate_sweeper = instantiate  # type: ignore[method-assign]
    try:
        yield
    finally:
        Plugins.instantiate_sweeper = before  # type: ignore[method-assign]
