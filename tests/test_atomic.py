"""Files that are written whole or not at all: whatever fails, and whenever, what was there before is there."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.system import atomic
from trainer.system.atomic import PART, replacing, storing, sweep, write_text
from trainer.system.errors import StorageError


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def write(directory: Path, text: str) -> None:
    """As checkpoints are written: last.pt, and the one before as previous.pt."""
    with replacing(directory / "last.pt", directory / "previous.pt") as file:
        file.write(text.encode())


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A directory with `second` in last.pt and `first` in previous.pt."""
    write(tmp_path, "first")
    write(tmp_path, "second")
    return tmp_path


def read(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def failing(number: int) -> Callable[..., Any]:
    def fail(*args: Any, **keys: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def nth(call: int, function: Callable[..., Any], failure: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which fails when it is called for the `call`-th time."""
    calls = 0

    def counting(*args: Any, **keys: Any) -> Any:
        nonlocal calls
        calls += 1
        return (failure if calls == call else function)(*args, **keys)

    return counting


def interrupted(*args: Any, **keys: Any) -> Any:
    raise KeyboardInterrupt


# --- what is written ----------------------------------------------------------------------------------


def test_the_file_and_the_two_before_it(tmp_path: Path) -> None:
    found = []
    for text in ("a", "b", "c"):
        write(tmp_path, text)
        found.append(read(tmp_path))
    assert found == [
        {"last.pt": "a"},
        {"last.pt": "b", "previous.pt": "a"},
        {"last.pt": "c", "previous.pt": "b"},
    ]


def test_without_a_name_for_it_the_file_before_is_gone(tmp_path: Path) -> None:
    write_text(tmp_path / "x.txt", "old")
    write_text(tmp_path / "x.txt", "new ü")
    assert (tmp_path / "x.txt").read_bytes() == "new ü".encode()
    assert names(tmp_path) == {"x.txt"}


def test_a_reader_of_the_file_before_reads_it_to_its_end(two: Path) -> None:
    with (two / "last.pt").open() as file:
        write(two, "third")
        assert file.read() == "second"


def test_a_file_that_is_being_written_has_another_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "last.pt"):
        assert names(tmp_path) == {f".last.pt{PART}"}
    assert names(tmp_path) == {"last.pt"}


def test_what_a_killed_process_left_is_written_over(two: Path) -> None:
    (two / f".last.pt{PART}").write_text("half" * 1000)
    (two / f".previous.pt{PART}").write_text("older")
    write(two, "third")
    assert read(two) == {"last.pt": "third", "previous.pt": "second"}


def test_sweeping_removes_half_written_files_and_no_others(two: Path) -> None:
    for name in (f".best.pt{PART}", f".last.pt{PART}"):
        (two / name).touch()
    kept = {".hidden", f"mine{PART}", "last.pt.tmp"}
    for name in kept:
        (two / name).touch()
    sweep(two)
    assert names(two) == {"last.pt", "previous.pt", *kept}


# --- what fails ---------------------------------------------------------------------------------------


def half(file: Any, failure: Callable[..., Any]) -> None:
    file.write(b"ha")
    failure()


@pytest.mark.parametrize("failure", [failing(errno.ENOSPC), failing(errno.EIO), interrupted])
@pytest.mark.parametrize("keep", [True, False])
def test_a_block_that_fails_changes_nothing(two: Path, failure: Callable[..., Any], keep: bool) -> None:
    with (
        pytest.raises((StorageError, KeyboardInterrupt)),
        replacing(two / "last.pt", two / "previous.pt" if keep else None) as file,
    ):
        half(file, failure)
    assert read(two) == {"last.pt": "second", "previous.pt": "first"}


def test_an_error_of_the_block_that_is_not_the_file_systems_stays_what_it_is(two: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(two / "last.pt"):
        raise ZeroDivisionError
    assert read(two) == {"last.pt": "second", "previous.pt": "first"}


@pytest.mark.parametrize("failure", [failing(errno.ENOSPC), failing(errno.EIO), interrupted])
@pytest.mark.parametrize(
    ("name", "call", "left"),
    [
        ("fsync", 1, {"last.pt": "second", "previous.pt": "first"}),
        ("replace", 1, {"last.pt": "second", "previous.pt": "first"}),  # link -> previous.pt
        ("replace", 2, {"last.pt": "second", "previous.pt": "second"}),  # new file -> last.pt
        ("fsync", 2, {"last.pt": "third", "previous.pt": "second"}),  # of the directory
    ],
    ids=["fsync", "rename of the kept", "rename", "fsync of the directory"],
)
def test_whatever_fails_last_is_whole_and_nothing_half_written_stays(
    two: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int, left: dict[str, str], failure: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, name, nth(call, getattr(os, name), failure))
        with pytest.raises((StorageError, KeyboardInterrupt)):
            write(two, "third")
    assert read(two) == left
    write(two, "fourth")
    assert read(two) == {"last.pt": "fourth", "previous.pt": left["last.pt"]}


def test_a_second_failure_at_the_same_place_leaves_nothing_behind(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """last.pt and previous.pt are then two names of one file, and renaming one onto the other does nothing."""
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", nth(2, os.replace, failing(errno.EIO)))
            with pytest.raises(StorageError):
                write(two, "third")
        assert read(two) == {"last.pt": "second", "previous.pt": "second"}
    write(two, "third")
    assert read(two) == {"last.pt": "third", "previous.pt": "second"}


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS])
def test_a_file_system_without_links_keeps_the_file_before_too(
    two: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    write(two, "third")
    assert read(two) == {"last.pt": "third", "previous.pt": "second"}
    write(two, "fourth")
    assert read(two) == {"last.pt": "fourth", "previous.pt": "third"}


def test_without_links_a_failing_rename_leaves_the_file_under_its_second_name(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing(errno.EPERM))
        patch.setattr(os, "replace", nth(2, os.replace, failing(errno.EIO)))
        with pytest.raises(StorageError):
            write(two, "third")
    assert read(two) == {"previous.pt": "second"}
    write(two, "third")
    assert read(two) == {"last.pt": "third", "previous.pt": "second"}


KILLED = """
import os, signal, sys
from pathlib import Path
from trainer.system.atomic import replacing
name, call = sys.argv[1], int(sys.argv[2])
function, calls = getattr(os, name), 0
def kill(*args, **keys):
    global calls
    calls += 1
    if calls == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args, **keys)
setattr(os, name, kill)
with replacing(Path("last.pt"), Path("previous.pt")) as file:
    file.write(b"third")
"""


@pytest.mark.parametrize(
    ("name", "call", "last", "previous"),
    [
        ("fsync", 1, "second", "first"),
        ("link", 1, "second", "first"),
        ("replace", 1, "second", "first"),
        ("replace", 2, "second", "second"),
        ("fsync", 2, "third", "second"),
    ],
)
def test_a_process_that_is_killed_leaves_a_whole_file_under_each_name(
    two: Path, name: str, call: int, last: str, previous: str
) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, name, str(call)], cwd=two, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    sweep(two)
    assert read(two) == {"last.pt": last, "previous.pt": previous}


# --- what it is called --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_so(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageError) as caught, storing(tmp_path / "last.pt"):
        failing(number)()
    reason = os.strerror(number).lower()
    assert caught.value.message == f"cannot write {tmp_path / 'last.pt'}: disk full ({reason})"
    assert caught.value.hint == "free some space"
    assert caught.value.exit_code == 1


def test_a_directory_that_went_away_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    with pytest.raises(StorageError, match=r"last\.pt: its directory is gone$") as caught:
        write_text(path, "x")
    assert "leave run directories where they are" in caught.value.hint


def test_any_other_failure_has_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"x: read-only file system$") as caught, storing(tmp_path / "x"):
        failing(errno.EROFS)()
    assert "can be written to" in caught.value.hint


def test_an_error_without_a_number_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"x: not today$"), storing(tmp_path / "x"):
        raise OSError("not today")


def test_a_directory_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(StorageError, match=r"x\.txt: is a directory"):
        write_text(tmp_path / "x.txt", "new")
    assert names(tmp_path) == {"x.txt"}


def test_the_part_lies_beside_the_file_so_that_renaming_is_atomic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Path, Path]] = []
    monkeypatch.setattr(os, "replace", lambda source, target: seen.append((Path(source), Path(target))))
    write_text(tmp_path / "x.txt", "new")
    assert seen == [(tmp_path / f".x.txt{PART}", tmp_path / "x.txt")]


@pytest.mark.parametrize("block", [1, 4, 2**16])
@pytest.mark.parametrize(
    "content", ["", "a", "a\n", "a\nb", "a\n\n", "\n", "abcdefgh\nijklmnop", "abcdefgh\nijklmnop\n"]
)
def test_a_line_that_was_cut_off_is_taken_away_however_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, content: str
) -> None:
    monkeypatch.setattr(atomic, "_BLOCK", block)
    path = tmp_path / "log"
    path.write_text(content)
    with path.open("ab+") as file:
        atomic.cut_to_lines(file)
        file.write(b"next\n")
    assert path.read_text() == content[: content.rfind("\n") + 1] + "next\n"
