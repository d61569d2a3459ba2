"""Files in a folder and below it, or of a pattern: found one by one in a fixed order, however many there are."""

import fnmatch
import heapq
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from trainer.data.folder.tree import LITTER
from trainer.data.image import EXTENSIONS, OTHERS

IN_MEMORY = 20_000  # names of one folder; those of a larger one are sorted on the disk
_BLOCK = 2**16  # bytes of them that are read at once
_MAGIC = "*?["
_FILE, _FOLDER, _LINK = b"0", b"1", b"2"  # in this order a folder's entries come; a link is one to a folder


@dataclass
class PassedOver:
    """Files that are no images by their names: how many, and the first."""

    count: int = 0
    first: str = ""

    def add(self, path: str) -> None:
        """Count one more."""
        self.first = self.first or path
        self.count += 1


def is_pattern(path: str) -> bool:
    """Whether a path has wildcards: `*` and `?` for letters, `[ab]` for one of some, `**` for folders of any depth."""
    return any(letter in path for letter in _MAGIC)


def images_below(folder: str, passed_over: PassedOver) -> Iterator[str]:
    """The images in a folder, in the order of their names, and then those in each folder below it.

    Hidden files are left out, and so are links to folders, which may lead in circles. Files are given that are images
    by their names, but of formats that are not read: whoever reads them says so.

    Raises:
        OSError: A folder cannot be read.
    """
    for kind, name in _entries(folder):
        path = os.path.join(folder, name)
        if kind == _FOLDER:
            yield from images_below(path, passed_over)
        elif kind == _FILE and name.lower().endswith((*EXTENSIONS, *OTHERS)):
            yield path
        else:
            passed_over.add(path)


def matching(pattern: str) -> Iterator[str]:
    """The files and folders that a pattern stands for, in the order of their names; hidden ones only by a dot in it.

    Raises:
        OSError: A folder cannot be read.
    """
    root = "/" if pattern.startswith("/") else ""
    return _matching(root, [part for part in pattern.split("/") if part])


def _matching(folder: str, parts: list[str]) -> Iterator[str]:
    if not parts:
        yield folder
        return
    first, *rest = parts
    if first == "**":
        while rest[:1] == ["**"]:
            rest = rest[1:]
        yield from _matching(folder, rest or ["*"])
        for kind, name in _listed(folder):
            if kind == _FOLDER:
                yield from _matching(os.path.join(folder, name), ["**", *rest])
    elif not is_pattern(first):
        path = os.path.join(folder, first)
        if os.path.lexists(path) and (not rest or os.path.isdir(path)):
            yield from _matching(path, rest)
    else:
        for kind, name in _listed(folder, hidden=first.startswith(".")):
            if fnmatch.fnmatchcase(name, first) and (not rest or kind != _FILE):
                yield from _matching(os.path.join(folder, name), rest)


def _listed(folder: str, hidden: bool = False) -> Iterator[tuple[bytes, str]]:
    with suppress(NotADirectoryError, FileNotFoundError):
        yield from _entries(folder or ".", hidden)


def _entries(folder: str, hidden: bool = False) -> Iterator[tuple[bytes, str]]:
    """What lies in a folder, by its kind and name: files first, each kind in the order of names."""
    names: list[bytes] = []
    runs: list[tuple[int, int]] = []  # where each sorted run of names begins and ends on the disk
    with ExitStack() as opened:
        spilled: IO[bytes] | None = None
        with os.scandir(folder) as entries:
            for entry in entries:
                if (entry.name.startswith(".") and not hidden) or entry.name.lower() in LITTER:
                    continue
                if len(names) == IN_MEMORY:
                    spilled = spilled or opened.enter_context(tempfile.TemporaryFile())
                    start = spilled.tell()
                    spilled.writelines(name + b"\0" for name in sorted(names))
                    runs.append((start, spilled.tell()))
                    names = []
                names.append(_kind(entry) + os.fsencode(entry.name))
        names.sort()
        if spilled is not None:
            spilled.flush()
        back = [_read_back(spilled.fileno(), *run) for run in runs] if spilled is not None else []
        for name in heapq.merge(names, *back) if back else names:
            yield name[:1], os.fsdecode(name[1:])


def _read_back(file: int, start: int, end: int) -> Iterator[bytes]:
    """The names of a sorted run, each of which a zero byte ends."""
    rest = b""
    while start < end:
        block = os.pread(file, min(_BLOCK, end - start), start)
        start += len(block)
        *whole, rest = (rest + block).split(b"\0")
        yield from whole


def _kind(entry: os.DirEntry[str]) -> bytes:
    try:
        if not entry.is_dir():
            return _FILE
    except OSError:  # a link that leads to itself
        return _FILE
    return _LINK if entry.is_symlink() else _FOLDER
