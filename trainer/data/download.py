"""Data sets that torchvision downloads: one process at a time, and completely or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.config.data import Downloaded
from trainer.data.cache import Stored, source_of, stored
from trainer.data.cache_entry import Declared, Make
from trainer.system.errors import DataError
from trainer.system.paths import expanded
from trainer.system.streams import warn

SILENT_SECONDS = 4.0  # so long another process may download without a word of it


@dataclass(frozen=True)
class Source:
    """Where the files of a data set lie, and how they are downloaded."""

    config: Downloaded
    name: str  # of the folder below the data root
    download: Callable[[str], object]  # torchvision's, into the folder that it is given
    packed: str = ""  # the archive that is read if there is no folder

    @property
    def root(self) -> Path:
        return expanded(self.config.root)

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def archive(self) -> Path:
        return self.root / self.packed

    @property
    def is_there(self) -> bool:
        return self.folder.is_dir() or (self.packed != "" and self.archive.is_file())

    @property
    def files(self) -> list[Path]:
        """All files that are there."""
        if not self.folder.is_dir():
            return [self.archive]
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    @property
    def hint(self) -> str:
        """What the user can do about a file that is wrong."""
        return (
            f"remove {self.archive if self.packed and not self.folder.is_dir() else self.folder} to download it again"
        )


def fetch(source: Source) -> None:
    """Download the data set if it is not there.

    It is downloaded into a temporary directory beside its place and then renamed, under a lock: processes that
    start together download it once, and one that is killed leaves nothing that could be taken for a whole data set.

    Raises:
        DataError: It is not there and cannot be downloaded.
    """
    if source.is_there:
        return
    missing = f"{source.config.name} is not in {source.folder}"
    hint = "give the folder that has it: data.root=DIR, or try data=digits, which needs no download"
    if not source.config.download:
        raise DataError(f"{missing}, and data.download=false", hint)
    existed = source.root.exists()
    lock = FileLock(source.root / f".{source.config.name}.lock")
    try:
        _acquire(lock, source)
        try:
            if not source.is_there:
                _download(source)
        except BaseException:
            # Under the lock: a process that waits for it sees that the file is gone, and makes another.
            with contextlib.suppress(OSError):  # the root may hold other data sets, or their locks
                Path(lock.lock_file).unlink(missing_ok=True)
                if not existed:
                    source.root.rmdir()
            raise
        finally:
            lock.release()
    except (OSError, RuntimeError) as error:  # URLError is an OSError; torchvision raises RuntimeError
        raise DataError(f"{missing} and cannot be downloaded: {_reason(error)}", hint) from error


def _acquire(lock: FileLock, source: Source) -> None:
    """Wait for the lock, however long a download takes; a word says that it is waited for."""
    told = False
    while True:
        source.root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=-1 if told else SILENT_SECONDS)
        except FileNotFoundError:  # a process whose download failed has removed the root that it had made
            continue
        except Timeout:
            told = True
            warn(f"waiting for another process, which downloads {source.config.name} (it holds {lock.lock_file})")
            continue
        return


def _download(source: Source) -> None:
    """Download under the lock; unfinished downloads that lie there are of processes that were killed."""
    prefix, suffix = f".{source.config.name}.", ".part"
    for left in source.root.glob(f"{prefix}*{suffix}"):
        shutil.rmtree(left, ignore_errors=True)
    part = Path(tempfile.mkdtemp(dir=source.root, prefix=prefix, suffix=suffix))
    try:
        source.download(str(part))
        os.replace(part / source.name, source.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _reason(error: Exception) -> str:
    """One line of a message of torchvision's, whose first line names the file and whose last one says what is wrong."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def kept(source: Source, make: Make, declared: Declared) -> Stored:
    """Fetch the data set and open its cached arrays; `make` makes them from its files."""
    fetch(source)
    settings = {"name": source.config.name, "files": str(source.folder.resolve())}
    entry = source_of(source.files, source.root)
    config = source.config
    return stored(config.cache, config.name, settings, entry, make, declared, config.cache_limit)
