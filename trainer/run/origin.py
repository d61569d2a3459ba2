"""origin.json: when and where a run was started, from which commit of the user's project, and what it goes back to.

It is written before the first step: a run that is killed has it, too. What was typed stands in overrides.yaml, and no
variable of the environment is kept.
"""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.run.project import Project
from trainer.system import inside
from trainer.system.atomic import write_text
from trainer.system.shapes import each, has, is_count, is_text, known, optional, table

NAME = "origin.json"
_LONGEST = 2**20  # bytes
_MOST = 100  # times that a run was resumed are kept
_PROJECT = optional(
    has({"commit": is_text, "changed": lambda value: value in (None, True, False)}, ("commit", "changed"))
)
_PARENT = optional(has({"path": is_text, "epoch": optional(is_count), "step": optional(is_count)}, ("path",)))
_START = {"when": is_text, "environment": table(is_text), "project": _PROJECT}
_SHAPES = {
    **_START,
    "parent": _PARENT,
    "reproduces": optional(is_text),
    "resumed": each(has({**_START, "epoch": is_count, "step": is_count}, (*_START, "epoch", "step"))),
}


def write(
    directory: Path,
    environment: Mapping[str, str],
    project: Project | None,
    parent: Mapping[str, Any] | None = None,
    reproduces: Path | None = None,
) -> None:
    """Write down that a run begins.

    Raises:
        StorageError: it cannot be written.
    """
    found = _start(environment, project)
    _write(directory, found | {"parent": parent, "reproduces": None if reproduces is None else str(reproduces)})


def add(directory: Path, environment: Mapping[str, str], project: Project | None, epoch: int, step: int) -> None:
    """Write down that a run is resumed after so many epochs and steps.

    Raises:
        StorageError: it cannot be written.
    """
    before = read(directory)
    again = _start(environment, project) | {"epoch": epoch, "step": step}
    _write(directory, before | {"resumed": [*before.get("resumed", []), again][-_MOST:]})


def read(directory: Path) -> dict[str, Any]:
    """What is there; empty if it is not, or is damaged or not what trainer writes."""
    try:
        return known(inside.json_of(directory / NAME, _LONGEST), _SHAPES)
    except (OSError, ValueError):
        return {}


def _start(environment: Mapping[str, str], project: Project | None) -> dict[str, Any]:
    return {
        "when": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "environment": dict(environment),
        "project": None if project is None else {"commit": project.commit, "changed": project.changed},
    }


def _write(directory: Path, content: Mapping[str, Any]) -> None:
    write_text(directory / NAME, json.dumps(content, indent=2) + "\n")
