"""The folder of the cache: whose it is, which entries lie in it, and how large they may become together."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.data.cache_entry import LIST, ours, remove

GB = 10**9
_ENTRY = re.compile(r"(?P<name>.+)-[0-9a-f]{12}-[0-9a-f]{12}")  # NAME-SETTINGS-SOURCE
_UNFINISHED = re.compile(r"\..+-[0-9a-f]{12}\.part")


@dataclass(frozen=True)
class Entry:
    """An entry of this user's, with the bytes that it takes and the time of its last use."""

    path: Path
    name: str  # of the data
    size: int
    used: float


def own(folder: Path) -> tuple[Path, str]:
    """Where in `folder` this user's entries lie, and why that is a folder below it, if it is.

    Nobody else may put an entry there: samples that somebody else has chosen would train another model. The folder is
    made if it is not there.

    Raises:
        OSError: It cannot be made, or what lies in its place is not this user's.
    """
    folder.mkdir(0o755, parents=True, exist_ok=True)
    found = folder.stat()
    if ours(found):
        return folder, ""
    below = folder / f"uid-{os.geteuid()}"
    below.mkdir(0o700, exist_ok=True)
    found_below = below.lstat()
    if not stat.S_ISDIR(found_below.st_mode) or not ours(found_below):
        raise PermissionError(errno.EACCES, "it is another user's, or others can write to it", str(below))
    why = "belongs to another user" if found.st_uid != os.geteuid() else "can be written by others"
    return below, f"{folder} {why}"


def entries(place: Path) -> list[Entry]:
    """The entries in a folder of this user's, those used last first."""
    return sorted(_found(place), key=lambda entry: (-entry.used, entry.path.name))


def _found(place: Path) -> Iterator[Entry]:
    for path in place.iterdir():
        named = _ENTRY.fullmatch(path.name)
        try:
            directory = path.lstat()
            if named is None or not stat.S_ISDIR(directory.st_mode) or directory.st_uid != os.geteuid():
                continue
            used = (path / LIST).lstat().st_mtime
            size = sum(file.lstat().st_size for file in path.iterdir())
        except OSError:  # it is being removed, or is no entry
            continue
        yield Entry(path, named["name"], size, used)


def shrink(place: Path, limit: float | None, keep: Path) -> None:
    """Remove the entries whose last use is longest ago until all take at most `limit` GB; `keep` always stays.

    A process that has mapped an entry keeps it.
    """
    if limit is None:
        return
    others = [entry for entry in entries(place) if entry.path != keep]
    free = limit * GB - sum(file.lstat().st_size for file in keep.iterdir())
    for entry in others:
        free -= entry.size
        if free < 0:
            remove(entry.path)


def remove_unfinished(place: Path) -> None:
    """Remove what processes left that were killed while they made an entry."""
    for part in place.iterdir():
        if _UNFINISHED.fullmatch(part.name):
            try:
                with FileLock(part.with_suffix(".lock"), timeout=0):
                    remove(part)
            except (Timeout, OSError):  # it is being made
                continue
