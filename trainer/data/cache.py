"""Decoded samples in files that are mapped into memory, so that the next run starts at once.

An entry is a directory NAME-SETTINGS-SOURCE: one `.npy` file per array and `entry.json`, which lists them. SETTINGS and
SOURCE are digests: runs with other settings have an entry of their own, and so has a source that has changed, so that
a name never comes to mean other samples. The entry of an older source is removed; a process that has mapped it keeps
it. An entry is made under another name and then renamed, under a lock: processes that start together make it
once, and one that is killed leaves nothing that could be taken for a whole entry.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from trainer.data.splits import Samples, Split, rows_of
from trainer.system.errors import ConfigError, DataError
from trainer.system.memory import free_memory
from trainer.system.paths import expanded

FORMAT = 2  # of an entry, and of what our readers make of the same files: higher whenever either changes
Array = np.ndarray[Any, Any]
# Called with name, shape and dtype; returns the array to fill.
Allocate = Callable[[str, tuple[int, ...], str], Array]
# Allocates and fills arrays; returns what else is to be known of them, as plain values that JSON can hold.
Make = Callable[[Allocate], dict[str, Any]]


@dataclass(frozen=True)
class Stored:
    """The arrays of one entry, mapped or in memory, with the facts that were stored with them.

    `note` tells the user where they are kept, or why they are not.
    """

    arrays: Mapping[str, Array]
    facts: dict[str, Any]
    path: Path | None = None
    note: str = ""

    def images(self, name: str) -> Samples:
        """The array called `name`, (N, H, W, C) of uint8, seen as (N, C, H, W)."""
        if self.path is not None:
            return Mapped(self.path / f"{name}.npy", self.arrays[name])
        return torch.from_numpy(self.arrays[name]).permute(0, 3, 1, 2)

    def split(self, name: str) -> Split:
        """The images called `name`, with the classes called `name`-targets."""
        return Split(self.images(name), torch.from_numpy(np.array(self.arrays[f"{name}-targets"])))


class Mapped:
    """Images of a `.npy` file (N, H, W, C), as (N, C, H, W). Another process that gets one maps the file again.

    Raises:
        DataError: The file is no longer there.
    """

    def __init__(self, path: Path, mapped: Array | None = None) -> None:
        self.path = path
        if mapped is None:
            try:
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            except FileNotFoundError as error:
                raise DataError(
                    f"{path} was removed while it was in use, for its source has changed", "start again"
                ) from error
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes to it
            self._images = torch.from_numpy(mapped).permute(0, 3, 1, 2)

    @property
    def shape(self) -> torch.Size:
        return self._images.shape

    @property
    def dtype(self) -> torch.dtype:
        return self._images.dtype

    def __getitem__(self, index: Any) -> Tensor:
        return rows_of(self._images, index)

    def __reduce__(self) -> tuple[type["Mapped"], tuple[Path]]:
        return Mapped, (self.path,)


def stored(folder: str | None, name: str, settings: Mapping[str, Any], source: str, make: Make) -> Stored:
    """Open the entry below `folder` for these `settings` and this `source`; `make` makes it if it is not there.

    Without a `folder`, or if it cannot be written to, the arrays are made in memory.
    """
    if not folder:
        return _in_memory(make, "")
    family = f"{name}-{_digest(json.dumps(dict(settings), sort_keys=True))}"
    try:
        path = expanded(folder) / f"{family}-{_digest(f'{FORMAT} {source}')}"
    except ConfigError as error:  # no home directory, as in some containers
        return _in_memory(make, f"none: {error.message}")
    found = _open(path)
    if found is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / f".{family}.lock"):
            found = _open(path)
            if found is None:
                found = _made(path, path.parent / f".{family}.part", make)
                _remove_others(path, family)
    except OSError as error:
        return _in_memory(make, f"none: {error.strerror or error} ({path.parent})")
    return found


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def source_of(files: Iterable[os.DirEntry[str] | Path], root: Path) -> str:
    """A digest of the sizes and times of `files`, and of their paths relative to `root`.

    Raises:
        DataError: A file is a link to nothing, or was removed meanwhile.
    """
    digest = hashlib.blake2b(digest_size=16)
    start = len(os.fspath(root / "_")) - 1
    for file in files:
        name = os.fspath(file)
        try:
            facts = file.stat()
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}", "repair or remove it") from error
        times = f"{facts.st_mtime_ns}\0{facts.st_ctime_ns}"  # nobody can set the latter back
        digest.update(f"{name[start:]}\0{facts.st_size}\0{times}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _open(path: Path) -> Stored | None:
    try:
        entry = json.loads((path / "entry.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in entry["arrays"]}
        if {name: list(array.shape) for name, array in arrays.items()} != entry["arrays"]:
            return None
        facts = dict(entry["facts"])
    except Exception:  # whatever is wrong with it, it can be made anew
        return None
    size = sum(array.nbytes for array in arrays.values())
    return Stored(arrays, facts, path, f"{_readable(size)} in {path} (data.cache=null: none)")


def _made(path: Path, part: Path, make: Make) -> Stored:
    """Make the entry as `part`, then rename it; what a killed process left and a damaged entry are removed."""
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        arrays: dict[str, Array] = {}

        def allocate(name: str, shape: tuple[int, ...], dtype: str) -> Array:
            file = part / f"{name}.npy"
            array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=tuple(map(int, shape)))
            _reserve(file)
            arrays[name] = array
            return array

        facts = make(allocate)
        for array in arrays.values():
            array.flush()  # type: ignore[attr-defined]  # to the disk before the entry has its name
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        (part / "entry.json").write_text(json.dumps({"arrays": shapes, "facts": facts}), encoding="utf-8")
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    found = _open(path)
    assert found is not None
    return found


def _remove_others(path: Path, family: str) -> None:
    """Remove the entries of the same settings whose source has changed, so that the cache does not grow for ever."""
    for other in path.parent.iterdir():
        same = other.name.startswith(f"{family}-") and len(other.name) == len(path.name)
        if same and other.name != path.name:
            shutil.rmtree(other, ignore_errors=True)


def _reserve(file: Path) -> None:
    """Allocate a file's blocks: that raises on a full disk, while writing to a mapped hole kills the process."""
    size = file.stat().st_size
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, size)
    elif shutil.disk_usage(file).free < size:  # macOS
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _in_memory(make: Make, note: str) -> Stored:
    arrays: dict[str, Array] = {}

    def allocate(name: str, shape: tuple[int, ...], dtype: str) -> Array:
        check_room(math.prod(shape) * np.dtype(dtype).itemsize)
        arrays[name] = np.empty(shape, dtype)
        return arrays[name]

    return Stored(arrays, make(allocate), None, note)


def check_room(needed: int) -> None:
    """Check that so many bytes fit into memory.

    Raises:
        DataError: They do not.
    """
    free = free_memory(torch.device("cpu"))
    if needed > free:
        raise DataError(
            f"the samples take {_readable(needed)}, and {_readable(free)} of memory are free",
            "use a smaller data.size, a data.limit, or data.placement=stream with data.cache=null",
        )


def _readable(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
