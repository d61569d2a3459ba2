"""The cache of decoded samples: when it is used, when it is made anew, and that nothing half-made is ever taken."""

import errno
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from conftest import Trainer
from filelock import FileLock
from folders import picture, tree
from running import QUICK
from torch import Tensor

from trainer import data
from trainer.data.cache import Stored, source_of, stored
from trainer.data.cache_entry import Allocate, Declared
from trainer.data.sets.folder import Folder
from trainer.data.splits import Dataset, Split
from trainer.system.errors import DataError

PIXELS = np.random.default_rng(0).integers(256, size=(6, 4, 5, 3)).astype(np.uint8)
DECLARED = Declared({"train": (None, *PIXELS.shape[1:])}, 6, {"classes": 2})
forking = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class Maker:
    """Makes the arrays of an entry, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, allocate: Allocate) -> dict[str, Any]:
        self.made += 1
        allocate("train", PIXELS.shape, "uint8")[:] = PIXELS
        allocate("train-targets", (6,), "int64")[:] = range(6)
        return {"classes": ["a", "b"]}


def entry(cache: Path, make: Callable[[Allocate], dict[str, Any]], source: str = "source") -> Stored:
    return stored(str(cache), "name", {"size": 4}, source, make, DECLARED)


def whole(found: Stored) -> bool:
    split = found.split("train")
    images = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    return (
        torch.equal(split.inputs, images)
        and split.targets.tolist() == list(range(6))
        and found.facts == {"classes": ["a", "b"]}
    )


def entries(cache: Path) -> list[str]:
    """What lies in the cache, but for the locks."""
    return sorted(p.name for p in cache.iterdir() if p.suffix != ".lock") if cache.exists() else []


# --- an entry -----------------------------------------------------------------------------------------


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    make = Maker()
    first, second = entry(tmp_path, make), entry(tmp_path, make)
    assert make.made == 1
    assert whole(first)
    assert whole(second)


def test_an_entry_of_another_source_is_replaced(tmp_path: Path) -> None:
    make = Maker()
    before = entry(tmp_path, make, "before").split("train")
    assert whole(entry(tmp_path, make, "after"))
    assert make.made == 2
    assert len(entries(tmp_path)) == 1
    assert np.array_equal(before.inputs.permute(0, 2, 3, 1), PIXELS)  # whoever has the old one mapped keeps it


def test_an_entry_of_another_format_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    entry(tmp_path, make)
    monkeypatch.setattr("trainer.data.cache.FORMAT", -1)
    assert whole(entry(tmp_path, make))
    assert make.made == 2
    assert len(entries(tmp_path)) == 1


def reversed_samples(allocate: Allocate) -> dict[str, Any]:
    """As after a change of the source: the same samples in another order."""
    allocate("train", PIXELS.shape, "uint8")[:] = PIXELS[::-1]
    allocate("train-targets", (6,), "int64")[:] = range(5, -1, -1)
    return {"classes": ["a", "b"]}


def fits(split: Split) -> bool:
    """Whether each image has its own label, whatever their order."""
    images = split.inputs.permute(0, 2, 3, 1).numpy()
    return all(np.array_equal(image, PIXELS[label]) for image, label in zip(images, split.targets, strict=True))


def test_a_process_never_maps_other_images_than_its_labels(tmp_path: Path) -> None:
    """A worker that is spawned maps the file by its name, when another process may have made the entry anew."""
    split = entry(tmp_path, Maker(), "before").split("train")
    sent = pickle.dumps(split.samples)
    assert np.array_equal(pickle.loads(sent)[:].permute(0, 2, 3, 1), PIXELS)
    assert fits(entry(tmp_path, reversed_samples, "after").split("train"))
    with pytest.raises(DataError, match=r"train\.npy was removed or changed while it was in use"):
        pickle.loads(sent)
    assert fits(split)


@pytest.mark.parametrize("files", [1, 2])
def test_an_entry_that_is_replaced_while_it_is_opened_is_of_one_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """After so many of its files have been opened."""
    entry(tmp_path, Maker(), "before")
    opened = 0
    plain = os.open

    def replaced_meanwhile(path: Any, *args: Any, **keys: Any) -> int:
        nonlocal opened
        found = plain(path, *args, **keys)
        opened += str(path).endswith(".npy")
        if opened == files:
            opened = 9
            assert fits(entry(tmp_path, reversed_samples, "after").split("train"))
        return found

    monkeypatch.setattr(os, "open", replaced_meanwhile)
    assert fits(entry(tmp_path, Maker(), "before").split("train"))
    assert opened > files


def test_an_entry_that_is_replaced_between_opening_and_use_does_not_matter(tmp_path: Path) -> None:
    found = entry(tmp_path, Maker())
    assert found.path is not None
    shutil.rmtree(found.path)
    assert whole(found)


def _rewritten(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        content = json.loads((path / "entry.json").read_text())
        (path / "entry.json").write_text(json.dumps(change(content)))

    return rewrite


def _with_array(array: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path / "train.npy", array, allow_pickle=True)


def _with_bytes(name: str, content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        (path / name).write_bytes(content)

    return write


def _zipped(path: Path) -> None:
    np.savez(path / "train.npz", PIXELS)
    os.replace(path / "train.npz", path / "train.npy")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated array": lambda path: os.truncate(path / "train.npy", 200),
    "empty array": _with_bytes("train.npy", b""),
    "no array": lambda path: (path / "train.npy").unlink(),
    "text for an array": _with_bytes("train.npy", b"hello"),
    "a broken header": _with_bytes("train.npy", b"\x93NUMPY\x01\x00\x08\x00{'descr'" + b"x" * 500),
    "zip for an array": _zipped,
    "wrong shape": _with_array(PIXELS[:3]),
    "pickled objects": _with_array(np.array([{}, None], dtype=object)),
    "no entry.json": lambda path: (path / "entry.json").unlink(),
    "empty entry.json": _with_bytes("entry.json", b""),
    "half an entry.json": lambda path: os.truncate(path / "entry.json", 30),
    "binary entry.json": _with_bytes("entry.json", b"\xff\xfe\x00"),
    "a list for entry.json": _with_bytes("entry.json", b"[]"),
    "deep entry.json": _with_bytes("entry.json", b"[" * 100_000),
    "arrays of no shape": _rewritten(lambda content: content | {"arrays": ["train"]}),
    "facts that are none": _rewritten(lambda content: content | {"facts": 3}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    make = Maker()
    path = entry(tmp_path, make).path
    assert path is not None
    damage(path)
    assert whole(entry(tmp_path, make))
    assert whole(entry(tmp_path, make))
    assert make.made == 2
    assert entries(tmp_path) == [path.name]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    path = entry(tmp_path, Maker()).path
    assert path is not None
    left = tmp_path / f".{path.name.rpartition('-')[0]}.part"
    os.rename(path, left)
    assert whole(entry(tmp_path, Maker()))
    assert entries(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [DataError("broken"), KeyboardInterrupt(), RuntimeError("bug")], ids=repr)
def test_a_failure_leaves_no_entry(tmp_path: Path, error: BaseException) -> None:
    def make(allocate: Allocate) -> dict[str, Any]:
        allocate("train", (2, 2), "uint8")
        raise error

    with pytest.raises(type(error)):
        entry(tmp_path, make)
    assert entries(tmp_path) == []


def test_an_entry_may_be_read_by_whom_the_users_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = entry(tmp_path, Maker()).path
    finally:
        os.umask(before)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o755
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o644}


# --- where nothing can be written ---------------------------------------------------------------------


def test_a_whole_entry_is_used_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    entry(tmp_path, make)
    for module, name in ((FileLock, "acquire"), (os, "mkdir"), (os, "replace"), (shutil, "rmtree")):
        monkeypatch.setattr(module, name, refuse(OSError(errno.EROFS, "Read-only file system")))
    assert whole(entry(tmp_path, make))
    assert make.made == 1


def refuse(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **keys: Any) -> Any:
        raise error

    return fail


def test_a_full_disk_means_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(OSError(errno.ENOSPC, "No space left on device")), raising=False)
    found = entry(tmp_path / "cache", Maker())
    assert whole(found)
    assert found.path is None
    assert found.note == f"none: No space left on device ({tmp_path / 'cache'})"
    assert entries(tmp_path / "cache") == []


@pytest.mark.parametrize("free", [0, 2**40])
def test_room_is_looked_for_where_it_cannot_be_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    found = entry(tmp_path, Maker())
    assert whole(found)
    assert (found.path is None) == (free == 0)


def test_the_disk_has_the_room_that_an_entry_takes(tmp_path: Path) -> None:
    """A file with holes could kill the process that fills them."""

    def make(allocate: Allocate) -> dict[str, Any]:
        allocate("big", (2**20,), "uint8")
        (part,) = tmp_path.glob(".*.part/big.npy")
        allocated.append(part.stat().st_blocks * 512)
        raise DataError("that is all")

    allocated: list[int] = []
    with pytest.raises(DataError, match="that is all"):
        entry(tmp_path, make)
    if hasattr(os, "posix_fallocate"):
        assert allocated[0] >= 2**20


def test_a_cache_that_cannot_be_a_folder_means_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for cache in (tmp_path / "file", tmp_path / "file" / "below"):
        found = entry(cache, Maker())
        assert whole(found)
        assert found.note.startswith("none: ")
        assert str(cache) in found.note
    assert (tmp_path / "file").read_text() == "kept"


def test_a_file_in_an_entrys_place_is_left_alone(tmp_path: Path) -> None:
    path = entry(tmp_path, Maker()).path
    assert path is not None
    shutil.rmtree(path)
    path.write_text("kept")
    found = entry(tmp_path, Maker())
    assert whole(found)
    assert found.path is None
    assert path.read_text() == "kept"
    assert entries(tmp_path) == [path.name]


def test_nobodys_home_means_memory() -> None:
    found = stored("~nobody-of-that-name/cache", "name", {}, "source", Maker(), DECLARED)
    assert whole(found)
    assert found.note.startswith("none: ~nobody-of-that-name/cache: no home directory")


@pytest.mark.parametrize("off", [None, ""])
def test_without_a_cache_nothing_is_written(empty: Path, off: str | None) -> None:
    found = stored(off, "name", {}, "source", Maker(), DECLARED)
    assert whole(found)
    assert found.note == ""
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("name", ["with space", "ünï=cødé, [1]*?", "deep/er/still", "~"])
def test_the_cache_may_be_called_anything(empty: Path, name: str) -> None:
    make = Maker()
    for _ in range(2):
        assert whole(stored(f"./{name}", "name [*]", {}, "source", make, DECLARED))
    assert make.made == 1
    assert len(entries(Path(f"./{name}"))) == 1


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.free_memory(monkeypatch, 100)
    with pytest.raises(DataError, match=r"the samples take 0\.0 MiB, and 0\.0 MiB of memory are free"):
        stored(None, "name", {}, "source", Maker(), DECLARED)


# --- several processes --------------------------------------------------------------------------------

fork = multiprocessing.get_context("fork")


def _slow(cache: Path) -> Callable[[Allocate], dict[str, Any]]:
    def make(allocate: Allocate) -> dict[str, Any]:
        with (cache.parent / "log").open("a") as log:
            log.write("made\n")
        time.sleep(0.1)
        return Maker()(allocate)

    return make


def _load_together(starting: Any, cache: Path) -> None:
    starting.wait(30)
    assert whole(entry(cache, _slow(cache)))


@forking
@pytest.mark.parametrize("stale", [False, True])
def test_processes_that_start_together_make_an_entry_once(tmp_path: Path, stale: bool) -> None:
    if stale:
        entry(tmp_path / "cache", Maker(), "before")
    starting = fork.Barrier(4)
    processes = [fork.Process(target=_load_together, args=(starting, tmp_path / "cache")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "log").read_text() == "made\n"
    assert len(entries(tmp_path / "cache")) == 1


def _make_half(cache: Path, half: Any) -> None:
    def make(allocate: Allocate) -> dict[str, Any]:
        array = allocate("train", PIXELS.shape, "uint8")
        array[:3] = PIXELS[:3]
        half.set()
        time.sleep(60)
        return {}

    entry(cache, make)


@forking
def test_a_process_killed_while_it_makes_an_entry_spoils_nothing(tmp_path: Path) -> None:
    half = fork.Event()
    process = fork.Process(target=_make_half, args=(tmp_path, half))
    process.start()
    assert half.wait(30)
    process.kill()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert any(name.endswith(".part") for name in entries(tmp_path))
    found = entry(tmp_path, Maker())
    assert whole(found)
    assert found.path is not None
    assert entries(tmp_path) == [found.path.name]


# --- folders of images --------------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    tree(tmp_path / "pets", {"cat": 8, "dog": 8})
    return tmp_path / "pets"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that were decoded."""
    paths: list[Path] = []
    pretending.decoding(monkeypatch, paths.append)
    return paths


def load(path: Path, **keys: Any) -> Dataset:
    return data.load(Folder(path=str(path), **({"size": 10, "cache": str(path.parent / "cache")} | keys)))


def parts(dataset: Dataset) -> list[Tensor]:
    assert dataset.val is not None
    splits = (dataset.train, dataset.val, dataset.test)
    return [tensor for split in splits for tensor in (split.inputs, split.targets)]


def same(first: Dataset, second: Dataset) -> bool:
    return all(map(torch.equal, parts(first), parts(second))) and (first.mean, first.std) == (second.mean, second.std)


def test_a_second_load_decodes_nothing_and_gives_the_same(pets: Path, read: list[Path]) -> None:
    first = load(pets)
    assert len(read) == 16
    second = load(pets)
    assert len(read) == 16
    assert same(first, second)
    assert same(first, load(pets, cache=None))


def _add(pets: Path) -> None:
    picture(pets / "cat" / "new.png", 99)


def _remove(pets: Path) -> None:
    (pets / "dog" / "015.png").unlink()


def _rename(pets: Path) -> None:
    (pets / "dog" / "015.png").rename(pets / "dog" / "016.png")


def _resave(pets: Path) -> None:
    picture(pets / "cat" / "000.png", 77)


def _touch(pets: Path) -> None:
    (pets / "cat" / "000.png").touch()


def _new_class(pets: Path) -> None:
    tree(pets, {"owl": 2}, first=50)


def _test_folder(pets: Path) -> None:
    tree(pets / "train", {"cat": 8, "dog": 8})
    tree(pets / "test", {"cat": 4, "dog": 4}, first=50)


@pytest.mark.parametrize("change", [_add, _remove, _rename, _resave, _touch, _new_class, _test_folder])
def test_a_changed_folder_is_read_again(pets: Path, read: list[Path], change: Callable[[Path], None]) -> None:
    load(pets)
    read.clear()
    change(pets)
    changed = load(pets)
    assert read
    assert same(changed, load(pets, cache=None))
    assert len(entries(pets.parent / "cache")) == 1


def test_other_settings_have_entries_of_their_own(pets: Path, read: list[Path]) -> None:
    settings: list[dict[str, Any]] = [
        {},
        {"size": 12},
        {"channels": 1},
        {"resize": 14},
        {"limit": 5, "val_fraction": 0.4},
        {"limit": 6, "val_fraction": 0.4},
        {"limit": 6, "val_fraction": 0.4, "split_seed": 1},
    ]
    for keys in settings:
        assert same(load(pets, **keys), load(pets, **keys, cache=None))
    assert len(entries(pets.parent / "cache")) == len(settings)
    read.clear()
    for keys in settings:
        load(pets, **keys)
    assert not read


def test_other_splits_share_one_entry(pets: Path, read: list[Path]) -> None:
    for keys in ({}, {"split_seed": 3}, {"test_fraction": 0.5}, {"val_fraction": 0.3}, {"mean": [0.5], "std": [0.5]}):
        found = load(pets, **keys)
        assert len(read) == 16
        numbers = [int(n) for part in parts(found)[::2] for n in part[:, 0, 0, 0]]
        assert sorted(numbers) == list(range(16))


def test_a_folder_of_the_same_name_elsewhere_is_another(tmp_path: Path) -> None:
    for place, first in (("here", 0), ("there", 100)):
        tree(tmp_path / place / "pets", {"cat": 8, "dog": 8}, first)
    for place, first in (("here", 0), ("there", 100), ("here", 0)):
        found = load(tmp_path / place / "pets", cache=str(tmp_path / "cache"))
        assert all(first <= int(n) < first + 16 for part in parts(found)[::2] for n in part[:, 0, 0, 0])


def test_however_the_folder_is_named_it_is_the_same(
    pets: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (pets.parent / "link").symlink_to(pets)
    cache = str(pets.parent / "cache")
    monkeypatch.chdir(pets)
    for path in (pets, Path(), Path("../pets"), Path("../link"), pets.parent / "link"):
        load(path, cache=cache)
        assert len(read) == 16
    (name,) = entries(Path(cache))
    assert name.startswith("pets-")


@pytest.mark.parametrize("name", ["a b", "ünï=cødé", "[1]*?", "'", "$HOME", "x" * 240])
def test_a_folder_may_be_called_anything(tmp_path: Path, read: list[Path], name: str) -> None:
    tree(tmp_path / name, {"a": 8, "b": 8})
    first = load(tmp_path / name)
    assert same(first, load(tmp_path / name))
    assert (len(read) == 16) == (len(name) < 200)  # no file may have a longer name than 255 bytes


def test_a_broken_image_leaves_no_entry(pets: Path) -> None:
    (pets / "dog" / "007.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"pets/dog/007\.png cannot be read as an image"):
        load(pets)
    assert entries(pets.parent / "cache") == []


def test_an_image_that_goes_away_meanwhile_is_named(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.decoding(monkeypatch, lambda path: (pets / "dog" / "015.png").unlink(missing_ok=True))
    with pytest.raises(DataError, match=r"dog/015\.png cannot be read as an image"):
        load(pets)
    assert entries(pets.parent / "cache") == []


def test_a_link_to_nothing_is_named(pets: Path) -> None:
    (pets / "dog" / "gone.png").symlink_to("nowhere.png")
    for cache in (str(pets.parent / "cache"), None):
        with pytest.raises(DataError, match=r"dog/gone\.png cannot be read"):
            load(pets, cache=cache)


def test_a_thousand_files_are_looked_at_at_once(tmp_path: Path) -> None:
    """Some milliseconds, so that a million take seconds; however they were listed."""
    files = [tmp_path / f"{number}.png" for number in range(1000)]
    for file in files:
        file.touch()
    with os.scandir(tmp_path) as listing:
        listed = sorted(listing, key=lambda entry: entry.name)
    started = time.process_time()
    first = source_of(listed, tmp_path)
    assert time.process_time() - started < 1
    assert source_of(sorted(files), tmp_path) == first


# --- seen from the command line -----------------------------------------------------------------------


def test_the_summary_says_what_the_cache_takes_and_how_to_turn_it_off(trainer: Trainer, empty: Path) -> None:
    for _ in range(2):
        ran = trainer("train", *QUICK, "data.cache=kept here", "data.size=32")
        (name,) = entries(empty / "kept here")
        assert ran.code == 0, ran.err
        assert f"1.8 MiB in kept here/{name} (data.cache=null: none)" in " ".join(ran.out.split())


def test_a_run_without_a_cache_says_nothing_of_it(
    trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINER_CACHE", "cache")
    ran = trainer("train", *QUICK, "data.cache=null")
    assert ran.code == 0, ran.err
    assert "cache" not in ran.out
    assert {path.name for path in empty.iterdir()} == {"runs"}


def test_the_environment_turns_the_cache_off_or_moves_it(
    trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, left in (("", {"runs"}), ("moved", {"runs", "moved"})):
        monkeypatch.setenv("TRAINER_CACHE", value)
        assert trainer("train", *QUICK).code == 0
        assert {path.name for path in empty.iterdir()} == left
