"""Files that are written whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from trainer.system.errors import StorageError

PART = ".part"  # ends the names of files that are not whole


@contextlib.contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `path` when the block ends; `keep` names what was there before.

    A reader sees the previous file or the new one, never a part, and after a crash or a failed write at any point
    the previous one is there: temporary file in the same directory, fsync, rename, fsync of the directory.

    Raises:
        StorageError: a full disk, a directory that went away, and the like.
    """
    part = path.with_name(f".{path.name}{PART}")
    with storing(path):
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if keep is not None:
                _keep(path, keep)
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has no such thing
                raise
        finally:
            os.close(directory)


def _keep(path: Path, kept: Path) -> None:
    """Give the file a second name first, so that at no moment it has none."""
    part = kept.with_name(f".{kept.name}{PART}")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)
    except FileNotFoundError:
        return  # the first of its name
    except OSError:  # a file system without links: for a moment the file has the second name only
        os.replace(path, kept)
    else:
        try:
            os.replace(part, kept)
        finally:  # still there where that failed, and where both were names of one file already
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(text.encode())


def cut_to_lines(file: IO[bytes]) -> None:
    """Take away a last line that was cut off when the power failed; what is appended to it could not be read."""
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def sweep(directory: Path) -> None:
    """Remove what a killed process left half written."""
    for part in directory.glob(f".*{PART}"):
        with contextlib.suppress(OSError):
            part.unlink()


class storing:  # noqa: N801  # a block, which trainings of tiny epochs enter a million times
    """Within the block, a failure of the file system is one to write `path`.

    Raises:
        StorageError: says so, and what to do.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        reason = (error.strerror or str(error)).lower()
        hint = "it is a matter of the file system; see that the directory is there and can be written to"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason, hint = f"disk full ({reason})", "free some space"
        elif not self.path.parent.is_dir():
            reason, hint = "its directory is gone", "leave run directories where they are until the run has ended"
        raise StorageError(f"cannot write {self.path}: {reason}", hint) from error
