"""What a checkpoint says of a model and its data, and how such a description is taken from a file.

A file may be a stranger's. It gives plain values of sections that trainer has: no code, no expression, and nothing of
how to get things. What comes from this machine's environment, perhaps a secret, goes into no file.
"""

import copy
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config import named, registry
from trainer.config.base import Config, Custom
from trainer.config.check import take
from trainer.config.composition import CONFIGS
from trainer.config.keys import MISSING
from trainer.config.locating import located
from trainer.config.own_parts import take_part
from trainer.config.written import interpolated, plain
from trainer.system.errors import ConfigError
from trainer.system.shown import printable, shortened
from trainer.system.streams import warn

_MARK = "\0from the environment\0"
OmegaConf.register_new_resolver("trainer.environment", lambda *names: _MARK, replace=True)
_ENVIRONMENT = re.compile(r"\boc\.env(?=\s*:)")
_COMPUTED = re.compile(r"\$\{[^:}]*\$\{")  # a name within `${...}` that is itself made of one


def describe(config: Config, group: str) -> dict[str, Any]:
    """The section as plain values: what it is, without how it was got, and without values of the environment."""
    section = getattr(config, group)
    if isinstance(section, Custom):
        common = _public(section.common) if section.common else {}
        found = {**section.kwargs, **common, "class": section.target}  # no keyword of a call can be `class`
    else:
        found = {"name": section.name, **_public(section)}
    hidden = _from_environment(config, group)
    return {key: value for key, value in found.items() if key not in hidden}


def _public(section: Any) -> dict[str, Any]:
    """The keys that say what a section is, without its name and without how it was got."""
    private = {f.name for f in dataclasses.fields(section) if f.metadata.get("private")} | {"name"}
    return {key: value for key, value in dataclasses.asdict(section).items() if key not in private}


def _from_environment(config: Config, group: str) -> set[str]:
    """The keys whose values depend on an environment variable, however indirectly.

    They are found in a copy of the config in which every variable has a mark for its value.
    """
    waiting = [key for key, value in config.written(group).items() if interpolated(value)]
    if not waiting:
        return set()
    marked = copy.deepcopy(config._cfg)
    _mark(marked)
    found = set()
    for key in waiting:
        try:
            value = marked[group][key]
            value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except OmegaConfBaseException:
            value = _MARK  # it is made of the variable, and cannot be made of the mark
        if _MARK in str(value) or repr(_MARK)[1:-1] in str(value):
            found.add(key)
    return found


def _mark(node: Any) -> None:
    """Put the mark in the place of every environment variable below `node`."""
    values = OmegaConf.to_container(node, resolve=False)
    for key, value in values.items() if isinstance(values, dict) else enumerate(values or ()):
        if isinstance(value, dict | list):
            _mark(node[key])
        elif isinstance(value, str) and "${" in value:
            node[key] = _MARK if _COMPUTED.search(value) else _ENVIRONMENT.sub("trainer.environment", value)


def adopt(config: Config, group: str, described: Mapping[str, Any], file: Path, other_data: bool = False) -> None:
    """Take a section from the description in a checkpoint `file`.

    What was typed on the command line goes before the description, and the description before defaults. Where the
    user chose something else for the group, the description is left aside. With `other_data` keys that take their
    values from the data (`${data.num_classes}`) still do.

    Raises:
        ConfigError: The description is more than plain values of a section that trainer has.
    """
    if not _inert(described):
        raise ConfigError(f"the checkpoint's description of its {group} holds expressions, not plain values")
    node, name = config._cfg.get(group), described.get("name")
    if config.given(group):
        own = "_target_" in node
        if node["_target_" if own else "name"] != (described.get("class") if own else name):
            return
        if not own and node.get("arch", MISSING) not in (MISSING, described.get("arch")):
            return
    else:
        cls = registry.section(group, str(name))
        if cls is None:
            raise ConfigError(f"the checkpoint's {group} is '{name}', which trainer does not have")
        node = OmegaConf.create(
            registry.defaults(cls) | (_of_data(group, str(name)) if other_data else {}) | plain(node)
        )
    values = {key: value for key, value in described.items() if key not in ("name", "class")}
    _check_described(group, node, values)
    typed = config.typed_keys
    waiting = {key for key, value in plain(node).items() if other_data and interpolated(value)}
    if isinstance(values.get("augment"), dict) and group == "data":
        values["augment"] = plain(node.get("augment")) | _augmentation(config, values["augment"], file)
    untyped = {k: value for k, value in values.items() if f"{group}.{k}" not in typed and k not in waiting}
    for key, value in (located(untyped, file) if group == "data" else untyped).items():
        node[key] = value
    if "root" in values and "download" in node and not {"data.root", "data.download"} & typed:
        node["download"] = False  # a file does not say where on this machine to write
    config._cfg[group] = node
    take(config, group, plain(node))


def describe_own(config: Config) -> dict[str, dict[str, Any]]:
    """The loss and the metrics of the user's own, by names like `metric.mine`: their class, and what is plain."""
    parts = {f"metric.{name}": (f"metric.{name}", section) for name, section in config.own.get("metric", {}).items()}
    if isinstance(section := getattr(config, "loss", None), Custom):
        parts[f"loss.{config.title('loss')}"] = "loss", section
    found = {}
    for path, (place, section) in parts.items():
        written = plain(OmegaConf.select(config._cfg, place))
        keys = {key: value for key, value in section.kwargs.items() if not interpolated(written.get(key))}
        found[path] = {**keys, "class": section.target}
    return found


def adopt_own(config: Config, described: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Take the parts that a checkpoint describes from the user's ./configs, with its values; those that are not there.

    A file names no code to run: what runs is what the user's own file of that name names.
    """
    missing = []
    for path, values in described.items():
        kind, _, name = path.partition(".")
        own = named.described(kind, name) if kind in ("loss", "metric") else None
        if own is None or own["_target_"] != values.get("class") or not _inert(values):
            missing.append(path)
            continue
        keys = {key: value for key, value in values.items() if key in own}
        OmegaConf.update(config._cfg, path, own | keys, force_add=True)
        take_part(config, kind, name)
    return missing


def _augmentation(config: Config, described: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What a file says of the augmentation, but for what was typed; one of the user's own is for them to name."""
    preset, typed = described.get("preset"), config.typed_keys
    found = {key: value for key, value in described.items() if f"data.augment.{key}" not in typed}
    if "preset" in found and preset not in named.OURS["augment"]:
        found["preset"] = "none"
        if "augment" in config.NAMES:
            name = shortened(printable(str(preset)), 100, "...")
            warn(f"{file} was trained with an augmentation of somebody's own, {name}: type data.augment={name} for it")
    return found


def _of_data(group: str, name: str) -> dict[str, Any]:
    """The keys that a section of ours takes from the data, as its config file has them."""
    written = plain(OmegaConf.load(CONFIGS / group / f"{name}.yaml"))
    return {key: value for key, value in written.items() if interpolated(value)}


def _check_described(group: str, node: DictConfig, values: Mapping[str, Any]) -> None:
    """A file says what a section is, not how to get it; and it gives a class of the user's no keys they do not have."""
    own = "_target_" in node
    cls = registry.beside(group) if own else registry.section(group, node["name"])
    fields = {f.name: f for f in dataclasses.fields(cls)} if cls else {}
    for key in values:
        if (key in fields and fields[key].metadata.get("private")) or (own and key not in fields and key not in node):
            raise ConfigError(
                f"the checkpoint sets {group}.{key}, which a file may not", f"if you want it, type {group}.{key}=..."
            )


def _inert(value: Any) -> bool:
    """Whether a value of a file is plain: no interpolation, and no `_target_` or other key of Hydra's."""
    if isinstance(value, str):
        return "${" not in value
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and not k.startswith("_") and _inert(k) and _inert(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_inert, value))
    return True
