"""A whole config in a file: `trainer train --config FILE.yaml`, as `trainer config > FILE.yaml` writes it.

The file may be a stranger's: it says plain values of keys, and what would run code or lead out of the training has to
be typed. What it says goes before the defaults and choices of `configs/train.yaml`, and what is typed before the file.
"""

import io
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config import check, meant, registry
from trainer.config.composition import group_choices, ours
from trainer.config.kept import NEUTRAL, expressions, is_outward, own_configs, unnamed
from trainer.config.reopening import LONGEST
from trainer.config.train import Train
from trainer.config.written import plain
from trainer.system import inside
from trainer.system.errors import ConfigError, UnknownKeyError, did_you_mean, first_line
from trainer.system.paths import expanded, quoted
from trainer.system.shown import shortened
from trainer.system.streams import warn


def content(typed: str, words: Collection[str]) -> dict[str, Any]:
    """The config in the file `typed` as Hydra composes it, with what it leaves out from `configs/train.yaml`.

    `words` are the keys that are typed beside it.

    Raises:
        ConfigError: There is no such file, it cannot be read, or it says more than a file may.
    """
    values = _read(typed)
    if (
        unknown := next((key for key in values if key not in {*check.declared(Train), *Train.NAMES}), None)
    ) is not None:
        error = UnknownKeyError(str(unknown), check.declared(Train))
        error.hint = meant.hint("train", error.key, {}, error.siblings)
        raise error
    values = {key: value for key, value in values.items() if key not in (*words, "experiment")}
    chosen = {group: _choice(group, values, typed) for group in registry.GROUPS if group in values}
    values = {key: value for key, value in values.items() if not isinstance(value, str) or key not in registry.GROUPS}
    _check_kept(values, words, typed)
    if values.get("from") is not None or "from" in words:  # it brings model and data
        chosen = dict.fromkeys(group for group in ("model", "data") if group not in words) | chosen
    choices = [{f"override /{group}": choice} for group, choice in chosen.items()]
    return {"defaults": ["train", *choices, "_self_"], **values}


def _read(typed: str) -> dict[str, Any]:
    import yaml

    path = expanded(typed)
    try:
        found = OmegaConf.load(io.StringIO(inside.yaml_of(path.resolve(), LONGEST)))
    except FileNotFoundError as error:
        there = [entry.name for entry in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, there, "trainer config > my.yaml writes one")
        raise ConfigError(f"--config {typed}: no such file", hint) from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = error.strerror if isinstance(error, OSError) else first_line(error)
        raise ConfigError(f"--config {typed} cannot be read: {reason}", "it holds keys and values in YAML") from error
    if not isinstance(found, DictConfig):
        raise ConfigError(f"--config {typed} is no config", "it holds keys and values in YAML: epochs: 3")
    if "defaults" in found:
        raise ConfigError(
            f"--config {typed} chooses configs by its defaults, as one in ./configs does",
            "trainer train --config-name NAME takes ./configs/NAME.yaml; here say model: {name: mlp}, or model: mlp",
        )
    return plain(found)


def _choice(group: str, values: dict[str, Any], typed: str) -> str | None:
    """The choice of a group that the file's section is laid over; None where the section says all."""
    section = values[group]
    if section is None or isinstance(section, str):
        if section is not None and section not in group_choices(group):
            raise ConfigError(
                f"{typed}: {group}={section}: no such config", did_you_mean(section, group_choices(group))
            )
        return section
    if not isinstance(section, dict):
        raise ConfigError(f"{typed}: {group} is {section!s:.40}, neither a choice nor a section")
    if "_target_" in section:
        having = [name for name, config in own_configs(group).items() if config.get("_target_") == section["_target_"]]
        return having[0] if len(having) == 1 else None
    if "name" not in section:  # a few keys of what is the default
        return _default(group)
    if section["name"] not in ours(group):
        check.declaration(group, section)  # which says what there is
        return None
    return str(section["name"])


def _default(group: str) -> str:
    from trainer.config.composition import CONFIGS

    defaults = plain(OmegaConf.load(CONFIGS / "train.yaml"))["defaults"]
    return next(str(entry[group]) for entry in defaults if isinstance(entry, dict) and group in entry)


def _check_kept(values: dict[str, Any], words: Collection[str], typed: str) -> None:
    """Check that the file says no more than plain values of keys; what does no harm is left out.

    Raises:
        ConfigError: It names code of somebody's, has an expression, or leads out of the training.
    """
    sections = {group: values[group] for group in registry.GROUPS if isinstance(values.get(group), dict)}
    try:
        for _, path, target in unnamed(values, words):
            _refuse(typed, f"{path}._target_", target, "names code, and a file names no code to run")
    except ValueError as error:
        raise ConfigError(f"--config {typed}: {error}", "it is no config of a training") from error
    for key, text in expressions(values):
        if key not in words:
            _refuse(typed, key, text, "has an expression, and a file holds values only")
    flat = {f"{group}.{name}": value for group, section in sections.items() for name, value in section.items()}
    for key, value in flat.items():
        group, _, name = key.partition(".")
        if key in words or not is_outward(key) or value is None or value in _defaults_of(group, name):
            continue
        if key in NEUTRAL:
            warn(f"{key}={shortened(str(value), 200, '...')} is not taken from a file; type it if you want it")
            del values[group][name]
        else:
            _refuse(typed, key, value, "leads out of the training")
    for key in ("output", "from"):
        value = values.get(key)
        if isinstance(value, str) and key not in words and not _is_below(value):
            _refuse(typed, key, value, "leads out of the current folder")
    root = flat.get("data.root")
    if root is not None and root not in _defaults_of("data", "root") and not {"data.root", "data.download"} & {*words}:
        values["data"]["download"] = False  # a file does not say where on this machine to write


def _defaults_of(group: str, name: str) -> list[Any]:
    """The declared defaults of a key in all sections that have it."""
    found = [registry.defaults(section) for section in registry.sections(group).values()]
    return [defaults[name] for defaults in found if name in defaults]


def _is_below(path: str) -> bool:
    """Whether a path leads to what lies below the current directory."""
    return Path(os.path.realpath(expanded(path))).is_relative_to(os.path.realpath("."))


def _refuse(typed: str, key: str, value: Any, why: str) -> None:
    word = f"{key}={shortened(str(value), 200, '...')}"
    raise ConfigError(f"--config {typed}: {word} {why}", f"if you trust it, type it, too: {quoted(word)}")
