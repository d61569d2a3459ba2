"""Which runs and sweeps lie below a folder. Links are not followed, and nothing is opened."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.run.records import OVERRIDES, RESULT, SWEEP_LOG
from trainer.run.rows import NAME as ROWS
from trainer.system.errors import RunError
from trainer.system.paths import resolved

DEEPEST = 10  # folders below the one that is searched
MOST = 1_000_000  # entries that are looked at: a folder of data may have any number
_OF_A_SWEEP = {SWEEP_LOG, "plan.json", "study.journal"}


@dataclass(frozen=True)
class Place:
    """The directory of a run or a sweep, and the names of the files and folders in it."""

    path: Path
    names: frozenset[str]

    @property
    def is_sweep(self) -> bool:
        return not _OF_A_SWEEP.isdisjoint(self.names) and "config.yaml" not in self.names

    @property
    def is_run(self) -> bool:
        told = {OVERRIDES, RESULT} & self.names or {"config.yaml", ROWS} <= self.names
        return bool(told) and not self.is_sweep


def at(typed: str) -> Place:
    """The directory that the user has named, which may be a link to it, whatever is in it.

    Raises:
        RunError: There is no such directory, or it cannot be read.
    """
    path = resolved(typed)
    try:
        return _place(path)[0]
    except NotADirectoryError as error:
        raise RunError(f"{typed} is a file", "give a run directory, a sweep, or a folder of them") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hint = "trainings make it; another is given by trainer runs PATH" if typed == "runs" else ""
        raise RunError(f"{typed}: {reason}", hint) from error


def below(place: Place) -> Iterator[Place]:
    """The runs and sweeps at a place and below it, by name; nothing within a run or a sweep.

    Raises:
        RunError: There are too many entries to be searched.
    """
    seen = 0
    queue = [(place.path, 0)]
    while queue:
        path, depth = queue.pop()
        try:
            found, folders = _place(path)
        except OSError:  # not ours to read, or gone meanwhile
            continue
        seen += len(found.names)
        if seen > MOST:
            raise RunError(f"{place.path} has more than {MOST:,} entries", "give a folder in it: trainer runs PATH")
        if found.is_run or found.is_sweep:
            yield found
        elif depth < DEEPEST:
            queue += [(path / name, depth + 1) for name in sorted(folders, reverse=True) if not name.startswith(".")]


def jobs(sweep: Place) -> Iterator[Place]:
    """The runs of a sweep by their numbers."""
    numbers = sorted((name for name in sweep.names if name.isdecimal() and name.isascii()), key=lambda n: (len(n), n))
    for name in numbers:
        try:
            found = _place(sweep.path / name)[0]
        except OSError:
            continue
        if found.is_run:
            yield found


def _place(path: Path) -> tuple[Place, list[str]]:
    """What lies at `path`, and the folders in it; through no link.

    Raises:
        OSError: It cannot be read, or is a link.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with os.scandir(handle) as entries:
            few = itertools.islice(entries, MOST + 1)
            kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in few}
    finally:
        os.close(handle)
    return Place(path, frozenset(kinds)), [name for name, is_folder in kinds.items() if is_folder]
