"""The parts of the user's own in a checked config, beside its model and its data."""

from omegaconf import OmegaConf

from trainer.config import named, registry
from trainer.config.base import Config, Custom
from trainer.config.check import own_section, take
from trainer.config.keys import shown
from trainer.config.written import plain
from trainer.system.errors import ConfigError


def take_named(config: Config) -> None:
    """Make the parts that keys of a composed config name.

    Raises:
        ConfigError: There is no such part, or a section has a mistake.
    """
    config.own = {}
    for kind in config.NAMES:
        given = config._cfg.get(kind)
        if given is not None and not OmegaConf.is_dict(given):
            hint = f"did you mean {registry.NAMED[kind]}={shown(given)}?"
            raise ConfigError(f"{kind}={shown(given)}: a section, not a value", hint)
        for name in named.entered(kind, config._cfg):
            take_part(config, kind, name)
        named.check_typed(kind, config.typed, config.own.get(kind, ()))


def complete(config: Config) -> None:
    """Give the parts of the user's own, but the model, what they take from the data, which has become known."""
    for group in registry.OF_THE_USER:
        if group not in ("model", "data") and isinstance(getattr(config, group, None), Custom):
            take(config, group, config.written(group))
    for kind, parts in config.own.items():
        for name in parts:
            take_part(config, kind, name)


def take_part(config: Config, kind: str, name: str) -> None:
    """Make a part of the user's own from its section in a config: `metrics=[mine]` has the section `metric.mine`.

    Raises:
        ConfigError: The section has a mistake.
    """
    path = f"{kind}.{name}"
    node = OmegaConf.select(config._cfg, path)
    config.own.setdefault(kind, {})[name] = own_section(path, registry.beside(kind), node, plain(node))
