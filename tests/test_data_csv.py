"""Tables of numbers and words, and what people's tables have wrong."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer import data
from trainer.data.batches import Batches
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset
from trainer.system.errors import DataError

HOUSES = [[str(20 + i), "brick" if i % 3 else "wood", str(i % 4), f"{100.5 + i}"] for i in range(30)]
HEADER = ["area", "walls", "rooms", "price"]


def write(path: Path, header: list[str], rows: list[list[str]], **options: Any) -> Path:
    encoding = options.pop("encoding", "utf-8")
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, **options).writerows([header, *rows])
    return path


def load(path: Path, target: str = "price", **keys: Any) -> Dataset:
    return data.load(Table(path=str(path), target=target, **({"val_fraction": 0.0} | keys)))


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    return write(tmp_path / "houses.csv", HEADER, HOUSES)


def targets_of(path: Path, cells: list[str], **keys: Any) -> tuple[dict[float, Any], tuple[str, ...] | None]:
    """A table of rows 0, 1, ... with these targets: what each row's target became, and the classes."""
    write(path, ["row", "y"], [[str(i), cell] for i, cell in enumerate(cells)])
    found = load(path, "y", **keys)
    rows = torch.cat([found.train.inputs, found.test.inputs])[:, 0].tolist()
    values = torch.cat([found.train.targets, found.test.targets]).flatten().tolist()
    return dict(zip(rows, values, strict=True)), found.classes


def test_numbers_stay_and_words_become_one_hot(houses: Path) -> None:
    found = load(houses)
    assert found.columns == ("area", "walls=brick", "walls=wood", "rooms")
    rows = {row[0]: row for split in (found.train, found.test) for row in split.inputs.tolist()}
    assert rows == {
        float(area): [float(area), float(walls == "brick"), float(walls == "wood"), float(rooms)]
        for area, walls, rooms, _ in HOUSES
    }


def test_rows_are_in_one_split_each_and_keep_their_target(houses: Path) -> None:
    found = load(houses, val_fraction=0.25)
    assert found.val is not None
    assert [len(s) for s in (found.train, found.val, found.test)] == [18, 6, 6]
    rows = [row for s in (found.train, found.val, found.test) for row in torch.cat([s.inputs, s.targets], 1).tolist()]
    assert sorted((row[0], row[-1]) for row in rows) == [(float(r[0]), float(r[-1])) for r in HOUSES]


def test_features_are_standardised_from_the_training_part(houses: Path) -> None:
    found = load(houses, val_fraction=0.25)
    training = found.train.inputs.numpy()
    assert found.mean == pytest.approx(training.mean(0))
    assert found.std == pytest.approx(training.std(0))


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["no", "yes"] * 5, ("no", "yes")),
        (["0", "1", "2"] * 4, ("0", "1", "2")),
        (["10", "9", "-1"] * 4, ("-1", "9", "10")),
        ([str(i) for i in range(20)], tuple(map(str, range(20)))),
        (["1", "two"] * 5, ("1", "two")),
    ],
)
def test_words_and_few_whole_numbers_are_classes(tmp_path: Path, cells: list[str], classes: tuple[str, ...]) -> None:
    found, names = targets_of(tmp_path / "t.csv", cells)
    assert names == classes
    assert found == {i: classes.index(cell) for i, cell in enumerate(cells)}


def test_whole_numbers_are_the_same_class_however_they_are_written(tmp_path: Path) -> None:
    found, names = targets_of(tmp_path / "t.csv", ["0", "1", "0.0", "1.0", "01"] * 2)
    assert len(names or ()) == 2
    assert [found[i] for i in range(5)] == [0, 1, 0, 1, 1]


@pytest.mark.parametrize("cells", [[str(i) for i in range(21)], ["0.5", "1", "2"] * 4, ["1e3", "2.5e-3"] * 5])
def test_many_or_broken_numbers_are_values(tmp_path: Path, cells: list[str]) -> None:
    found, names = targets_of(tmp_path / "t.csv", cells)
    assert names is None
    assert found == {i: float(cell) for i, cell in enumerate(cells)}


def test_the_task_can_be_told(tmp_path: Path) -> None:
    found, names = targets_of(tmp_path / "a.csv", ["0", "1"] * 5, task="regression")
    assert names is None
    assert found == {i: float(i % 2) for i in range(10)}
    _, names = targets_of(tmp_path / "b.csv", [str(i % 25) for i in range(50)], task="classification")
    assert names == tuple(map(str, range(25)))
    with pytest.raises(DataError, match="the target 'y' has words"):
        targets_of(tmp_path / "c.csv", ["no", "yes"] * 5, task="regression")


@pytest.mark.parametrize(
    "options", [{"encoding": "utf-8-sig"}, {"quoting": csv.QUOTE_ALL}, {"lineterminator": "\n"}], ids=str
)
def test_tables_of_other_programs_read_the_same(houses: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    other = write(tmp_path / "other.csv", HEADER, HOUSES, **options)
    assert torch.equal(load(other).train.inputs, load(houses).train.inputs)
    assert load(other).columns == load(houses).columns


def test_quoted_commas_and_spaces_around_cells_and_blank_lines_are_no_trouble(tmp_path: Path) -> None:
    rows = [[f" {i} ", "Ulm, old town" if i % 2 else "Köln", f"{i}.5"] for i in range(10)]
    path = write(tmp_path / "t.csv", [" a ", "town", "y"], rows)
    path.write_text(path.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")
    assert load(path, "y").columns == ("a", "town=Köln", "town=Ulm, old town")


@pytest.mark.parametrize(("typed", "hint"), [("Price", "did you mean 'price'?"), ("qqq", "choose from: area, ")])
def test_a_target_that_is_not_there_is_answered_with_what_is(houses: Path, typed: str, hint: str) -> None:
    with pytest.raises(DataError, match=f"houses.csv has no column '{typed}'") as caught:
        load(houses, typed)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    "words",
    [
        ["red", "green", "blue"],
        ["1", "2", "3+"],
        ["0", "0", "0", "0", "low", "high"],
        ["12", "7", "12a", "7b"],
        ["S", "M", "38", "40"],
    ],
    ids=" ".join,
)
def test_categories_may_look_like_numbers_some_of_them(tmp_path: Path, words: list[str]) -> None:
    path = write(tmp_path / "t.csv", ["a", "y"], [[words[i % len(words)], f"{i}.5"] for i in range(60)])
    assert load(path, "y").columns == tuple(f"a={word}" for word in sorted(set(words)))


def test_a_word_among_the_numbers_of_a_target_may_be_a_class_where_that_is_told(tmp_path: Path) -> None:
    cells = [str(i % 10) if i % 20 else "none" for i in range(60)]
    with pytest.raises(DataError, match=r"t\.csv, row 2: column 'y' is 'none', and 2 more, and its other cells"):
        targets_of(tmp_path / "t.csv", cells)
    _, classes = targets_of(tmp_path / "t.csv", cells, task="classification")
    assert classes == (*map(str, range(10)), "none")


@pytest.mark.parametrize("constant", ["0", "7", "0.1", "-3.3e5", "1234567890.1", "1e30"])
def test_a_constant_column_is_nought_once_standardised(tmp_path: Path, constant: str) -> None:
    """And not what rounding makes of nought divided by nought."""
    path = write(tmp_path / "t.csv", ["a", "b", "y"], [[constant, str(i), f"{i}.5"] for i in range(50)])
    found = load(path, "y")
    assert found.mean is not None
    assert found.std is not None
    assert (found.mean[0], found.std[0]) == (float(constant), 1)
    inputs = next(iter(Batches(found.test, None, torch.device("cpu"), mean=found.mean, std=found.std)))[0]
    assert inputs.isfinite().all()
    assert (inputs[:, 0] == 0).all()


def changed(row: int, column: int, cell: str) -> list[list[str]]:
    rows = [list(r) for r in HOUSES]
    rows[row - 2][column] = cell
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(7, 0, ""), r"houses\.csv, row 7: column 'area' is empty"),
        (changed(7, 3, "  "), r"houses\.csv, row 7: column 'price' is empty"),
        (changed(9, 0, "NaN"), r"houses\.csv, row 9: column 'area' is nan"),
        (changed(31, 0, "inf"), r"houses\.csv, row 31: column 'area' is inf"),
        (changed(2, 3, "nan"), r"houses\.csv, row 2: column 'price' is nan"),
        ([*HOUSES, ["1", "brick"]], r"houses\.csv, row 32: 2 cells, but the header has 4"),
        ([*HOUSES, ["1", "brick", "2", "3", "4"]], r"houses\.csv, row 32: 5 cells, but the header has 4"),
        ([HOUSES[0], [], ["1"]], r"houses\.csv, row 4: 1 cells"),
        ([], r"houses\.csv has no rows"),
        (HOUSES[:1], r"houses\.csv has one row, and training, validation and test need one each"),
        (HOUSES[:2], r"houses\.csv has 2 rows, and training"),
    ],
)
def test_the_row_of_a_mistake_is_named_as_an_editor_counts(tmp_path: Path, rows: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path / "houses.csv", HEADER, rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no rows"),
        (b"a,y\n\xff\xfe,1\n", "t\\.csv, row 2: byte 0xff is not UTF-8"),
        (b"a,a,y\n1,2,3\n", "has two columns 'a'"),
        (b"y\n1\n2\n3\n", "has no column beside the target 'y'"),
        (b"a,y\n" + b"1,x\n" * 9, "the target 'y' is 'x' in every row"),
    ],
)
def test_tables_that_cannot_work_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "t.csv", "y")


@pytest.mark.parametrize(("name", "message"), [("none.csv", "no such file"), (".", "is not a file")])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)
