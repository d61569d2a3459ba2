"""A config as it was composed: plain values, and `${...}` that is still to be followed."""

import copy
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.system.errors import ConfigError, first_line


def plain(node: Any) -> dict[str, Any]:
    """A section as plain Python values, with `${...}` as it is written; they are the caller's own."""
    if node is None:
        return {}
    if isinstance(node, dict):
        return copy.deepcopy(node)
    values = OmegaConf.to_container(node, resolve=False)
    assert isinstance(values, dict)
    return cast(dict[str, Any], values)


def interpolated(value: Any) -> bool:
    """Whether a plain value holds a `${...}`, however deep."""
    if isinstance(value, dict):
        return any(map(interpolated, value.values()))
    if isinstance(value, list):
        return any(map(interpolated, value))
    return isinstance(value, str) and "${" in value


def followed(node: DictConfig, values: dict[str, Any], path: str) -> dict[str, Any]:
    """The plain `values` of the section at `path` with each `${...}` followed.

    Raises:
        ConfigError: A `${...}` leads nowhere.
    """
    found = dict(values)
    try:
        for key in filter(lambda key: interpolated(values[key]), values):
            value = node[key]
            found[key] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or path}: {first_line(error)}") from error
    return found
