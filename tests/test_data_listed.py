"""Images that a table lists: which columns and files are meant, and what is said of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer
from folders import picture

from trainer import data
from trainer.data.sets.images import Images
from trainer.data.splits import Dataset
from trainer.system.errors import DataError

NAMES = ("cat", "dog", "fox")
COUNT = 30


def load(path: Path, trained: dict[str, Any] | None = None, **keys: Any) -> Dataset:
    config = Images(path=str(path), **({"size": 10, "val_fraction": 0.0, "cache": None} | keys))
    return data.load(config, trained=trained)


def labels(dataset: Dataset) -> dict[int, str]:
    """The class of each image, by the number that its first pixel tells."""
    assert dataset.classes is not None
    splits = [split for split in (dataset.train, dataset.val, dataset.test) if split is not None]
    return {
        int(number): dataset.classes[target]
        for split in splits
        for number, target in zip(split.inputs[:, 0, 0, 0], split.targets.tolist(), strict=True)
    }


EXPECTED = {number: NAMES[number % 3] for number in range(COUNT)}


def written(path: Path, header: str, rows: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of images that cannot be read lie with the test's files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Thirty images in `here/pictures`."""
    for number in range(COUNT):
        picture(tmp_path / "here" / "pictures" / f"{number:04}.png", number)
    return tmp_path / "here"


TABLES: dict[str, tuple[str, str]] = {
    "names": ("filename,label", "{n:04}.png,{c}"),
    "names without extensions": ("id,breed", "{n:04},{c}"),
    "paths": ("image,class", "pictures/{n:04}.png,{c}"),
    "paths of another machine": ("image,class", "/home/someone/here/pictures/{n:04}.png,{c}"),
    "paths of Windows": ("image,class", r"C:\data\pictures\{n:04}.png,{c}"),
    "paths that lead elsewhere": ("image,class", "../../pictures/{n:04}.png,{c}"),
    "semicolons": ("image;class", "{n:04}.png;{c}"),
    "row numbers": (",image,class", "{n},{n:04}.png,{c}"),
    "other columns": ("image,width,label,photographer", "{n:04}.png,{n},{c},somebody"),
    "an identifier": ("id,image,animal", "X{n},{n:04}.png,{c}"),
    "the class first": ("class,image", "{c},{n:04}.png"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_columns_and_files_are_found(here: Path, kind: str) -> None:
    header, row = TABLES[kind]
    path = written(here / "labels.csv", header, [row.format(n=n, c=NAMES[n % 3]) for n in range(COUNT)])
    found = load(path)
    assert found.classes == NAMES
    assert labels(found) == EXPECTED
    assert len(found.test) == 6
    assert len(found.notes) == 1
    assert found.notes[0].startswith("labels.csv: the images are '")


def test_a_table_without_a_header_is_read_whole(here: Path) -> None:
    path = written(here / "labels.csv", "0000.png,cat", [f"{n:04}.png,{NAMES[n % 3]}" for n in range(1, COUNT)])
    found = load(path)
    assert labels(found) == EXPECTED
    assert found.notes[0] == "labels.csv: no header line: the columns are numbered from 1"
    assert labels(load(path, image="1", target="-1")) == EXPECTED


def test_the_images_may_lie_elsewhere(here: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "tables/labels.csv", "image,class", [f"{n:04},{NAMES[n % 3]}" for n in range(COUNT)])
    with pytest.raises(DataError, match=r"no column names an image, for there is none in .*tables"):
        load(path)
    assert labels(load(path, root=str(here))) == EXPECTED
    with pytest.raises(DataError, match=r"data\.root=nowhere: no such folder"):
        load(path, root="nowhere")


def test_nothing_that_a_table_says_leads_out_of_the_root(here: Path) -> None:
    outside = picture(here.parent / "outside.png", 200)
    rows = [f"{n:04}.png,{NAMES[n % 3]}" for n in range(COUNT)]
    path = written(here / "labels.csv", "image,class", [*rows, f"{outside},cat", "../outside.png,cat"])
    with pytest.raises(DataError, match=r"2 of 32 images cannot be read"):
        load(path)


@pytest.mark.parametrize("header", ["image,class,split", "image,class,set"])
@pytest.mark.parametrize("words", [("train", "val", "test"), ("Training", "valid", "Testing")])
def test_a_column_of_splits_is_followed(here: Path, header: str, words: tuple[str, ...]) -> None:
    rows = [f"{n:04}.png,{NAMES[n % 3]},{words[n // 10]}" for n in range(COUNT)]
    found = load(written(here / "labels.csv", header, rows))
    assert found.val is not None
    for split, first in ((found.train, 0), (found.val, 10), (found.test, 20)):
        assert sorted(split.inputs[:, 0, 0, 0].tolist()) == list(range(first, first + 10))
    assert f"their splits '{header.rpartition(',')[2]}'" in found.notes[0]


def test_without_rows_to_test_on_they_are_cut_from_training(here: Path) -> None:
    rows = [f"{n:04}.png,{NAMES[n % 3]},{'train' if n < 20 else 'val'}" for n in range(COUNT)]
    found = load(written(here / "labels.csv", "image,class,split", rows), split="split")
    assert (len(found.train), len(found.test)) == (16, 4)
    assert "lists no test split" in found.notes[-1]


def test_numbers_are_classes_in_their_order(here: Path) -> None:
    rows = [f"{n:04}.png,{(n % 3) * 5}" for n in range(COUNT)]
    assert load(written(here / "labels.csv", "image,class", rows)).classes == ("0", "5", "10")


def test_rows_that_say_nothing_are_left_out_and_said(here: Path) -> None:
    rows = [f"{n:04}.png,{NAMES[n % 3] if n else ''}" for n in range(COUNT)]
    path = written(here / "labels.csv", "image,class", [*rows, "0001.png,dog"])
    found = load(path)
    assert labels(found) == {n: name for n, name in EXPECTED.items() if n}
    assert "labels.csv: 1 row without an image or a class left out" in found.notes
    assert "labels.csv: 1 row of an image once more left out" in found.notes
    with pytest.raises(DataError, match=r"without an image or a class"):
        load(path, strict=True)


def test_a_file_that_is_missing_is_left_out_and_listed_as_a_broken_one(here: Path) -> None:
    for number in range(COUNT, 120):
        picture(here / "pictures" / f"{number:04}.png", number)
    rows = [f"{n:04}.png,{NAMES[n % 3]}" for n in range(120)]
    path = written(here / "labels.csv", "image,class", rows)
    (here / "pictures" / "0077.png").unlink()
    found = load(path)
    assert sorted(labels(found)) == [n for n in range(120) if n != 77]
    assert found.skipped == (("0077.png", f"there is no such image in {here}"),)
    (here / "pictures" / "0078.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 120 images cannot be read, and at most 1 would be left out"):
        load(path)


UNDECIDABLE: dict[str, tuple[str, str, str]] = {
    "two columns of images": ("image,mask,class", "{n:04}.png,{n:04}.png,{c}", r"may be named by image, mask"),
    "no column of images": ("name,class", "x{n},{c}", r"no column names any of the 30 images"),
    "several columns that may be classes": ("image,x,y", "{n:04}.png,{c},{c}", r"the classes may be in x, y"),
    "a quantity": ("image,class", "{n:04}.png,{n}.5", r"30 different values for 30 images: no classes"),
    "no classes": ("image", "{n:04}.png", r"has no column of classes"),
    "one class": ("image,class", "{n:04}.png,cat", r"'class' has 1 class to train on"),
}


@pytest.mark.parametrize("case", UNDECIDABLE)
def test_what_cannot_be_decided_is_refused(here: Path, case: str) -> None:
    header, row, message = UNDECIDABLE[case]
    path = written(here / "labels.csv", header, [row.format(n=n, c=NAMES[n % 3]) for n in range(COUNT)])
    with pytest.raises(DataError, match=message):
        load(path)


def test_an_image_of_two_classes_is_refused(here: Path) -> None:
    rows = [f"{n:04}.png,{NAMES[n % 3]}" for n in range(COUNT)]
    with pytest.raises(DataError, match=r"0000\.png is of cat and train, and of dog and train"):
        load(written(here / "labels.csv", "image,class", [*rows, "0000.png,dog"]))


def test_a_name_that_several_images_have_is_refused(here: Path) -> None:
    picture(here / "more" / "0000.png", 99)
    rows = [f"{n:04}.png,{NAMES[n % 3]}" for n in range(COUNT)]
    path = written(here / "labels.csv", "image,class", rows)
    with pytest.raises(DataError, match=r"has several images called 0000\.png"):
        load(path)
    assert labels(load(path, root=str(here / "pictures"))) == EXPECTED


def test_columns_that_there_are_not_are_named(here: Path) -> None:
    path = written(here / "labels.csv", "image,class", [f"{n:04}.png,{NAMES[n % 3]}" for n in range(COUNT)])
    with pytest.raises(DataError, match=r"has no column 'clas'") as caught:
        load(path, target="clas")
    assert "class" in caught.value.hint


def test_tables_of_the_same_images_share_no_entry_of_the_cache_and_keep_theirs(here: Path, tmp_path: Path) -> None:
    for name, count in (("few.csv", 12), ("all.csv", COUNT)):
        written(here / name, "image,class", [f"{n:04}.png,{NAMES[n % 3]}" for n in range(count)])
    for name, count in (("few.csv", 12), ("all.csv", COUNT), ("few.csv", 12)):
        assert len(labels(load(here / name, cache=str(tmp_path / "kept")))) == count
    assert len([path for path in (tmp_path / "kept").iterdir() if not path.name.startswith(".")]) == 2


def test_a_checkpoint_finds_its_table_and_images_again(here: Path, trainer: Trainer) -> None:
    rows = [f"{n:04},{NAMES[n % 3]}" for n in range(COUNT)]
    written(here / "labels.csv", "image,class", rows)
    ran = trainer("train", "model=linear", "data=images", f"data.path={here / 'labels.csv'}", "data.size=8", "epochs=1")
    assert ran.code == 0, ran.err
    (run,) = Path("runs").glob("*/*")
    ran = trainer("eval", f"ckpt={run}")
    assert ran.code == 0, ran.err
    assert "6 samples" in ran.out
    assert trainer("resume", str(run), "epochs=2").code == 0
