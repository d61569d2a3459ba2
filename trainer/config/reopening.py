"""The config of a run that is resumed or reproduced: the one in its directory, with the few keys that may change."""

import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config import registry
from trainer.config.base import Custom
from trainer.config.check import check
from trainer.config.kept import NEUTRAL, expressions, is_outward, unnamed
from trainer.config.keys import public, shown
from trainer.config.locating import KEYS, located
from trainer.config.names import check_name
from trainer.config.scheduler import Scheduler
from trainer.config.train import Train
from trainer.config.written import plain
from trainer.system import inside
from trainer.system.errors import ConfigError, RunError, first_line
from trainer.system.paths import expanded, quoted, resolved
from trainer.system.shown import printable, shortened
from trainer.system.streams import warn

LONGEST = 2**18  # bytes of a config.yaml; one has about two thousand
PLACES = ("name", "output")  # keys that say where a run lies
Parts = dict[str, dict[str, Custom]]  # of the user's own, by kind and name
Change = tuple[str, Any, Any]  # a key, its value before and the one that was typed


def reopened(verb: str, cfg: DictConfig, typed: list[str]) -> Train:
    """The config that the run directory `cfg.run` was made with, and what was typed to resume or reproduce it.

    Raises:
        RunError: There is no such run directory, or its config cannot be read.
        ConfigError: A key would change what has been trained already, or the user has not named a class of the file's.
    """
    check(verb, OmegaConf.create({"run": cfg.run}), typed, {})
    run = resolved(str(cfg.run))
    try:
        return _reopened(verb, run, cfg, typed)
    except OmegaConfBaseException as error:  # a `${...}` leads nowhere
        raise _unreadable(run, error) from error


def _reopened(verb: str, run: Path, cfg: DictConfig, typed: list[str]) -> Train:
    anew = verb == "reproduce"  # in a directory of its own, and from its first step on
    kept, words = written_in(run, verb), {word.partition("=")[0] for word in typed}
    _check_targets(plain(kept), words, run)
    _take_no_intent(verb, kept, cfg, words, run)
    if anew:
        _take_no_places(kept, words, run)
    again = f"start a new run from its weights: trainer train from={quoted(run)}"

    def refuse(changed: Iterator[Change]) -> None:
        for key, old, new in changed:
            if anew and key in PLACES:
                continue
            what = "the run was" if anew else "the steps so far were"
            why = "this would be another training" if anew else "a run with both would be neither"
            raise ConfigError(
                f"{key}={shown(new)}: {what} trained with {key}={shown(old)}, and {why}", f"{again} {key}=..."
            )

    merged = OmegaConf.merge(kept, {key: value for key, value in plain(cfg).items() if key != "run"})
    assert isinstance(merged, DictConfig)
    refuse(_renamed(plain(kept), plain(merged)))
    before: Train = check("train", kept, [], {})
    after: Train = check("train", merged, typed, {})
    refuse(_changed(before, after))
    planned = after.scheduler
    if isinstance(planned, Scheduler) and planned.whole and _length(after) != _length(before):
        raise ConfigError(
            f"scheduler={planned.name} was laid out for the length that {run} was started with: "
            "with another, all its learning rates would have been others",
            f"{again} epochs=...",
        )
    if anew:
        check_name(after.name)
    after.directory = run
    return after


def _length(config: Train) -> tuple[object, ...]:
    """What a schedule that spans the whole training is laid out over."""
    return config.epochs, config.max_steps, config.max_minutes is None


def _take_no_places(kept: DictConfig, words: set[str], run: Path) -> None:
    """Leave out of the config of a run that begins anew where it is written; what leads out of it is to be typed again.

    Raises:
        ConfigError: The file names weights, which may be any file of the user's, or a download.
    """
    kept["output"] = registry.defaults(Train)["output"]
    values = plain(kept)
    found = {f"{group}.{name}": value for group in registry.OF_A_TRAINING for name, value in values[group].items()}
    outward = {key: value for key, value in found.items() if is_outward(key) and key not in NEUTRAL}
    if isinstance(began := values.get("from"), str) and not _is_near(began, run):
        outward["from"] = began
    for key, value in outward.items():
        if value is not None and key not in words:
            word = f"{key}={shortened(str(value), 200, '...')}"
            raise ConfigError(
                f"{run} was started with {word}, which a file may not say: it leads out of the run",
                f"if you trust it, type it again: trainer reproduce {quoted(run)} {quoted(word)}",
            )


def _is_near(path: str, run: Path) -> bool:
    """Whether a path leads to what lies below the current directory, or beside the run."""
    place = Path(os.path.realpath(expanded(path)))
    return any(place.is_relative_to(os.path.realpath(folder)) for folder in (Path(), run.absolute().parent.parent))


def written_in(run: Path, verb: str = "resume") -> DictConfig:
    """What `config.yaml` in a run directory holds."""
    import yaml

    path = run / "config.yaml"
    if (run / "sweep.jsonl").is_file():
        what = "a sweep that does not say how it was started" if verb == "resume" else "a sweep"
        raise RunError(f"{run} is {what}", f"{verb} its jobs one by one: trainer {verb} {quoted(run / '0')}")
    if run.is_file():
        raise RunError(f"{run} is a file", "give the run directory that it is in")
    try:
        kept = OmegaConf.load(io.StringIO(inside.yaml_of(path, LONGEST)))
        sections = plain(kept) if isinstance(kept, DictConfig) else {}
        if not all(_is_section(sections.get(group)) for group in registry.GROUPS):
            raise RunError(f"{path} is not the config of a training")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{run}: {'no run directory (it has no config.yaml)' if run.is_dir() else 'no such directory'}",
            "give one like runs/NAME/2026-01-31_12-00-00",
        ) from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise _unreadable(run, error) from error
    return cast(DictConfig, kept)


def _unreadable(run: Path, error: Exception) -> RunError:
    reason = error.strerror if isinstance(error, OSError) else first_line(error)
    return RunError(f"{run / 'config.yaml'} cannot be read: {reason}")


def _is_section(section: Any) -> bool:
    """Whether it says in plain words what it is: by a name of trainer's, or by a class."""
    if not isinstance(section, dict):
        return False
    word = section.get("_target_") or section.get("name")
    return isinstance(word, str) and ("_target_" in section or "${" not in word)


def _renamed(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    """The groups in which something else is chosen, whose keys would be unknown."""
    for group in registry.GROUPS:
        old, new = before[group].get("name"), after[group].get("name")
        if old != new:
            yield f"{group}.name", old, new


def _changed(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """The keys that have another value and may not change."""
    if isinstance(before, Train):
        yield from _changed_parts(before.own, after.own)
    for field in dataclasses.fields(before):
        key = path + public(field.name)
        old, new = getattr(before, field.name), getattr(after, field.name)
        if key == "model":  # its values may wait for the data
            yield from _differing(before.written("model"), after.written("model"), "model.")
        elif isinstance(old, Custom) and isinstance(new, Custom):
            yield from _changed_own(old, new, f"{key}.")
        elif dataclasses.is_dataclass(old) and type(old) is type(new):
            yield from _changed(old, new, f"{key}.")
        elif old != new and not field.metadata.get("runtime"):
            yield key, old, new


def _changed_own(old: Custom, new: Custom, path: str) -> Iterator[Change]:
    yield from _differing({"_target_": old.target, **old.kwargs}, {"_target_": new.target, **new.kwargs}, path)
    yield from _changed(old.common, new.common, path) if old.common is not None else ()


def _changed_parts(before: Parts, after: Parts) -> Iterator[Change]:
    """The same of the parts that a key names, in which metrics may be others: no weight depends on them."""
    for kind in before.keys() - {"metric"}:
        for name, old in before[kind].items():
            if (new := after.get(kind, {}).get(name)) is not None:
                yield from _changed_own(old, new, f"{kind}.{name}.")


def _differing(before: dict[str, Any], after: dict[str, Any], path: str) -> Iterator[Change]:
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            yield path + key, before.get(key), after.get(key)


def _check_targets(kept: dict[str, Any], typed: set[str], run: Path) -> None:
    """A run directory may be a stranger's: a class that it names is used only if the user names it, too."""
    try:
        found = next(unnamed(kept, typed), None)
    except ValueError as error:
        raise RunError(f"{run / 'config.yaml'} is not the config of a training") from error
    if found is not None:
        kind, path, target = found
        named = shortened(printable(str(target)), 200, "...")
        raise ConfigError(
            f"{run} has a {kind} of somebody's own, {named}, and a file names no code to run",
            f"if you trust it, name it yourself: {quoted(f'{path}._target_={target}')}",
        )


def _take_no_intent(verb: str, kept: DictConfig, typed: DictConfig, words: set[str], run: Path) -> None:
    """Leave out of a run's config what only the command line may say; what was `typed` now stands in its place.

    Raises:
        ConfigError: It has an expression for which nothing was typed.
    """
    uri = plain(kept)["tracking"].get("uri")
    if uri is not None and "tracking.uri" not in words:
        raise ConfigError(
            f"{run / 'config.yaml'} has the training told to {shortened(str(uri), 200, '...')}, "
            "and a file does not say where to send anything",
            f"if you trust it, give it yourself: trainer resume {quoted(run)} tracking.uri=...",
        )
    for key, text in expressions(plain(kept)):
        if key not in words:
            raise ConfigError(
                f"{run / 'config.yaml'} takes {key} from an expression, {shortened(text, 200, '...')}, "
                "and a file holds values only",
                f"give it yourself: trainer {verb} {quoted(run)} {key}=...",
            )
        OmegaConf.update(kept, key, OmegaConf.select(typed, key))
    data = plain(kept).get("data", {})
    declared = registry.defaults(registry.section("data", data.get("name")) or registry.shared("data"))
    for key in NEUTRAL:
        name = key.removeprefix("data.")
        if key in words or name not in data or name not in declared or data[name] in (None, False, declared[name]):
            continue
        kept.data[name] = declared[name]
        warn(f"{key}={shortened(str(data[name]), 200, '...')} is not taken from a file; type it again if you want it")
    leads_elsewhere = "download" in declared and data.get("root", declared["root"]) != declared["root"]
    if leads_elsewhere and not {"data.root", "data.download"} & words:
        kept.data["download"] = False  # a file does not say where on this machine to write
    untyped = {name: value for name, value in data.items() if f"data.{name}" not in words}
    kept.data.update({name: value for name, value in located(untyped, run / "config.yaml").items() if name in KEYS})
