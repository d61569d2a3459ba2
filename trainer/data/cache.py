"""Decoded samples in files that are mapped into memory, so that the next run starts at once.

An entry is a directory NAME-SETTINGS-SOURCE (`cache_entry`) in a folder of the user's own (`cache_folder`). SETTINGS
and SOURCE are digests: runs with other settings have an entry of their own, and so has a source that has changed, so
that a name never comes to mean other samples. The entry of an older source is removed; a process that has mapped it
keeps it. An entry is made under another name and then renamed, under a lock: processes that start together make it
once, and one that is killed leaves nothing that could be taken for a whole entry.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from trainer.data import cache_entry, cache_folder
from trainer.data.cache_entry import Array, Declared, Facts, Make, readable
from trainer.data.splits import Samples, Split, rows_of
from trainer.system.errors import ConfigError, DataError
from trainer.system.memory import free_memory
from trainer.system.paths import expanded
from trainer.system.streams import warn

FORMAT = 2  # of an entry, and of what our readers make of the same files: higher whenever either changes
SILENT_SECONDS = 4.0  # so long another process may make an entry without a word of it
PATIENT_SECONDS = 9.0  # so long it is waited for without a sign that it works


@dataclass(frozen=True)
class Stored:
    """The arrays of one entry, mapped or in memory, with the facts that were stored with them.

    `note` tells the user where they are kept, or why they are not.
    """

    arrays: Mapping[str, Array]
    facts: Facts
    path: Path | None = None
    note: str = ""

    def images(self, name: str) -> Samples:
        """The array called `name`, (N, H, W, C) of uint8, seen as (N, C, H, W)."""
        if self.path is not None:
            return Mapped(self.path / f"{name}.npy", self.arrays[name].shape, self.arrays[name])
        return torch.from_numpy(self.arrays[name]).permute(0, 3, 1, 2)

    def features(self, name: str) -> Samples:
        """The array called `name`, (N, F) of float32."""
        if self.path is not None:
            return Mapped(self.path / f"{name}.npy", self.arrays[name].shape, self.arrays[name])
        return torch.from_numpy(self.arrays[name])

    def split(self, name: str) -> Split:
        """The images called `name`, with the classes called `name`-targets."""
        return Split(self.images(name), torch.from_numpy(self.arrays[f"{name}-targets"]))


class Mapped:
    """Samples of a `.npy` file: images (N, H, W, C) of uint8 as (N, C, H, W), or features (N, F) of float32.

    Another process that gets one maps the file again.

    Raises:
        DataError: The file is no longer there, or no longer what it was.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], mapped: Array | None = None) -> None:
        self.path = path
        if mapped is None:
            with self._unchanged():
                mapped = cache_entry.mapped(path, shape, _type(shape))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes to it
            samples = torch.from_numpy(mapped)
        self._samples = samples.permute(0, 3, 1, 2) if samples.dim() == 4 else samples

    @property
    def shape(self) -> torch.Size:
        return self._samples.shape

    @property
    def dtype(self) -> torch.dtype:
        return self._samples.dtype

    def __getitem__(self, index: Any) -> Tensor:
        return rows_of(self._samples, index)

    def file(self) -> IO[bytes]:
        """The file, open where its values begin, for who reads and does not map it."""
        with self._unchanged():
            return cache_entry.array_file(self.path, self.lying, _type(self.lying))

    @property
    def lying(self) -> tuple[int, ...]:
        """The shape as it lies in the file, (N, H, W, C) or (N, F)."""
        count, *each = self.shape
        return (count, *each[1:], each[0]) if len(each) == 3 else (count, *each)

    @contextlib.contextmanager
    def _unchanged(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path} was removed or changed while it was in use (its source may have changed)", "start again"
            ) from error

    def __reduce__(self) -> tuple[type["Mapped"], tuple[Path, tuple[int, ...]]]:
        return Mapped, (self.path, self.lying)


def _type(shape: tuple[int, ...]) -> str:
    return "uint8" if len(shape) == 4 else "float32"


def stored(
    folder: str | None,
    name: str,
    settings: Mapping[str, Any],
    source: str,
    make: Make,
    declared: Declared,
    limit: float | None = None,
) -> Stored:
    """Open the entry below `folder` for these `settings` and this `source`; `make` makes it if it is not there.

    Without a `folder`, or if it cannot be written to, or another process keeps the entry locked, the arrays are made in
    memory. When an entry has been made, those used least recently are removed until all take at most `limit` GB.
    """
    if not folder:
        return _in_memory(make, "")
    family = f"{name}-{_digest(json.dumps(dict(settings), sort_keys=True))}"
    try:
        place = expanded(folder)
    except ConfigError as error:  # no home directory, as in some containers
        return _in_memory(make, f"none: {error.message}")
    try:
        place, why_below = cache_folder.own(place)
        path = place / f"{family}-{_digest(f'{FORMAT} {source}')}"
        found = _open(path, declared, why_below)
        if found is None:
            part = place / f".{family}.part"
            with _held(FileLock(place / f".{family}.lock"), part, path):
                found = _open(path, declared, why_below)
                if found is None:
                    cache_entry.make_files(path, part, make)
                    found = _open(path, declared, why_below)
                    if found is None:
                        assert not path.exists()
                        raise FileNotFoundError(errno.ENOENT, "another process removed the entry at once")
                    _make_room(path, family, limit)
    except OSError as error:
        return _in_memory(make, f"none: {error.strerror or error} ({place})")
    return found


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def source_of(files: Iterable[os.DirEntry[str] | Path], root: Path) -> str:
    """A digest of the sizes and times of `files`, and of their paths relative to `root`.

    A file that is not there, or a link to nothing, counts as such: whoever reads it says what is wrong.
    """
    digest = hashlib.blake2b(digest_size=16)
    start = len(os.fspath(root / "_")) - 1
    for file in files:
        name = os.fspath(file)
        try:
            facts = file.stat()
            state = f"{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}"  # nobody can set the latter back
        except OSError as error:
            state = f"-{error.errno}"
        digest.update(f"{name[start:]}\0{state}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _open(path: Path, declared: Declared, why_below: str) -> Stored | None:
    found = cache_entry.opened(path, declared)
    if found is None:
        return None
    arrays, facts = found
    size = readable(sum(array.nbytes for array in arrays.values()))
    note = f"{size} in {path} (data.cache=null: none)"
    return Stored(arrays, facts, path, f"{note}, a folder of your own: {why_below}" if why_below else note)


@contextlib.contextmanager
def _held(lock: FileLock, part: Path, path: Path) -> Iterator[None]:
    """Hold the lock of an entry. Another process that holds it is waited for as long as it works on `part`.

    Raises:
        OSError: There can be no such lock, or the other process gives no sign of life.
    """
    begun = sign_seen = time.monotonic()
    sign, told = _time_of(part), False
    while True:
        try:
            lock.acquire(timeout=0.5, poll_interval=0.05)
            break
        except Timeout as error:
            now, latest = time.monotonic(), _time_of(part)
            if latest != sign:
                sign, sign_seen = latest, now
            if now - sign_seen > PATIENT_SECONDS:
                held = f"another process holds {lock.lock_file}, and does nothing"
                raise TimeoutError(errno.ETIMEDOUT, held) from error
            if not told and now - begun > SILENT_SECONDS:
                told = True
                warn(f"waiting for another process, which makes {path} (data.cache=null does not wait)")
    try:
        yield
    finally:
        lock.release()


def _time_of(path: Path) -> int | None:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return None


def _make_room(path: Path, family: str, limit: float | None) -> None:
    """Remove the entries of the same settings whose source has changed, and those that are too much."""
    with contextlib.suppress(OSError):
        for other in path.parent.iterdir():
            same = other.name.startswith(f"{family}-") and len(other.name) == len(path.name)
            if same and other.name != path.name:
                cache_entry.remove(other)
        cache_folder.shrink(path.parent, limit, keep=path)


class _Memory:
    """Allocates arrays in memory."""

    folder: Path | None = None

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: str) -> Array:
        check_room(math.prod(shape) * np.dtype(dtype).itemsize)
        self.arrays[name] = np.empty(shape, dtype)
        return self.arrays[name]

    def alive(self) -> None:
        """Nobody waits for it."""


def _in_memory(make: Make, note: str) -> Stored:
    memory = _Memory()
    facts = make(memory)
    return Stored(memory.arrays, facts, None, note)


ROOM_HINT = "use a smaller data.size, a data.limit, or data.placement=stream with data.cache=null"


def check_room(needed: int, what: str = "the samples", hint: str = ROOM_HINT) -> None:
    """Check that so many bytes, which `what` takes, fit into memory.

    Raises:
        DataError: They do not.
    """
    free = free_memory(torch.device("cpu"))
    if needed > free:
        raise DataError(f"{what} take {readable(needed)}, and {readable(free)} of memory are free", hint)
