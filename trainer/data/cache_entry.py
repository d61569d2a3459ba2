"""One entry of the cache on disk: a directory with a `.npy` file per array and `entry.json`, which lists them.

An entry is not believed. Whoever asks for it declares what it holds, and files that are anything else (links, pipes, of
another user, of other types, shapes or lengths) make it one that has to be made anew.
"""

import contextlib
import errno
import io
import json
import math
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from trainer.system.inside import parsed, unlinked
from trainer.system.shapes import Shape

LIST = "entry.json"
PIECE = 2**28  # bytes of a file that are allocated at a time
LONGEST = 2**20  # bytes of entry.json
LONGEST_TEXT = 200  # characters of a text in it
OTHERS = stat.S_IWGRP | stat.S_IWOTH  # the modes that let others write
Array = np.ndarray[Any, Any]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Declared:
    """What an entry holds, as those who read it need it.

    `images` are arrays of uint8 by their names, and their shapes (N, H, W, C), in which an N of None is any number from
    1 on. With `classes`, each has an array NAME-targets of N class indices, int64, below that. `texts` are the lists of
    different texts among the facts, and how many each has; `facts` are the others, and what they look like. `numbers`
    are other arrays, of int64, by their names; and `features` the shapes (N, F) of those of float32.
    """

    images: Mapping[str, tuple[int | None, int, int, int]]
    classes: int | None = None
    texts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Shape] = field(default_factory=dict)
    numbers: Mapping[str, "Numbers"] = field(default_factory=dict)
    features: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbers:
    """An array of whole numbers: its shape, and the lowest and highest one that it may have."""

    shape: tuple[int, ...]
    lowest: int = -(2**63)
    highest: int = 2**63 - 1


class Allocate(Protocol):
    """What makes the arrays of an entry, for whoever fills them; where it has a `folder`, in files there."""

    @property
    def folder(self) -> Path | None:
        """Where files may lie that are needed meanwhile."""

    def __call__(self, name: str, shape: tuple[int, ...], dtype: str) -> Array:
        """An array to be filled."""

    def alive(self) -> None:
        """Show those who wait for the entry that it is being worked on; called now and then where that takes long."""


Make = Callable[[Allocate], Facts]  # allocates and fills arrays; returns what else is to be known of them


def ours(found: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user, and nobody else can write to it."""
    return found.st_uid == os.geteuid() and not found.st_mode & OTHERS


def opened(path: Path, declared: Declared) -> tuple[dict[str, Array], Facts] | None:
    """The arrays of the entry at `path`, samples mapped and targets in memory, and its facts; None: it is broken."""
    try:
        directory = path.lstat()
        if not stat.S_ISDIR(directory.st_mode) or not ours(directory):
            return None
        with open(path / LIST, "rb", opener=_our_own) as file:
            shapes, facts = _listed(file.read(LONGEST + 1), declared)
            arrays = {name: mapped(path / f"{name}.npy", shapes[name]) for name in declared.images}
            if declared.classes is not None:
                for name, images in list(arrays.items()):
                    targets = Numbers((len(images),), 0, declared.classes - 1)
                    arrays[f"{name}-targets"] = _numbers(path / f"{name}-targets.npy", targets)
            arrays |= {name: _numbers(path / f"{name}.npy", wanted) for name, wanted in declared.numbers.items()}
            arrays |= {name: mapped(path / f"{name}.npy", s, "float32") for name, s in declared.features.items()}
            with contextlib.suppress(OSError):  # of a file system that is read-only now
                os.utime(file.fileno())  # it has been used: see `cache_folder.shrink`
    except (OSError, ValueError):
        return None
    return arrays, facts


def mapped(path: Path, shape: tuple[int, ...], dtype: str = "uint8") -> Array:
    """The array of a `.npy` file, mapped into memory.

    Raises:
        OSError, ValueError: It is not there, not this user's own, or not exactly as it was written.
    """
    with array_file(path, shape, dtype) as file:
        return np.memmap(file, dtype, "r", file.tell(), shape)


def array_file(path: Path, shape: tuple[int, ...], dtype: str = "uint8") -> IO[bytes]:
    """A `.npy` file, open where its values begin.

    Raises:
        OSError, ValueError: It is not there, not this user's own, or not exactly as it was written.
    """
    header = _header(dtype, shape)
    file = open(path, "rb", opener=_our_own)  # noqa: SIM115, for it is returned
    # A file that is shorter than what is mapped would end the process with SIGBUS.
    size = len(header) + math.prod(shape) * np.dtype(dtype).itemsize
    if os.fstat(file.fileno()).st_size != size or file.read(len(header)) != header:
        file.close()
        raise ValueError(f"{path} is not of shape {shape}")
    return file


def _numbers(path: Path, wanted: Numbers) -> Array:
    header, count = _header("int64", wanted.shape), math.prod(wanted.shape)
    with open(path, "rb", opener=_our_own) as file:
        content = file.read(len(header) + 8 * count + 1)
    if len(content) != len(header) + 8 * count or not content.startswith(header):
        raise ValueError(f"{path} does not have {count} numbers")
    found = np.frombuffer(bytearray(content), "int64", count, len(header))
    if count and (found.min() < wanted.lowest or found.max() > wanted.highest):
        raise ValueError(f"{path} has numbers below {wanted.lowest} or above {wanted.highest}")
    return found.reshape(wanted.shape)


def _our_own(path: str, flags: int) -> int:
    handle = unlinked(path, flags)
    if not ours(os.fstat(handle)):
        os.close(handle)
        raise PermissionError(errno.EACCES, "it is another user's, or others can write to it", path)
    return handle


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """How a `.npy` file begins. Files are compared with it, so that no header has to be interpreted."""
    written = io.BytesIO()
    description = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(written, description)
    return written.getvalue()


def _listed(content: bytes, declared: Declared) -> tuple[dict[str, tuple[int, ...]], Facts]:
    """The shapes of images and the facts that entry.json lists.

    Raises:
        ValueError: They are not what is declared.
    """
    if len(content) > LONGEST:
        raise ValueError(f"{LIST} is too long")
    listed = parsed(content)
    if not isinstance(listed, dict) or listed.keys() != {"arrays", "facts"}:
        raise ValueError(f"{LIST} is not of an entry")
    arrays, facts = listed["arrays"], listed["facts"]
    shapes: dict[str, tuple[int, ...]] = {}
    expected: dict[str, list[int]] = {}
    for name, shape in declared.images.items():
        found = arrays.get(name) if isinstance(arrays, dict) else None
        count = found[0] if isinstance(found, list) and found else None
        if type(count) is not int or count < 1 or shape[0] not in (None, count):
            raise ValueError(f"{LIST} does not have the number of {name} images")
        shapes[name] = (count, *shape[1:])
        expected[name] = list(shapes[name])
        if declared.classes is not None:
            expected[f"{name}-targets"] = [count]
    expected |= {name: list(wanted.shape) for name, wanted in declared.numbers.items()}
    expected |= {name: list(shape) for name, shape in declared.features.items()}
    if _exactly(arrays) != _exactly(expected):
        raise ValueError(f"{LIST} has arrays that are not expected")
    if not isinstance(facts, dict) or facts.keys() != declared.texts.keys() | declared.facts.keys():
        raise ValueError(f"{LIST} has facts that are not expected")
    for name, fits in declared.facts.items():
        if not fits(facts[name]):
            raise ValueError(f"{LIST} has {name} that are not what they should be")
    for name, number in declared.texts.items():
        if not isinstance(facts[name], list) or len(facts[name]) != number or not all(map(is_short_text, facts[name])):
            raise ValueError(f"{LIST} does not have {number} {name}")
        if len(set(facts[name])) < number:
            raise ValueError(f"{LIST} has {name} that are the same")
    return shapes, facts


def _exactly(value: object) -> str:
    """A value as text, in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def is_short_text(value: object) -> bool:
    """A text of one line that an entry may hold."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable()


def make_files(path: Path, part: Path, make: Make) -> None:
    """Make the entry as `part`, then rename it; what a killed process left and a damaged entry are removed.

    Raises:
        OSError: There is no room for it, or it cannot be written.
    """
    remove(part)
    part.mkdir(0o755)  # for others to read, where the user's mask allows that
    try:
        files = _Files(part)
        facts = make(files)
        for array in files.arrays.values():
            array.flush()  # type: ignore[attr-defined]  # to the disk before the entry has its name
        shapes = {name: list(array.shape) for name, array in files.arrays.items()}
        with open(part / LIST, "x", encoding="utf-8", opener=_for_us_to_write) as file:
            json.dump({"arrays": shapes, "facts": facts}, file)
        remove(path)
        os.replace(part, path)
    except BaseException:
        remove(part)
        raise


class _Files:
    """Allocates arrays in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays: dict[str, Array] = {}
        self.shown = time.monotonic()

    def __call__(self, name: str, shape: tuple[int, ...], dtype: str) -> Array:
        shape = tuple(map(int, shape))
        header = _header(dtype, shape)
        with open(self.folder / f"{name}.npy", "x+b", opener=_for_us_to_write) as file:
            file.write(header)
            file.flush()
            self._reserve(file.fileno(), len(header) + math.prod(shape) * np.dtype(dtype).itemsize)
            self.arrays[name] = np.memmap(file, dtype, "r+", len(header), shape)
        return self.arrays[name]

    def alive(self) -> None:
        now = time.monotonic()
        if now - self.shown > 1:
            self.shown = now
            os.utime(self.folder)

    def _reserve(self, file: int, size: int) -> None:
        """Allocate a file's blocks: that raises on a full disk, while writing to a mapped hole kills the process."""
        if not hasattr(os, "posix_fallocate"):  # macOS
            if shutil.disk_usage(self.folder).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.truncate(file, size)
            return
        for start in range(0, size, PIECE):  # some file systems can only do it by writing, which takes long
            os.posix_fallocate(file, start, min(PIECE, size - start))
            self.alive()


def _for_us_to_write(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def remove(path: Path) -> None:
    """Remove a directory with all that is in it; or a link or pipe in its place, but no file.

    What a link leads to stays. What cannot be removed stays, too.
    """
    with contextlib.suppress(OSError):
        kind = path.lstat().st_mode
        if stat.S_ISDIR(kind):
            shutil.rmtree(path, ignore_errors=True)
        elif not stat.S_ISREG(kind):
            path.unlink()


def readable(size: int) -> str:
    """A number of bytes as people say it."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
