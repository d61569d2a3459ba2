"""Run directories: claiming one atomically, and the small files that say what ran and how it ended."""

import datetime
import json
import math
import os
from pathlib import Path
from typing import Any

from trainer.errors import RunError

SUBDIRECTORIES = ("checkpoints", "plots")


def timestamp() -> str:
    """The local time as directory names have it: `2026-01-31_12-00-00`."""
    return datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def claim(parent: Path) -> Path:
    """Make a new directory below `parent`, named by the time; two claims in one second get two.

    Raises:
        RunError: `parent` cannot be made or written to.
    """
    stamp = timestamp()
    number = 0
    while True:
        path = parent / (f"{stamp}-{number}" if number else stamp)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()  # fails if it is there: that is what makes the claim atomic
        except FileExistsError as error:
            if not parent.is_dir():
                raise RunError(f"output: {parent} is not a directory", "give another: output=DIR") from error
            number += 1
        except OSError as error:
            raise RunError(
                f"cannot write a run directory below {parent}: {error.strerror}", "give another: output=DIR"
            ) from error
        else:
            return path


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def write_overrides(directory: Path, overrides: list[str]) -> None:
    """Write `overrides.yaml`: what was typed, one list entry each."""
    quoted = [override.replace("'", "''") for override in overrides]
    write_text(directory / "overrides.yaml", "".join(f"- '{override}'\n" for override in quoted))


def write_result(directory: Path, result: dict[str, Any]) -> None:
    """Write `result.json`; values that are not finite become null, for JSON has no word for them."""
    write_text(directory / "result.json", json.dumps(finite(result), indent=2) + "\n")


def finite(value: Any) -> Any:
    """`value` with every float that JSON cannot hold replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
