"""Run directories: claiming one atomically, having it alone, and that nothing in it leads elsewhere."""

import datetime
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from trainer.system.atomic import PART, storing
from trainer.system.errors import RunError
from trainer.system.inside import unlinked
from trainer.system.paths import quoted
from trainer.system.shown import shortened

EVENTS = "events.out.tfevents.*"
PLOTS = "plots"  # the folder of the pictures of a training
SUBDIRECTORIES = ("checkpoints", PLOTS)
CARD = "README.md"  # what is said of the model
PAGE = "report.html"  # the same and more, for a browser; of a sweep, too
TEST = "test"  # the folder of what is left of the test
_FOLDERS = (*SUBDIRECTORIES, TEST, "slurm", "ray")
_CHANGED = ("metrics.jsonl", "train.log", EVENTS, "sweep.jsonl", "study.journal", "*.png")  # others are replaced whole
_FILES = (
    *_CHANGED,
    *("config.yaml", "overrides.yaml", "origin.json", "result.json", "skipped.txt", "results.csv", "plan.json"),
    *(CARD, PAGE, "study.journal.lock", "mlflow.json", "predictions.csv", "per_class.csv", "suspects.csv"),
    *("*.pt", f".*{PART}"),
)
LABEL = 60  # letters of a folder that is called by what differs: a file system takes 255 bytes
LOCK_SECONDS = 3.0  # workers of a run that was killed may hold its lock so long


def of_tensorboard(directory: Path) -> Path:
    """The folder of TensorBoard's files, which calls a run by the path of its folder: that which `call` has made."""
    return next((Path(folder.path) for folder in _others(directory) if "=" in folder.name), directory)


def call(directory: Path, label: str) -> None:
    """Have TensorBoard call a job by what differs in it, unless it has called it something else already.

    Raises:
        StorageError: The folder for its files cannot be made.
    """
    name = re.sub(r"[/\\\0]", "_", shortened(label, LABEL, "..."))
    if "=" in name and not name.startswith(".") and not any(event_files(directory)):
        with storing(directory / name):
            (directory / name).mkdir(exist_ok=True)


def event_files(directory: Path) -> Iterator[Path]:
    """TensorBoard's files in a directory, and in a folder of it that is no link."""
    yield from directory.glob(EVENTS)
    for folder in _others(directory):
        yield from Path(folder.path).glob(EVENTS)


def _others(directory: Path) -> list[os.DirEntry[str]]:
    """The folders in a directory that are none with a purpose of their own, nor jobs; through no link."""
    with suppress(OSError):
        found = [entry for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
        return [entry for entry in found if entry.name not in _FOLDERS and not entry.name.isdecimal()]
    return []


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
        RunError: another one does, or something in the directory is a link.
    """
    check_links(directory)
    handle = os.open(directory, os.O_RDONLY)
    _held.add(handle)
    try:
        _lock(handle, directory)
        yield
    finally:
        _held.remove(handle)
        os.close(handle)


def check_links(directory: Path) -> None:
    """Refuse a directory, perhaps a stranger's, in which something that is written to is no plain file or folder.

    Raises:
        RunError: it is a link, which may lead anywhere, or a pipe, say.
    """
    try:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise RunError(f"{directory} is a link, or no folder", "give the directory itself")
        entries = list(os.scandir(directory))
        for name in _FOLDERS:
            if (directory / name).is_dir() and not (directory / name).is_symlink():
                entries += os.scandir(directory / name)
        for folder in _others(directory):
            entries += [entry for entry in os.scandir(folder) if fnmatch(entry.name, EVENTS)]
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            mode = found.st_mode
            is_plain = stat.S_ISDIR if entry.name in _FOLDERS or entry.name.isdecimal() else stat.S_ISREG
            if not is_plain(mode) and (is_plain is stat.S_ISDIR or any(fnmatch(entry.name, name) for name in _FILES)):
                what = "a link, which may lead anywhere" if stat.S_ISLNK(mode) else "not what it should be"
                raise RunError(f"{entry.path} is {what}", f"remove it: rm -r {quoted(entry.path)}")
            if stat.S_ISREG(mode) and found.st_nlink > 1 and any(fnmatch(entry.name, name) for name in _CHANGED):
                raise RunError(
                    f"{entry.path} is a file that has another name, too, under which it would change",
                    f"copy the run: cp -r {quoted(directory)} ELSEWHERE, and resume that",
                )
    except OSError as error:
        raise RunError(f"{directory} cannot be read: {error.strerror}", "give a directory of your own") from error


def is_locked(directory: Path) -> bool:
    """Whether a process trains in `directory`: asked without waiting, and without keeping anybody out."""
    try:
        import fcntl

        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False


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

    So are the model card, the report and calibrated.pt: the weights that they are of will not be the best any more.

    Raises:
        StorageError: the directory cannot be written to.
    """
    from trainer.checkpoint.location import (  # late: torch comes with it, and runs are listed without
        CALIBRATED,
        CHECKPOINTS,
    )

    for path in (directory / CARD, directory / PAGE, directory / CHECKPOINTS / CALIBRATED):
        with storing(path):
            path.unlink(missing_ok=True)
    for path in [directory / "metrics.jsonl", *event_files(directory)]:
        with storing(path):
            if path.name in lengths and path.exists():
                with open(path, "r+b", opener=unlinked) as file:
                    if file.seek(0, os.SEEK_END) > lengths[path.name]:
                        file.truncate(lengths[path.name])
            else:
                path.unlink(missing_ok=True)
