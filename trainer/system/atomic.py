"""Files that are written whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from trainer.system.errors import StorageError
from trainer.system.inside import unlinked

PART = ".part"  # the names of unfinished files end with it

_BLOCK = 2**16  # bytes that are read at once


@contextlib.contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """Gives a file to write to, which replaces `path` when the block ends; the file before it is kept as `keep`.

    A reader sees the previous file or the new one, never a part of it. After a crash or a failed write at any point
    the previous file is still there: temporary file in the same directory, fsync, rename, fsync of the directory.

    Raises:
        StorageError: the disk is full, the directory is gone, and so on.
    """
    part = path.with_name(f".{path.name}{PART}")
    with storing(path):
        try:
            part.unlink(missing_ok=True)  # it may be another name of a file elsewhere
            with open(part, "xb", opener=unlinked) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if keep is not None:
                _keep(path, keep)
            os.replace(part, path)  # which takes the place of a link, and does not follow it
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fsync(directory)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the file system cannot do it for directories
                raise
        finally:
            os.close(directory)


def _keep(path: Path, kept: Path) -> None:
    """Give the file at `path` the name `kept`, too: at no moment does it have no name."""
    part = kept.with_name(f".{kept.name}{PART}")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part, follow_symlinks=False)
    except FileNotFoundError:
        return  # there is no file yet
    except OSError:  # the file system has no links: for a moment, no file is at `path`
        os.replace(path, kept)
    else:
        try:
            os.replace(part, kept)
        finally:  # it is still there if that failed, or if both names were those of one file already
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
    end = file.seek(0, os.SEEK_END)
    while end:  # block by block from the end: a long file is cut as fast as a short one
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        whole = file.read(end - begin).rfind(b"\n") + 1
        if whole:
            end = begin + whole
            break
        end = begin
    file.truncate(end)
    file.seek(end)


def sweep(directory: Path) -> None:
    """Remove the unfinished files that a killed process left in `directory`."""
    for part in directory.glob(f".*{PART}"):
        with contextlib.suppress(OSError):
            part.unlink()


class storing:  # noqa: N801  # a class, for speed: trainings of tiny epochs enter such a block a million times
    """Within the block, an error of the file system means that `path` cannot be written.

    Raises:
        StorageError: says why, and what to do.
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
        hint = "make sure that its directory can be written to"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason, hint = f"disk full ({reason})", "free some space"
        elif not self.path.parent.is_dir():
            reason, hint = "its directory is gone", "leave run directories where they are until the run has ended"
        raise StorageError(f"cannot write {self.path}: {reason}", hint) from error
