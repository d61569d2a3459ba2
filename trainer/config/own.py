"""The class of the user's own that a checkpoint was trained with, as a config in their `./configs` names it.

A checkpoint may be a stranger's. What it says is compared with what lies in the user's folder, and chooses among that:
no name in it becomes a path, and nothing that only it names is imported.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from trainer.config import registry
from trainer.config.base import Config
from trainer.config.kept import own_configs
from trainer.config.written import plain


def take(config: Config, group: str, description: Mapping[str, Any]) -> bool:
    """Choose the user's config of the class that a checkpoint describes, as if it had been typed; whether there is one.

    The one that was chosen in training goes before others of the same class; of several others none is chosen.
    """
    target, typed = description[group]["class"], description.get("choices", {}).get(group)
    having = {name: values for name, values in own_configs(group).items() if values.get("_target_") == target}
    name = typed if typed in having else next(iter(having)) if len(having) == 1 else None
    if name is None or "${" in str(target):
        return False
    base = _base(having[name].pop("defaults", []))
    if base is None:
        return False
    config._cfg[group] = OmegaConf.create(base | having[name] | plain(config._cfg.get(group)))
    config.choices[group] = name
    return True


def _base(defaults: Any) -> dict[str, Any] | None:
    """What the `defaults` of a config bring: declared ones, like `/Data@_here_`; None where there are others."""
    found: dict[str, Any] = {}
    for entry in defaults if isinstance(defaults, list) else [None]:
        name = entry.removeprefix("/").removesuffix("@_here_") if isinstance(entry, str) else None
        if name in registry.declared():
            found |= registry.defaults(registry.declared()[name])
        elif name != "_self_":
            return None
    return found
