"""Folders of images as they lie on people's disks: what is read of each, and what is said of it."""

import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from conftest import Trainer
from folders import picture, tree
from PIL import Image

from trainer import data
from trainer.data.sets.folder import Folder
from trainer.data.splits import Dataset
from trainer.system.errors import DataError

SPLITS = ("train", "val", "test")


def load(path: Path, trained: dict[str, Any] | None = None, **keys: Any) -> Dataset:
    config = Folder(path=str(path), **({"size": 10, "val_fraction": 0.0, "cache": None} | keys))
    return data.load(config, trained=trained)


def numbers(dataset: Dataset) -> dict[str, list[int]]:
    """The images of each split that there is, by the numbers that their first pixels tell."""
    splits = {name: getattr(dataset, name) for name in SPLITS}
    return {name: sorted(s.inputs[:, 0, 0, 0].tolist()) for name, s in splits.items() if s is not None}


def made(root: Path, folders: dict[str, dict[str, int]]) -> dict[str, list[int]]:
    """Trees of classes in some folders, whose images are numbered on; the numbers of each."""
    first, found = 0, {}
    for name, counts in folders.items():
        following = tree(root / name, counts, first)
        found[name] = list(range(first, following))
        first = following
    return found


TWO = {"a": 5, "b": 5}
LAYOUTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "plain": ({"train": "train", "test": "test"}, []),
    "capitals": ({"train": "Train", "test": "TEST"}, ["Train/ is the training split; TEST/ is the test split"]),
    "training and testing": (
        {"train": "training", "test": "testing"}, ["training/ is the training split; testing/ is the test split"]
    ),
    "valid": ({"train": "train", "val": "valid", "test": "test"}, ["valid/ is the validation split"]),
    "dev": ({"train": "train", "val": "dev", "test": "test"}, ["dev/ is the validation split"]),
    "prefixes, nested in themselves": (
        {"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
        ["seg_train/seg_train/ is the training split; seg_test/seg_test/ is the test split"],
    ),
    "suffixes": (
        {"train": "training_set", "val": "validation_set", "test": "test_set"},
        ["training_set/ is the training split; validation_set/ is the validation split; test_set/ is the test split"],
    ),
    "years": (
        {"train": "train2017", "test": "test2017"},
        ["train2017/ is the training split; test2017/ is the test split"],
    ),
    "wrapped": ({"train": "x/y/train", "test": "x/y/test"}, ["x/y/ is taken, the only folder of images in pets/"]),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits_are_found_by_the_usual_words(tmp_path: Path, layout: str) -> None:
    folders, notes = LAYOUTS[layout]
    images = made(tmp_path / "pets", dict.fromkeys(folders.values(), TWO))
    found = load(tmp_path / "pets")
    assert numbers(found) == {split: images[folder] for split, folder in folders.items()}
    assert found.classes == ("a", "b")
    assert list(found.notes) == notes


@pytest.mark.parametrize("layout", [name for name, (_, notes) in LAYOUTS.items() if notes])
def test_where_nothing_is_to_be_cleaned_up_splits_have_their_plain_names(tmp_path: Path, layout: str) -> None:
    folders, notes = LAYOUTS[layout]
    made(tmp_path / "pets", dict.fromkeys(folders.values(), TWO))
    with pytest.raises(DataError, match=notes[0].partition(";")[0]):
        load(tmp_path / "pets", strict=True)


def test_a_single_tree_that_is_wrapped_is_taken(tmp_path: Path) -> None:
    images = made(tmp_path / "pets", {"inner/more": TWO})
    found = load(tmp_path / "pets")
    assert sorted(chain(*numbers(found).values())) == images["inner/more"]
    assert list(found.notes) == ["inner/more/ is taken, the only folder of images in pets/"]


def test_without_a_test_split_it_is_cut_from_training_and_said(tmp_path: Path) -> None:
    images = made(tmp_path, {"train": TWO, "validation": TWO})
    found = load(tmp_path)
    parts = numbers(found)
    assert sorted(parts["train"] + parts["test"]) == images["train"]
    assert (len(parts["test"]), parts["val"]) == (2, images["validation"])
    assert found.notes[-1] == "train/ has no test split beside it: data.test_fraction of it becomes that"


@pytest.mark.parametrize("unlabelled", ["test/{}.png", "test/all/{}.png", "test/test/{}.png"])
def test_a_test_folder_without_classes_is_no_test_split(tmp_path: Path, unlabelled: str) -> None:
    images = made(tmp_path, {"train": TWO})
    for number in range(50, 55):
        picture(tmp_path / unlabelled.format(number), number)
    found = load(tmp_path)
    parts = numbers(found)
    assert sorted(parts["train"] + parts["test"]) == images["train"]
    assert any("has images without classes: it is no test split" in line for line in found.notes)


def test_classes_are_those_of_training(tmp_path: Path) -> None:
    made(tmp_path, {"train": {"a": 5, "b": 5, "c": 5}, "val": {"a": 2}, "test": {"A": 2, "b": 2, "c": 2, "z": 2}})
    found = load(tmp_path)
    assert found.classes == ("a", "b", "c")
    assert found.val is not None
    assert found.val.targets.tolist() == [0, 0]
    assert sorted(found.test.targets.tolist()) == [0, 0, 1, 1, 2, 2]
    assert set(found.notes) == {
        "val has no images of b, c",
        "test: A, in training spelt otherwise",
        "test: z left out, for training has no such class",
    }


def test_the_classes_of_a_checkpoint_are_matched_by_name(tmp_path: Path) -> None:
    made(tmp_path, {"train": {"b": 5, "z": 5}, "test": {"b": 2, "z": 2, "a": 2}})
    found = load(tmp_path, trained={"classes": ["b", "c", "a"]})
    assert found.classes == ("b", "c", "a")
    assert set(found.train.targets.tolist()) == {0}
    assert sorted(found.test.targets.tolist()) == [0, 0, 2, 2]
    assert "train: z left out, for training has no such class" in found.notes
    with pytest.raises(DataError, match=r"train has b, z, which training has not, and not x, y"):
        load(tmp_path, trained={"classes": ["x", "y"]})


def test_images_without_classes_cannot_be_evaluated(tmp_path: Path) -> None:
    for number in range(5):
        picture(tmp_path / f"{number}.png", number)
    with pytest.raises(DataError, match=r"has no folder in it") as caught:
        load(tmp_path, trained={"classes": ["a", "b"]})
    assert "data=images" in caught.value.hint


def test_images_below_a_class_belong_to_it(tmp_path: Path) -> None:
    made(tmp_path, {"train": TWO, "test": TWO})
    picture(tmp_path / "train/a/augmented/a/100.png", 100)
    picture(tmp_path / "train/a/more/101.png", 101)
    found = load(tmp_path)
    assert numbers(found)["train"] == [*range(10), 100, 101]
    assert found.train.targets[found.train.inputs[:, 0, 0, 0] >= 100].tolist() == [0, 0]
    assert list(found.notes) == ["train/a: 2 images of folders in it belong to it (augmented/a, more)"]


def test_what_belongs_to_no_class_is_passed_over(tmp_path: Path) -> None:
    images = made(tmp_path, {"train": TWO, "test": TWO, "unsorted": {"x": 3}})
    picture(tmp_path / "train" / "overview.png", 100)
    (tmp_path / "train" / "a" / "notes.txt").touch()
    (tmp_path / "train" / "a" / "Thumbs.db").touch()
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "README.md").touch()
    found = load(tmp_path)
    assert numbers(found) == {split: images[split] for split in ("train", "test")}
    assert set(found.notes) == {
        "unsorted/ beside the splits: passed over",
        "train/empty has no images: passed over",
        "train: 1 image in no class's folder (overview.png): passed over",
        "train/a/notes.txt: no image, passed over",
    }


def test_a_copy_of_the_tree_in_itself_is_passed_over(tmp_path: Path) -> None:
    """As an archive has it that was unpacked twice."""
    images = made(tmp_path, {".": TWO})
    shutil.copytree(tmp_path, tmp_path.parent / "copy")
    shutil.move(tmp_path.parent / "copy", tmp_path / "dataset")
    found = load(tmp_path)
    assert found.classes == ("a", "b")
    assert sorted(chain(*numbers(found).values())) == images["."]
    assert list(found.notes) == ["dataset has folders called as the classes beside it: passed over"]


def test_a_class_may_be_called_as_a_split(tmp_path: Path) -> None:
    images = made(tmp_path, {".": {"bus": 5, "train": 5, "test": 5}})
    found = load(tmp_path)
    assert found.classes == ("bus", "test", "train")
    assert sorted(chain(*numbers(found).values())) == images["."]


UNDECIDABLE: dict[str, tuple[dict[str, dict[str, int]], str]] = {
    "two validation splits": ({"train": TWO, "val": TWO, "valid": TWO}, r"val/ and valid/ would each be the"),
    "two data sets": (
        {"x_train": TWO, "x_test": TWO, "y_train": TWO, "y_test": TWO}, r"several training splits: x_train, y_train"
    ),
    "no training split": ({"val": TWO, "test": TWO}, r"has test/ and val/, but no train/"),
    "a misspelt training split": ({"trian": TWO, "test": TWO}, r"has test/, but no train/"),
    "a class that may be another": (
        {"train": TWO, "test": {"a": 2, "c": 2}}, r"test has c, which training has not, and not b, which it has"
    ),
    "classes that may be one": ({"train": {"a": 2, "A": 2}}, r"differ only in case: are they one class\?"),
    "one class": ({"train": {"a": 9}}, r"train has one folder, 'a' in it"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNDECIDABLE)
def test_what_cannot_be_decided_is_refused(tmp_path: Path, case: str) -> None:
    folders, message = UNDECIDABLE[case]
    made(tmp_path, folders)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


# --- images that cannot be read -----------------------------------------------------------------------


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _gone(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.png")


def _photo(path: Path) -> None:
    path.rename(path.with_suffix(".HEIC"))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A hundred and twenty images."""
    made(tmp_path / "many", {"train": {"a": 50, "b": 50}, "test": {"a": 10, "b": 10}})
    return tmp_path / "many"


@pytest.mark.parametrize("break_it", [_empty, _cut, _gone, _photo])
@pytest.mark.parametrize("keys", [{}, {"cache": "kept"}, {"placement": "stream"}], ids=["memory", "cache", "stream"])
def test_one_in_a_hundred_that_cannot_be_read_is_left_out_and_listed(
    many: Path, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[Path], None], keys: dict[str, Any]
) -> None:
    monkeypatch.chdir(many.parent)
    path = many / "train" / "b" / "077.png"
    break_it(path)
    for _ in range(2):  # the second is read from the cache, if there is one
        found = load(many, **keys)
        assert numbers(found)["train"] == [n for n in range(100) if n != 77]
        ((listed, reason),) = found.skipped
        assert Path(listed).stem == "077"
        assert reason
        (note,) = (line for line in found.notes if "left out" in line)
        assert note.startswith("train/b/077.")
        with pytest.raises(DataError, match=r"b/077\."):
            load(many, strict=True, **keys)


def test_one_image_that_cannot_be_read_may_be_among_the_few_of_a_limit(many: Path) -> None:
    whole = load(many, limit=30)
    number = int(whole.train.inputs[0, 0, 0, 0])
    _empty(next(many.rglob(f"{number:03}.png")))
    found = load(many, limit=30)
    assert len(found.train) == 29
    assert torch.equal(found.train.inputs, whole.train.inputs[1:])


def test_more_than_one_in_a_hundred_is_refused_and_listed(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(many.parent))
    broken = [many / "train" / "b" / f"{number:03}.png" for number in (60, 70, 80)]
    for path in broken:
        _empty(path)
    with pytest.raises(DataError, match=r"3 of 120 images cannot be read, and at most 1 would be left out") as caught:
        load(many)
    (listing,) = many.parent.glob("skipped-*.txt")
    assert str(listing) in caught.value.hint
    assert [line.split("\t")[0] for line in listing.read_text().splitlines()] == [*map(str, broken)]


def test_what_the_machine_fails_to_read_is_not_left_out(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> None:
        if path.name == "077.png":
            raise OSError(5, "Input/output error")

    pretending.decoding(monkeypatch, fails)
    with pytest.raises(DataError, match=r"077\.png cannot be read: Input/output error"):
        load(many)


def test_a_run_lists_the_images_that_were_left_out(many: Path, trainer: Trainer) -> None:
    _empty(many / "train" / "b" / "077.png")
    ran = trainer("train", "model=linear", "data=folder", f"data.path={many}", "data.size=8", "epochs=1", "plots=false")
    assert ran.code == 0, ran.err
    (listing,) = Path("runs").rglob("skipped.txt")
    path, reason = listing.read_text().removesuffix("\n").split("\t")
    assert (path, reason.split(",")[0]) == (str(many / "train/b/077.png"), "it is none of JPEG")
    assert "train/b/077.png left out" in " ".join(ran.out.split())


# --- copies -------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Twenty training and ten test images; two of these are copies, one of them in another format."""
    made(tmp_path / "pets", {"train": {"a": 10, "b": 10}, "test": {"a": 5, "b": 5}})
    shutil.copy(tmp_path / "pets/train/a/003.png", tmp_path / "pets/test/a/another name.png")
    Image.open(tmp_path / "pets/train/b/014.png").save(tmp_path / "pets/test/b/saved again.bmp")
    return tmp_path / "pets"


@pytest.mark.parametrize("keys", [{}, {"cache": "kept"}, {"placement": "stream"}], ids=["memory", "cache", "stream"])
def test_copies_of_training_images_in_the_test_split_are_counted(
    copied: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    monkeypatch.chdir(copied.parent)
    for fraction in (0.0, 0.3):  # those that are held out for validation choose the weights that are tested
        found = load(copied, val_fraction=fraction, **keys)
        assert len(found.test) == 12
        assert [line.split(",")[0] for line in found.notes] == ["2 of 12 test images are copies of training images"]


def test_copies_are_dropped_from_training_where_that_is_wanted(copied: Path) -> None:
    found = load(copied, duplicates="drop")
    assert numbers(found)["train"] == [n for n in range(20) if n not in (3, 14)]
    assert len(found.test) == 12
    assert list(found.notes) == ["2 of 12 test images are copies of training images: dropped from training"]
    pixels = found.train.inputs.double() / 255
    assert found.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())


def test_copies_in_the_validation_split_are_counted_and_dropped_as_well(tmp_path: Path) -> None:
    made(tmp_path, {"train": {"a": 5, "b": 5}, "val": {"a": 2, "b": 2}, "test": {"a": 2, "b": 2}})
    shutil.copy(tmp_path / "train/a/000.png", tmp_path / "val/a")
    shutil.copy(tmp_path / "test/b/016.png", tmp_path / "val/b")
    assert [line.split(",")[0] for line in load(tmp_path).notes] == [
        "1 of 4 test images is a copy of training images",
        "1 of 6 validation images is a copy of training images",
    ]
    assert numbers(load(tmp_path, duplicates="drop")) == {
        "train": [*range(1, 10)], "val": [0, *range(10, 14)], "test": [*range(14, 18)]
    }  # fmt: skip


def test_digests_are_those_of_the_pixels(copied: Path) -> None:
    from trainer.data.digests import digests, of_rows

    found = load(copied)
    assert digests(found.train).tolist() == of_rows(found.train.inputs.contiguous().numpy()).tolist()
    assert len(set(digests(found.train).tolist())) == 20


# --- sixteen bits -------------------------------------------------------------------------------------


def deep(root: Path, low: int, high: int, counts: dict[str, int]) -> dict[str, np.ndarray]:
    """Grey PNGs of 16 bits with values from `low` to `high`, by their names."""
    rng, images = np.random.default_rng(0), {}
    for split, count in counts.items():
        for number in range(count):
            name = f"{split}/{'ab'[number % 2]}/{number}.png"
            images[name] = rng.integers(low, high + 1, size=(6, 6)).astype(np.uint16)
            images[name][0, :2] = low, high
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[name]).save(root / name)
    return images


def pixels(found: Dataset, split: str) -> list[list[int]]:
    return sorted(getattr(found, split).inputs.flatten(1).tolist())


def scaled(images: dict[str, np.ndarray], split: str, low: int, high: int) -> list[list[int]]:
    """By a plain formula."""
    chosen = [image.astype(float).clip(low, high) for name, image in images.items() if name.startswith(split)]
    return sorted(np.rint((image - low) / (high - low) * 255).astype(int).flatten().tolist() for image in chosen)


@pytest.mark.parametrize("cache", [None, "kept"])
def test_a_narrow_range_of_sixteen_bits_is_read_by_what_training_images_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    images = deep(tmp_path / "x", 1000, 1099, {"train": 8})
    images |= deep(tmp_path / "x", 900, 4000, {"test": 4})  # what is beyond is black or white
    for _ in range(2):
        found = load(tmp_path / "x", channels=1, size=6, cache=cache)
        assert found.levels == (1000, 1099)
        for split in ("train", "test"):
            assert pixels(found, split) == scaled(images, split, 1000, 1099)
        assert "16-bit grey images are read with 1,000 as black and 1,099 as white" in found.notes[0]


def test_sixteen_bits_that_are_used_keep_the_higher_eight(tmp_path: Path) -> None:
    images = deep(tmp_path, 100, 40000, {"train": 8, "test": 4})
    found = load(tmp_path, channels=1, size=6)
    assert (found.levels, found.notes) == (None, ())
    expected = [(image >> 8).flatten().tolist() for name, image in images.items() if name.startswith("test")]
    assert pixels(found, "test") == sorted(expected)


def test_the_levels_of_the_training_are_those_of_an_evaluation(tmp_path: Path) -> None:
    images = deep(tmp_path, 1000, 1099, {"train": 8, "test": 4})
    for levels in ([0, 4095], None):
        found = load(tmp_path, {"levels": levels, "classes": ["a", "b"]}, channels=1, size=6)
        assert found.levels == (None if levels is None else tuple(levels))
    found = load(tmp_path, {"levels": None, "classes": ["a", "b"]}, channels=1, size=6, levels=[500, 1500])
    assert pixels(found, "test") == scaled(images, "test", 500, 1500)
    with pytest.raises(DataError, match=r"data\.levels=\[9, 9\]: the first is to be below the second"):
        load(tmp_path, levels=[9, 9])


def test_a_checkpoint_keeps_the_levels(tmp_path: Path, trainer: Trainer) -> None:
    deep(tmp_path / "x", 1000, 1099, {"train": 40, "test": 4})
    quick = ("data=folder", f"data.path={tmp_path / 'x'}", "data.size=6", "data.channels=1", "epochs=1", "plots=false")
    assert trainer("train", "model=linear", *quick).code == 0
    (run,) = Path("runs").glob("*/*")
    deep(tmp_path / "x", 0, 65535, {"train": 40})
    ran = trainer("eval", f"ckpt={run}")
    assert ran.code == 0, ran.err
    assert "1,000 as black and 1,099 as white" in " ".join(ran.out.split())
