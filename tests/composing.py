"""Configs as the command line composes and checks them, without one: files are read once for each choice of configs."""

import copy
import functools

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from trainer.config import composition, registry
from trainer.config.base import Config
from trainer.config.check import check


def composed(verb: str, *words: str) -> Config:
    """The checked config of `trainer VERB WORDS...`: choices of our own configs, and `key=value`.

    Raises:
        ConfigError: A key is unknown or missing, a value has the wrong type or is out of range.
    """
    choices = [word for word in words if word.split("=")[0] in registry.GROUPS]
    values = [word for word in words if word not in choices]
    shared, chosen = _composed(verb, *choices)
    config = copy.deepcopy(shared)
    for override in OverridesParser.create().parse_overrides(values):
        OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
    return check(verb, config, values, dict(chosen))


@functools.cache
def _composed(verb: str, *choices: str) -> tuple[DictConfig, dict[str, str]]:
    with composition.ready():
        return composition.compose(verb, choices)
