"""Where the data lie that a run or a checkpoint names by a path: here, or beside the run."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.system.paths import expanded
from trainer.system.streams import warn

KEYS = ("path", "test_path", "val_path", "root")  # of data that lie in files
HIGHEST = 8  # folders above a checkpoint that are looked in: more than `runs/sweeps/NAME/TIME/JOB/checkpoints` has


def located(data: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The keys of a section of data that were read from `file`, a config or a checkpoint.

    A relative path that leads nowhere from here is taken from the nearest folder above `file` where it leads anywhere,
    for it was typed in one of them, or the data have moved with the run.
    """
    found = dict(data)
    for key in KEYS:
        value = found.get(key)
        if isinstance(value, str) and "${" not in value:
            found[key] = beside(value, file)
            if found[key] != value:
                warn(f"data.{key}={value} is not here: {found[key]} is taken, beside the run")
    return found


def beside(text: str, file: Path) -> str:
    """The path `text` that was read from `file`, as it is or as it lies beside that."""
    path = expanded(text)
    if not path.is_absolute() and not os.path.lexists(path):
        for folder in file.resolve().parents[:HIGHEST]:
            if os.path.lexists(folder / path):
                return str(folder / path)
    return text
