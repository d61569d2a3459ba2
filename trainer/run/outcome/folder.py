"""The folder that `trainer eval` leaves an evaluation in: a new one, or that of an earlier evaluation."""

import json
import os
import re
from pathlib import Path
from typing import Any

from trainer.run.records import finite
from trainer.system import inside
from trainer.system.atomic import storing, write_text
from trainer.system.errors import ConfigError
from trainer.system.paths import resolved
from trainer.system.shapes import each, is_text, known, one_of

RESULT, KIND = "result.json", "evaluation"
_LONGEST = 2**20  # bytes of result.json
_SHAPES = {"kind": one_of(KIND), "files": each(is_text)}
_OURS = re.compile(r"\w+\.(csv|png)", re.ASCII)


def usable(out: str) -> Path:
    """The folder that `out=` means, which may not be there yet.

    Raises:
        ConfigError: It is no folder, or has files that are of no evaluation.
    """
    path = resolved(out)
    try:
        there = sorted(name for name in os.listdir(path) if not name.startswith("."))
    except FileNotFoundError:
        return path
    except OSError as error:
        raise ConfigError(f"out={out}: {(error.strerror or 'cannot be read').lower()}", "give a new folder") from error
    if there and _files(path) is None:
        few = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
        raise ConfigError(f"out={out}: the folder holds other files ({few})", "give a new one, or an empty one")
    return path


def write_result(path: Path, result: dict[str, Any], files: list[str]) -> None:
    """Write result.json, which names the `files` of the evaluation, and remove those of an earlier one that it lacks.

    Raises:
        StorageError: A file cannot be written or removed.
    """
    for name in _files(path) or []:
        if name not in files and _OURS.fullmatch(name):
            with storing(path / name):
                (path / name).unlink(missing_ok=True)
    content = {"kind": KIND, **result, "files": files}
    write_text(path / RESULT, json.dumps(finite(content), indent=2) + "\n")


def _files(path: Path) -> list[str] | None:
    """The files of the evaluation in a folder, which may be a stranger's; None where there is none."""
    try:
        found = known(inside.json_of(path / RESULT, _LONGEST), _SHAPES, tuple(_SHAPES))
    except (OSError, ValueError):
        return None
    files: list[str] = found["files"]
    return files
