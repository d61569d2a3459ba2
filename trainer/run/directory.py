"""Run directories: claiming one atomically, and the small files that say what ran and how it ended."""

import datetime
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from trainer.system.atomic import storing, write_text
from trainer.system.errors import RunError

EVENTS = "events.out.tfevents.*"
SUBDIRECTORIES = ("checkpoints", "plots")
LOCK_SECONDS = 3.0  # workers of a run that was killed may hold its lock so long


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


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Within the block no other process trains in `directory`; the system ends the lock with the process.

    Raises:
        RunError: another one does.
    """
    handle = os.open(directory, os.O_RDONLY)
    _held.add(handle)
    try:
        _lock(handle, directory)
        yield
    finally:
        _held.remove(handle)
        os.close(handle)


def _leave_locks_to_the_parent() -> None:
    """In a worker that has just been forked: it may outlive the training."""
    for handle in _held:
        os.close(handle)
    _held.clear()


_held: set[int] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks_to_the_parent)


def _lock(handle: int, directory: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: resuming a run that still runs is then for the user not to do
        return
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise RunError(f"{directory} is being trained by another process", "wait until it has ended") from error
            time.sleep(0.1)
        except OSError:  # a file system without locks
            return
        else:
            return


def rewind(directory: Path, lengths: Mapping[str, int]) -> None:
    """Cut the files that a training appends to back to their `lengths`; remove those that came later.

    Raises:
        StorageError: the directory cannot be written to.
    """
    for path in [directory / "metrics.jsonl", *directory.glob(EVENTS)]:
        with storing(path):
            if path.name in lengths and path.exists():
                with path.open("r+b") as file:
                    if file.seek(0, os.SEEK_END) > lengths[path.name]:
                        file.truncate(lengths[path.name])
            else:
                path.unlink(missing_ok=True)


def write_overrides(directory: Path, overrides: list[str]) -> None:
    """Write `overrides.yaml`: what was typed, one list entry each."""
    write_text(directory / "overrides.yaml", "".join(f"- {_quoted(override)}\n" for override in overrides))


def _quoted(text: str) -> str:
    """A string of YAML; what is not printable (line breaks, bytes of a path that are no text) is written as numbers."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'


def overrides(directory: Path) -> list[str]:
    """What `overrides.yaml` says was typed; nothing where it cannot be read."""
    try:
        found = yaml.safe_load((directory / "overrides.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    return [str(override) for override in found] if isinstance(found, list) else []


def write_result(directory: Path, result: dict[str, Any]) -> None:
    """Write `result.json`; values that are not finite become null, for JSON has no word for them."""
    write_text(directory / "result.json", json.dumps(finite(result), indent=2) + "\n")


def read_result(directory: Path) -> dict[str, Any]:
    """The content of `result.json`; empty if there is none, or if it was damaged when the power failed."""
    try:
        found = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def finite(value: Any) -> Any:
    """`value` with every float that JSON cannot hold replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
