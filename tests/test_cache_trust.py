"""A cache that others can write to, entries of others, entries that hang or crash, locks that are never released."""

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from conftest import Trainer
from folders import tree
from running import QUICK
from test_cache import DECLARED, PIXELS, Maker, entries, entry, whole

from trainer import data
from trainer.data import cache
from trainer.data.cache import stored
from trainer.data.cache_entry import Declared
from trainer.data.sets.folder import Folder

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
NOBODY = 65534


def below(folder: Path) -> Path:
    return folder / f"uid-{os.geteuid()}"


# --- whose folder it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_entries_lie_in_an_own_folder_where_others_can_write(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    make = Maker()
    for _ in range(2):
        found = entry(tmp_path, make)
        assert whole(found)
        assert found.path is not None
        assert found.path.parent == below(tmp_path)
        assert found.note.endswith(f", a folder of your own: {tmp_path} can be written by others")
        assert len(found.note.splitlines()) == 1
    assert make.made == 1
    assert stat.S_IMODE(below(tmp_path).stat().st_mode) == 0o700
    assert entries(tmp_path) == [below(tmp_path).name]


@root_only
def test_entries_lie_in_an_own_folder_where_the_folder_is_anothers(tmp_path: Path) -> None:
    theirs = entry(tmp_path, Maker()).path
    assert theirs is not None
    os.chown(tmp_path, NOBODY, NOBODY)
    make = Maker()
    found = entry(tmp_path, make)
    assert whole(found)
    assert (make.made, found.path) == (1, below(tmp_path) / theirs.name)
    assert found.note.endswith(f"{tmp_path} belongs to another user")


def test_a_folder_that_is_made_is_one_that_only_its_owner_can_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        found = entry(tmp_path / "cache", Maker())
    finally:
        os.umask(before)
    assert found.path is not None
    for path in (found.path.parent, found.path, *found.path.iterdir()):
        assert not path.stat().st_mode & 0o022, path


def _a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    below(tmp_path / "cache").symlink_to(tmp_path / "elsewhere")


def _a_file(tmp_path: Path) -> None:
    below(tmp_path / "cache").touch()


def _open_to_all(tmp_path: Path) -> None:
    below(tmp_path / "cache").mkdir()
    below(tmp_path / "cache").chmod(0o777)


def _anothers(tmp_path: Path) -> None:
    below(tmp_path / "cache").mkdir(0o700)
    os.chown(below(tmp_path / "cache"), NOBODY, NOBODY)


@pytest.mark.parametrize("plant", [_a_link, _a_file, _open_to_all, pytest.param(_anothers, marks=root_only)])
def test_what_others_put_in_the_place_of_the_own_folder_is_not_used(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    plant(tmp_path)
    found = entry(tmp_path / "cache", Maker())
    assert whole(found)
    assert found.path is None
    assert found.note.startswith("none: ")
    assert all(not any(path.iterdir()) for path in tmp_path.glob("elsewhere"))


# --- what lies in an entry's place --------------------------------------------------------------------


def _to_nobody(name: str) -> Callable[[Path], None]:
    return lambda path: os.chown(path / name, NOBODY, NOBODY)


def _writable(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).chmod(0o777)


def _linked(name: str) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        moved = path.parent / "kept"
        os.rename(path / name, moved)
        (path / name).symlink_to(moved)

    return link


def _instead(name: str, put: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        (path / name).unlink()
        put(path / name)

    return replace


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def _array(array: Any, name: str = "train", **keys: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path / f"{name}.npy", array, **keys)


def _entry_is_a_link(path: Path) -> None:
    os.rename(path, path.parent / "kept")
    path.symlink_to(path.parent / "kept")


def _entry_is_a_loop(path: Path) -> None:
    _entry_is_a_link(path)
    path.unlink()
    path.symlink_to(path)


TARGETS = np.arange(6)
STRANGE: dict[str, Callable[[Path], None]] = {
    "writable by others": _writable("."),
    "an array writable by others": _writable("train.npy"),
    "a list writable by others": _writable("entry.json"),
    "a pipe for an array": _instead("train.npy", os.mkfifo),
    "a pipe for targets": _instead("train-targets.npy", os.mkfifo),
    "a pipe for the list": _instead("entry.json", os.mkfifo),
    "a socket for an array": _instead("train.npy", _socket),
    "a folder for an array": _instead("train.npy", os.mkdir),
    "a link for an array": _linked("train.npy"),
    "a link for targets": _linked("train-targets.npy"),
    "a link for the list": _linked("entry.json"),
    "/dev/zero for an array": _instead("train.npy", lambda path: path.symlink_to("/dev/zero")),
    "/dev/zero for the list": _instead("entry.json", lambda path: path.symlink_to("/dev/zero")),
    "signed images": _array(PIXELS.astype("int8")),
    "wide images": _array(PIXELS.astype("int64")),
    "floats": _array(PIXELS.astype("float64")),
    "Fortran's order": _array(np.asfortranarray(PIXELS)),
    "another order of axes": _array(PIXELS.transpose(0, 2, 1, 3)),
    "big-endian targets": _array(TARGETS.astype(">i8"), "train-targets"),
    "narrow targets": _array(TARGETS.astype("int32"), "train-targets"),
    "targets of two axes": _array(TARGETS[:, None], "train-targets"),
    "too few targets": _array(TARGETS[:4], "train-targets"),
    "a target beyond the classes": _array(np.where(TARGETS == 3, 10**6, TARGETS), "train-targets"),
    "a target below 0": _array(TARGETS - 1, "train-targets"),
    "an endless list": lambda path: (path / "entry.json").write_bytes(b" " * 2**21),
    "an entry that is a link": _entry_is_a_link,
    "an entry that is a loop": _entry_is_a_loop,
    "one byte too many": lambda path: os.truncate(path / "train.npy", (path / "train.npy").stat().st_size + 1),
}
OF_OTHERS = {f"{name} of another user": _to_nobody(name) for name in (".", "train.npy", "entry.json")}


@pytest.mark.parametrize(
    "change",
    [*STRANGE.values(), *(pytest.param(change, marks=root_only) for change in OF_OTHERS.values())],
    ids=[*STRANGE, *OF_OTHERS],
)
def test_an_entry_that_is_not_as_it_was_written_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    make = Maker()
    path = entry(tmp_path, make).path
    assert path is not None
    change(path)
    for _ in range(2):
        found = entry(tmp_path, make)
        assert whole(found)
        assert found.path == path
    assert make.made == 2
    assert set(entries(tmp_path)) - {"kept"} == {path.name}


@pytest.mark.parametrize("array", ["train", "train-targets"])
def test_an_array_that_the_reader_does_not_want_is_not_in_an_entry(tmp_path: Path, array: str) -> None:
    """As if readers of another release had made it."""
    make = Maker()
    entry(tmp_path, make)
    shape = (*PIXELS.shape[1:2], 7, 3)
    declared = Declared({"train": (None, *shape)}, 6) if array == "train" else Declared({"train": (6, 4, 5, 3)}, 3)
    made: list[str] = []

    def fitting(allocate: Any) -> dict[str, Any]:
        made.append("anew")
        count, size = (4, shape) if array == "train" else (6, (4, 5, 3))
        allocate("train", (count, *size), "uint8")[:] = 1
        allocate("train-targets", (count,), "int64")[:] = 2
        return {}

    found = stored(str(tmp_path), "name", {"size": 4}, "source", fitting, declared)
    assert made == ["anew"]
    assert set(found.split("train").targets.tolist()) == {2}


STRANGE_PICTURES: dict[str, Callable[[Path], None]] = {
    "digests of another shape": _array(np.zeros((6, 2), "int64"), "train-digests"),
    "narrow digests": _array(np.zeros(6, "int32"), "train-digests"),
    "levels beyond 16 bits": _array(np.full((6, 2), 2**16), "train-levels"),
    "levels that mean nothing": _array(np.full((6, 2), -3), "train-levels"),
    "too few levels": _array(np.full((4, 2), -1), "train-levels"),
    "no levels": lambda path: (path / "train-levels.npy").unlink(),
    "reasons that are no list": lambda path: _reasons(path, {}),
    "a reason that is no text": lambda path: _reasons(path, [["train", 0, 5]]),
    "a reason with control characters": lambda path: _reasons(path, [["train", 0, "\x1b[2J"]]),
    "a reason for no image": lambda path: _reasons(path, [["train", 6, "broken"]]),
    "a reason for no listing": lambda path: _reasons(path, [["other", 0, "broken"]]),
    "no reasons": lambda path: _reasons(path, None),
}


def _reasons(path: Path, value: object) -> None:
    """Let the list of a folder's entry say this of images that cannot be read."""
    content = json.loads((path / "entry.json").read_text())
    content["facts"] = {"reasons": value} if value is not None else {}
    (path / "entry.json").write_text(json.dumps(content))


@pytest.mark.parametrize("change", STRANGE_PICTURES.values(), ids=STRANGE_PICTURES)
def test_what_an_entry_says_of_images_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    tree(tmp_path / "pets/train", {"a": 3, "b": 3})
    tree(tmp_path / "pets/test", {"a": 1, "b": 1}, first=50)
    config = Folder(path=str(tmp_path / "pets"), size=10, val_fraction=0, cache=str(tmp_path / "kept"))
    first = data.load(config)
    read: list[Path] = []
    pretending.decoding(monkeypatch, read.append)
    (path,) = (path for path in (tmp_path / "kept").iterdir() if not path.name.startswith("."))
    change(path)
    for _ in range(2):
        found = data.load(config)
        assert torch.equal(found.train.inputs, first.train.inputs)
        assert found.train.digests is not None
        assert found.train.digests.tolist() == first.train.digests.tolist()  # type: ignore[union-attr]
        assert len(read) == 8


@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: path.symlink_to("/etc"), os.mkdir], ids=["pipe", "link", "dir"]
)
def test_what_lies_in_the_place_of_an_unfinished_entry_is_removed(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    path = entry(tmp_path, Maker()).path
    assert path is not None
    part = tmp_path / f".{path.name.rpartition('-')[0]}.part"
    (path / "entry.json").unlink()
    put(part)
    assert entry(tmp_path, Maker()).path == path
    assert not os.path.lexists(part)
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("put", [os.mkdir, lambda path: path.symlink_to("precious")], ids=["dir", "link"])
def test_a_lock_that_is_none_means_memory(tmp_path: Path, put: Callable[[Path], object]) -> None:
    (tmp_path / "precious").write_text("kept")
    path = entry(tmp_path, Maker()).path
    assert path is not None
    lock = tmp_path / f".{path.name.rpartition('-')[0]}.lock"
    lock.unlink()
    (path / "entry.json").unlink()
    put(lock)
    found = entry(tmp_path, Maker())
    assert whole(found)
    assert found.note.startswith("none: ")
    assert (tmp_path / "precious").read_text() == "kept"


# --- locks --------------------------------------------------------------------------------------------


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A lock that another holds, as far as the system knows; the entry that it is for."""
    path = entry(tmp_path, Maker()).path
    assert path is not None
    (path / "entry.json").unlink()
    with (tmp_path / f".{path.name.rpartition('-')[0]}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def test_a_lock_that_is_held_for_ever_is_told_of_and_then_done_without(
    tmp_path: Path, held: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(cache, "PATIENT_SECONDS", 0.6)
    found = entry(tmp_path, Maker())
    assert whole(found)
    assert found.path is None
    assert found.note.startswith("none: another process holds ")
    said = capfd.readouterr().err
    assert said == f"warning: waiting for another process, which makes {held} (data.cache=null does not wait)\n"


def test_a_process_that_works_is_waited_for(tmp_path: Path, held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: each look finds that what it makes has changed, until it has the lock."""
    monkeypatch.setattr(cache, "PATIENT_SECONDS", 0.0)
    part, looks = tmp_path / f".{held.name.rpartition('-')[0]}.part", 0
    lock = part.with_suffix(".lock")
    plain = Path.lstat

    def lstat(path: Path) -> Any:
        nonlocal looks
        if path == part:
            looks += 1
            os.utime(part, (looks, looks))
            if looks == 3:  # it is done: another file is the lock now
                lock.unlink()
        return plain(path)

    part.mkdir()
    monkeypatch.setattr(Path, "lstat", lstat)
    found = entry(tmp_path, Maker())
    assert looks > 3
    assert found.path == held


# --- how large the cache becomes ----------------------------------------------------------------------


def _sized(tmp_path: Path, name: str, limit: float | None = None) -> Path:
    """An entry of a thousand images of a kilobyte each: a megabyte."""

    def make(allocate: Any) -> dict[str, Any]:
        allocate("train", (1000, 10, 10, 10), "uint8")[:] = 1
        return {}

    path = stored(str(tmp_path), name, {}, "", make, Declared({"train": (None, 10, 10, 10)}), limit).path
    assert path is not None
    return path


def _last_used(path: Path, ago: float) -> None:
    os.utime(path / "entry.json", (time.time() - ago,) * 2)


def test_the_entries_used_least_recently_go_first(tmp_path: Path) -> None:
    old, older, oldest = (_sized(tmp_path, name) for name in "abc")
    for path, ago in ((old, 10), (older, 20), (oldest, 30)):
        _last_used(path, ago)
    assert _sized(tmp_path, "c") == oldest  # and now it has been used
    new = _sized(tmp_path, "d", 0.0031)
    assert entries(tmp_path) == sorted(path.name for path in (oldest, old, new))


def test_an_entry_is_used_though_it_is_larger_than_the_limit(tmp_path: Path) -> None:
    _sized(tmp_path, "a")
    large = _sized(tmp_path, "b", 1e-6)
    assert entries(tmp_path) == [large.name]


def test_without_a_limit_all_stay_and_what_is_no_entry_always_does(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "link-0123456789ab-0123456789ab").symlink_to(tmp_path / "notes")
    made = {_sized(tmp_path, name).name for name in "abc"}
    assert set(entries(tmp_path)) == made | {"notes", "link-0123456789ab-0123456789ab"}
    _sized(tmp_path, "d", 1e-6)
    assert {"notes", "link-0123456789ab-0123456789ab"} < set(entries(tmp_path))


def test_a_training_keeps_to_the_limit(trainer: Trainer, empty: Path) -> None:
    for size in (28, 32):
        ran = trainer("train", *QUICK, "data.cache=kept", f"data.size={size}", "data.cache_limit=0.003")
        assert ran.code == 0, ran.err
    assert len(entries(empty / "kept")) == 1


# --- trainer cache ------------------------------------------------------------------------------------


@pytest.fixture
def kept(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two entries of `a` and one of `b`, and things that are none."""
    monkeypatch.setenv("TRAINER_CACHE", "kept")
    folder = empty / "kept"
    for name, settings in (("a", {"n": 1}), ("a", {"n": 2}), ("b", {})):
        stored(str(folder), name, settings, "", Maker(), DECLARED)
    (folder / "a-0123456789ab-0123456789ab").mkdir()  # without a list
    (folder / "notes.txt").write_text("kept")
    (empty / "outside").mkdir()
    (empty / "outside" / "entry.json").write_text("kept")
    (folder / "b-0123456789ab-0123456789ab").symlink_to(empty / "outside")
    return folder


def names(folder: Path) -> list[str]:
    """The entries that are whole."""
    return [name for name in entries(folder) if "0123456789ab" not in name and name != "notes.txt"]


def test_entries_are_listed_with_their_sizes(trainer: Trainer, kept: Path) -> None:
    ran = trainer("cache")
    assert ran.code == 0, ran.err
    first, header, *lines = ran.out.splitlines()
    assert first == "kept: 0.0 MiB in all"
    assert header.split() == ["entry", "size", "last", "used"]
    assert sorted(line.split()[0] for line in lines) == names(kept)
    assert len(names(kept)) == 3


@pytest.mark.parametrize("clear", ["all", "a", "one"])
def test_entries_are_removed_and_nothing_else(trainer: Trainer, kept: Path, clear: str) -> None:
    one = names(kept)[0]
    left = {"all": [], "a": names(kept)[2:], "one": names(kept)[1:]}[clear]
    ran = trainer("cache", f"clear={one if clear == 'one' else clear}")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"removed {3 - len(left)} entr")
    assert names(kept) == left
    assert (kept / "notes.txt").read_text() == "kept"
    assert (kept.parent / "outside" / "entry.json").read_text() == "kept"


def test_what_a_killed_process_left_goes_with_all_but_not_what_is_being_made(trainer: Trainer, kept: Path) -> None:
    for letter in "ab":
        (kept / f".{letter}-0123456789ab.part").mkdir()
    with (kept / ".b-0123456789ab.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert trainer("cache", "clear=all").code == 0
    assert [path.name for path in kept.glob(".*.part")] == [".b-0123456789ab.part"]


def test_an_entry_that_is_not_there_is_answered_with_what_is(trainer: Trainer, kept: Path) -> None:
    ran = trainer("cache", "clear=c")
    assert ran.code == 2
    assert ran.err.splitlines() == ["error: clear=c: kept has no such entry", "  choose from: a, all, b"]
    assert len(names(kept)) == 3


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "there is no cache: $TRAINER_CACHE is empty"),
        ("nowhere", "nowhere: nothing"),
        ("kept/notes.txt", "kept/notes.txt: nothing"),
    ],
)
def test_a_cache_may_be_empty_or_not_there(
    trainer: Trainer, kept: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("TRAINER_CACHE", value)
    ran = trainer("cache")
    assert (ran.code, ran.out) == (0, f"{said}\n")
    assert not (kept.parent / "nowhere").exists()
