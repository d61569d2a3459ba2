"""What Hydra composed, remembered: composing takes it a fifth of a second, and most tests are about what comes after.

Commands that choose the same configs, and differ in plain values, get copies with their values set, in the order and
by the code that Hydra sets them with. `tests/test_composition.py` shows that these are what Hydra composes.
"""

import copy
import os
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from trainer.cli.sweeper import is_value

by_hydra = ConfigLoaderImpl.load_configuration
_composed: dict[tuple[Any, ...], DictConfig] = {}


def remembered(
    self: ConfigLoaderImpl, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
) -> DictConfig:
    """In the place of `ConfigLoaderImpl.load_configuration`."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    mistaken = run_mode is RunMode.RUN and any(override.is_sweep_override() for override in parsed)
    if mistaken or Path("configs").exists():
        return by_hydra(self, config_name, overrides, run_mode, *args, **kwargs)
    values = [override for override in parsed if is_value(override, self)]
    choosing = [str(override.input_line) for override in parsed if override not in values]
    key = (config_name, run_mode, *choosing, *(str(path) for path in self.get_search_path().get_path()))
    if key not in _composed:
        _composed[key] = by_hydra(self, config_name, choosing, run_mode, *args, **kwargs)
    config = copy.deepcopy(_composed[key])
    try:
        ConfigLoaderImpl._apply_overrides_to_config([o for o in values if not o.is_sweep_override()], config)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException from error
    config.hydra.overrides.task = [str(o.input_line) for o in parsed if not o.is_hydra_override()]
    config.hydra.runtime.cwd = os.getcwd()
    return config
