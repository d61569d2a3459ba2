"""One run in detail, with the way back to it."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainer.compare import lineage
from trainer.compare.entries import Entry
from trainer.compare.finding import Place
from trainer.compare.listing import shown
from trainer.config import registry
from trainer.config.base import FACTS
from trainer.config.kept import may_say
from trainer.run import origin
from trainer.run.records import finite
from trainer.show.report import Facts, Report
from trainer.show.values import duration, metric
from trainer.system.paths import quoted
from trainer.system.shown import counted

MOST = 200  # files that are shown
_ROOT = ("epochs", "max_steps", "max_minutes", "seed", "precision", "accumulate", "clip_norm", "label_smoothing", "ema")


def show(place: Place, as_json: bool) -> dict[str, Any]:
    """Show a run; all of it as plain values."""
    entry = Entry(place)
    found = told(entry)
    if as_json:
        print(json.dumps(finite(found), indent=2))
        return found
    screen = Report()
    screen.facts(str(entry.path), facts(entry))
    figures = [(name, metric(name, value)) for name, value in entry.metrics.items()]
    if figures:
        screen.table(("metric", "value"), figures)
    files = [(name, _size(size)) for name, size in found["files"].items()]
    screen.table(("file", "size"), files[:MOST])
    if len(files) > MOST:
        screen.say(f"... and {counted(len(files) - MOST, 'more file')}")
    screen.commands(_following(entry))
    return found


def told(entry: Entry) -> dict[str, Any]:
    """What is known of a run as plain values, for JSON."""
    began = origin.read(entry.path)
    return entry.summary() | {
        "error": entry.result.get("error"),
        "environment": entry.result.get("environment") or began.get("environment"),
        "project": began.get("project"),
        "lineage": [{"path": step.path, "epoch": step.epoch, "step": step.step} for step in lineage.back(entry.path)],
        "reproduces": began.get("reproduces"),
        "resumed": began.get("resumed", []),
        "command": command(entry),
        "files": dict(_files(entry.path, "")),
    }


def facts(entry: Entry) -> Facts:
    """The labelled lines on a run."""
    result, began = entry.result, origin.read(entry.path)
    environment = result.get("environment") or began.get("environment") or {}
    trained = [counted(result[key], word) for key, word in (("epochs", "epoch"), ("steps", "step")) if key in result]
    found = [("status", ", ".join([entry.ending, *trained]))]
    found += [(key, str(result[key])) for key in ("error", "stopped") if result.get(key)]
    if entry.when is not None:
        took = "" if entry.seconds is None else f", took {duration(entry.seconds)}"
        found.append(("started", entry.when.isoformat(" ") + took))
    if entry.objective.get("value") is not None:
        name, value = entry.objective["name"], entry.objective["value"]
        epoch = "" if entry.best_epoch is None else f" in epoch {entry.best_epoch}"
        found.append(("best", f"{name} {metric(name, value)}{epoch}"))
    found.append(("typed", " ".join(map(quoted, entry.typed)) or "nothing"))
    found += [(group, line) for group in registry.OF_A_TRAINING if (line := _section(entry, group))]
    root = [f"{key}={shown(entry.config.get(key))}" for key in _ROOT if entry.config.get(key) or key == "seed"]
    found += [("training", " ".join(root))] * bool(root)
    found += [("environment", ", ".join(f"{name} {value}" for name, value in environment.items()))] * bool(environment)
    if (project := began.get("project")) is not None:
        found.append(("project", f"commit {project['commit']}, {_state(project['changed'])}"))
    found += lineage.told(entry.path)
    return found


def _following(entry: Entry) -> list[str]:
    """Commands to go on with: to train it again, and to resume what has not come to its end."""
    run = quoted(entry.path)
    commands = [command(entry), f"trainer reproduce {run}"]
    if entry.status not in ("completed", "running", "broken"):
        commands.append(f"trainer resume {run}")
    return commands


def command(entry: Entry) -> str:
    """The command that trains it again; a word that a file may not say is left for the user to type."""
    last = {word.partition("=")[0]: word for word in entry.typed}  # a resumed run may have a key twice
    words = [quoted(word) if may_say(word) else "..." for word in last.values()]
    return " ".join(["trainer train", *(word for word, _ in itertools.groupby(words))])


def _section(entry: Entry, group: str) -> str:
    """A section of the config in a line: what it is, and its keys that have a value."""
    if group not in entry.config:
        return ""
    hidden = {"name", "arch", "_target_", *(FACTS if group == "data" else ())}
    words = []
    for key, value in entry.config.items():
        name = key.removeprefix(f"{group}.")
        if name != key and name not in hidden and value not in (None, False, "none", "auto") and "${" not in str(value):
            words.append(f"{name}={json.dumps(value) if isinstance(value, list | bool) else value}")
    return " ".join([str(entry.config[group]), *words])


def _state(changed: bool | None) -> str:
    if changed is None:
        return "whether files were changed is not known"
    return "with changed files" if changed else "clean"


def _files(folder: Path, above: str) -> Iterator[tuple[str, int]]:
    """The files of a run by their names within it, with their sizes in bytes; through no link."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):  # it is gone meanwhile
            if entry.is_file(follow_symlinks=False):
                yield above + entry.name, entry.stat(follow_symlinks=False).st_size
    for entry in entries:
        if not above and entry.is_dir(follow_symlinks=False):
            yield from _files(folder / entry.name, f"{entry.name}/")


def _size(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size} {unit}"
        size = size / 1000  # type: ignore[assignment]
    return f"{size:.3g} GB"
