"""The config of a run that is resumed: what its directory has, and the few keys that may change."""

import dataclasses
import typing
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config import registry
from trainer.config.check import check
from trainer.config.keys import public, shown
from trainer.config.scheduler import Scheduler
from trainer.config.train import Train
from trainer.config.written import plain
from trainer.system.errors import ConfigError, RunError, first_line
from trainer.system.paths import expanded
from trainer.system.paths import typed as typed_path

LONGEST = 2**20  # bytes of a config.yaml; one has about two thousand


def reopened(cfg: DictConfig, typed: list[str]) -> Train:
    """The config that the run directory `cfg.run` was made with, and the keys typed to go on with.

    Raises:
        RunError: no run directory, or its config cannot be read.
        ConfigError: a key that would change what has been trained already, or a class that the user has not named.
    """
    check("resume", OmegaConf.create({"run": cfg.run}), typed, {})
    run = expanded(str(cfg.run))
    try:
        return _reopened(run, cfg, typed)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere
        raise _unreadable(run, error) from error


def _reopened(run: Path, cfg: DictConfig, typed: list[str]) -> Train:
    kept = _kept(run)
    changes = OmegaConf.create({k: v for k, v in plain(cfg).items() if k != "run"})
    for override in typed:
        key, _, _ = override.partition("=")
        if key != "run":
            _check_change(kept, changes, key, run)
    _check_targets(kept, {o.partition("=")[0] for o in typed}, run)
    before = OmegaConf.select(kept, "epochs"), OmegaConf.select(kept, "max_steps")
    OmegaConf.set_struct(kept, False)
    config: Train = check("train", typing.cast(DictConfig, OmegaConf.merge(kept, changes)), typed, {})
    planned = config.scheduler
    if isinstance(planned, Scheduler) and planned.whole and before != (config.epochs, config.max_steps):
        raise ConfigError(
            f"scheduler={planned.name} was laid out for the length that {run} was started with: "
            "with another, all its learning rates would have been others",
            f"start a new run from its weights: trainer train from={typed_path(run)} epochs=...",
        )
    config.directory = run
    return config


def _kept(run: Path) -> DictConfig:
    """What `config.yaml` in a run directory holds."""
    import yaml

    if (run / "sweep.jsonl").is_file():
        raise RunError(
            f"{run} is a sweep that does not say how it was started",
            f"resume its jobs one by one: trainer resume {typed_path(run / '0')}",
        )
    if run.is_file():
        raise RunError(f"{run} is a file", "give the run directory that it is in")
    try:
        _check_text(run / "config.yaml")
        kept = OmegaConf.load(run / "config.yaml")
        if not isinstance(kept, DictConfig) or not all(
            _is_section(plain(kept).get(group)) for group in registry.GROUPS
        ):
            raise RunError(f"{run / 'config.yaml'} is not the config of a training")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{run}: {'no run directory (it has no config.yaml)' if run.is_dir() else 'no such directory'}",
            "give one like runs/NAME/2026-01-31_12-00-00",
        ) from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise _unreadable(run, error) from error
    return kept


def _check_text(path: Path) -> None:
    """Refuse what would unfold to any size: we write neither long configs nor aliases."""
    import yaml

    if path.stat().st_size > LONGEST:
        raise ValueError("it is too long")
    with path.open(encoding="utf-8") as file:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(file, Loader=yaml.SafeLoader)):
            raise ValueError("it has aliases")


def _unreadable(run: Path, error: Exception) -> RunError:
    return RunError(f"{run / 'config.yaml'} cannot be read: {first_line(error)}")


def _is_section(section: Any) -> bool:
    """Whether it says in plain words what it is: a name of ours, or a class."""
    if not isinstance(section, dict):
        return False
    word = section.get("_target_") or section.get("name")
    return isinstance(word, str) and ("_target_" in section or "${" not in word)


def _check_change(kept: DictConfig, changes: DictConfig, key: str, run: Path) -> None:
    """Whether `key` may be other than it was: a runtime key, or one that is not changed at all."""
    again = f"start a new run from its weights: trainer train from={typed_path(run)} {key}=..."
    group, _, name = key.partition(".")
    if group in registry.GROUPS and not name:
        raise ConfigError(f"{key}: a training goes on with the {group} that it was started with", again)
    field = _field_of(kept, key)
    if field is None or field.metadata.get("runtime"):
        return  # no such key: the check will say so
    old, new = OmegaConf.select(kept, key), OmegaConf.select(changes, key)
    if old != new:
        raise ConfigError(
            f"{key}={shown(new)}: the steps before were trained with {key}={shown(old)}, "
            "and a run with both would be neither",
            again,
        )


def _field_of(kept: DictConfig, key: str) -> "dataclasses.Field[Any] | None":
    """The declaration of a key of `train`; None where there is none."""
    parts = key.split(".")
    cls: Any = Train
    own = False
    if parts[0] in registry.GROUPS:
        group, *parts = parts
        own = "_target_" in kept[group]
        cls = registry.shared(group) if own else registry.section(group, str(kept[group].get("name")))
    field = None
    for part in parts:
        fields = dataclasses.fields(cls) if cls is not None else ()
        field = next((f for f in fields if public(f.name) == part), None)
        if field is None:
            return _OWN if own else None
        cls = field.type if dataclasses.is_dataclass(field.type) else None
    return field


_OWN: "dataclasses.Field[Any]" = dataclasses.field(metadata={})  # a key of the user's own: not for us to say


def _check_targets(kept: DictConfig, typed: set[str], run: Path) -> None:
    """A run directory may be a stranger's: a class that it names is used only if the user names it, too."""
    for group in registry.GROUPS:
        target = plain(kept)[group].get("_target_")
        if target is None or f"{group}._target_" in typed:
            continue
        own = {_own_target(path) for path in (Path("configs") / group).glob("*.yaml")}
        if target not in own or "${" in target:
            raise ConfigError(
                f"{run} has a {group} of somebody's own, {target}, and a file names no code to run",
                f"if you trust it, name it yourself: {group}._target_={target}",
            )


def _own_target(path: Path) -> Any:
    try:
        found = OmegaConf.load(path)
        return plain(found).get("_target_") if isinstance(found, DictConfig) else None
    except Exception:  # whatever is wrong with it, it names nothing
        return None
