"""Tables of numbers and words: what becomes of columns and rows, and what cannot work."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from tables import dropped, load, of_column, plan, write

from trainer.data.splits import Dataset
from trainer.system.errors import DataError

HOUSES = [[str(20 + i), "brick" if i % 3 else "wood", str(i % 4), f"{100.5 + i}"] for i in range(30)]
HEADER = ["area", "walls", "rooms", "price"]


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    return write(tmp_path / "houses.csv", HEADER, HOUSES)


def every_row(found: Dataset) -> np.ndarray:
    """Features and targets of all splits, sorted by the target."""
    splits = [split for split in (found.train, found.val, found.test) if split is not None]
    rows = torch.cat([torch.cat([s.inputs.double(), s.targets.double().reshape(len(s), -1)], 1) for s in splits])
    ordered: np.ndarray = rows[rows[:, -1].argsort(stable=True)].numpy()
    return ordered


def test_numbers_are_standardised_by_the_training_rows_and_words_become_one_hot(houses: Path) -> None:
    found = load(houses, "price", val_fraction=0.25)
    assert found.columns == ("area", "walls=brick", "walls=wood", "rooms")
    rows = every_row(found)
    prices = found.train.targets[:, 0].numpy()
    in_training = np.array([float(row[3]) in prices for row in HOUSES])
    numbers = np.array([[float(row[0]), float(row[2])] for row in HOUSES])
    scaler = StandardScaler().fit(numbers[in_training])
    np.testing.assert_allclose(rows[:, [0, 3]], scaler.transform(numbers), rtol=1e-6, atol=1e-7)
    assert rows[:, 1].tolist() == [float(row[1] == "brick") for row in HOUSES]
    assert rows[:, 2].tolist() == [float(row[1] == "wood") for row in HOUSES]
    assert plan(found)["area"]["mean"] == pytest.approx(numbers[in_training][:, 0].mean())
    assert plan(found)["area"]["deviation"] == pytest.approx(numbers[in_training][:, 0].std())


def test_rows_are_in_one_split_each_and_keep_their_target(houses: Path) -> None:
    found = load(houses, "price", val_fraction=0.25)
    assert found.val is not None
    assert [len(s) for s in (found.train, found.val, found.test)] == [18, 6, 6]
    assert every_row(found)[:, -1].tolist() == [float(row[-1]) for row in HOUSES]


def test_features_are_single_precision_and_hold_no_second_copy(houses: Path) -> None:
    found = load(houses, "price")
    assert found.train.dtype == torch.float32
    assert (found.mean, found.std) == (None, None)
    assert isinstance(found.train.samples, torch.Tensor)
    assert found.train.inputs.data_ptr() == found.train.samples.data_ptr()


@pytest.mark.parametrize(
    "options", [{"encoding": "utf-8-sig"}, {"quoting": csv.QUOTE_ALL}, {"lineterminator": "\n"}], ids=str
)
def test_tables_of_other_programs_read_the_same(houses: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    other = write(tmp_path / "other.csv", HEADER, HOUSES, **options)
    assert torch.equal(load(other, "price").train.inputs, load(houses, "price").train.inputs)
    assert load(other, "price").columns == load(houses, "price").columns


def test_quoted_commas_and_spaces_around_cells_and_blank_lines_are_no_trouble(tmp_path: Path) -> None:
    rows = [[f" {i % 9} ", "Ulm, old town" if i % 2 else "Köln", f"{i}.5"] for i in range(30)]
    path = write(tmp_path / "t.csv", [" a ", "town", "y"], rows)
    path.write_text(path.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")
    found = load(path, strict=True)
    assert found.columns == ("a", "town=Köln", "town=Ulm, old town")
    assert found.notes == ()


@pytest.mark.parametrize(("typed", "hint"), [("Price", "did you mean 'price'?"), ("qqq", "choose from: area, ")])
def test_a_target_that_is_not_there_is_answered_with_what_is(houses: Path, typed: str, hint: str) -> None:
    with pytest.raises(DataError, match=f"houses.csv has no column '{typed}'") as caught:
        load(houses, typed)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(("typed", "meant"), [("-1", "price"), ("4", "price"), ("1", "area"), ("-4", "area")])
def test_a_target_may_be_the_number_of_a_column(houses: Path, typed: str, meant: str) -> None:
    assert dropped(load(houses, typed)) == {meant: "it is the target"}


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
    found = of_column(tmp_path / "t.csv", [words[i % len(words)] for i in range(60)])
    assert found.columns == tuple(f"a={word}" for word in sorted(set(words)))


@pytest.mark.parametrize("constant", ["0", "7", "0.1", "-3.3e5", "1234567890.1", "1e30", "red", "2020-01-01"])
def test_a_constant_column_is_dropped_and_said(tmp_path: Path, constant: str) -> None:
    path = write(tmp_path / "t.csv", ["a", "b", "y"], [[constant, i % 7, f"{i}.5"] for i in range(50)])
    found = load(path)
    assert found.columns == ("b",)
    assert "it is always" in dropped(found)["a"]
    assert any("dropped 'a'" in line for line in found.notes)


@pytest.mark.parametrize("constant", [0.1, -3.3e5, 1234567890.1, 1e30])
def test_a_column_that_only_a_test_row_changes_is_finite(tmp_path: Path, constant: float) -> None:
    """And not what rounding makes of nought divided by nought."""
    rows = [[constant, i % 7, "train", f"{i}.5"] for i in range(50)] + [[constant * 1.5, 1, "test", "1.5"]] * 5
    found = load(write(tmp_path / "t.csv", ["a", "b", "part", "y"], rows), split="part", columns=["a", "b"])
    assert "a" not in found.columns
    assert found.test.inputs.isfinite().all()


def changed(row: int, column: int, cell: str) -> list[list[str]]:
    rows = [list(r) for r in HOUSES]
    rows[row - 2][column] = cell
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(7, 0, ""), r"houses\.csv, row 7: column 'area' is missing"),
        (changed(7, 1, " "), r"houses\.csv, row 7: column 'walls' is missing"),
        (changed(7, 3, "  "), r"left out 1 row without a target 'price'"),
        (changed(9, 0, "NaN"), r"houses\.csv, row 9: column 'area' is missing"),
        (changed(31, 0, "inf"), r"houses\.csv, row 31: column 'area' is 'inf'"),
        (changed(31, 0, "1e300"), r"houses\.csv, row 31: column 'area' is '1e300'"),
        (changed(5, 0, "n/a"), r"houses\.csv, row 5: column 'area' is missing"),
        (changed(5, 2, "?"), r"houses\.csv, row 5: column 'rooms' is missing"),
        (changed(5, 0, "1_2"), r"houses\.csv, row 5: column 'area' is '1_2'"),
        (changed(5, 0, "many"), r"houses\.csv, row 5: column 'area' is 'many'"),
        (changed(2, 3, "nan"), r"left out 1 row without a target"),
        ([*HOUSES, ["", "", "", ""]], r"left out 1 row of nothing but separators"),
        ([*HOUSES, ["Total", "", "", "3435"]], r"left out row 32 at the end, 'Total'"),
    ],
)
def test_the_strict_are_told_the_row_of_what_would_be_cleaned(
    tmp_path: Path, rows: list[list[str]], message: str
) -> None:
    path = write(tmp_path / "houses.csv", HEADER, rows)
    with pytest.raises(DataError, match=message) as caught:
        load(path, "price", strict=True)
    assert "data.strict=true" in caught.value.hint
    assert load(path, "price").train.inputs.isfinite().all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*HOUSES[:9], ["1", "brick"], *HOUSES], r"houses\.csv, row 11: 2 cells, but the header has 4"),
        ([*HOUSES, ["1", "brick", "2", "3", "4"]], r"houses\.csv, row 32: 5 cells, but the header has 4"),
        ([HOUSES[0], [], HOUSES[1], ["1", "2", "3"]], r"houses\.csv, row 5: 3 cells"),
        ([], r"houses\.csv has no rows"),
        (HOUSES[:1], r"houses\.csv has 1 row to use, and training, validation and test need one each"),
        (HOUSES[:2], r"houses\.csv has 2 rows to use, and training"),
    ],
)
def test_the_row_of_a_mistake_is_named_as_an_editor_counts(tmp_path: Path, rows: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path / "houses.csv", HEADER, rows), "price")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no rows"),
        (b"y\n1\n2\n3\n", "has no column beside the target 'y'"),
        (b"a,y\n" + b"1,x\n" * 9, "the target 'y' is 'x' in every row"),
        (b"a,y\n" + b"1,1.5\n" * 9, "the target 'y' is 1.5 in every row"),
        (b"a,y\n" + b"1,\n" * 9, "no row has a target 'y'"),
        (b"a,y\n" + b"".join(b"1,w%d\n" % i for i in range(9)), "every row has another target"),
        (b"a,y\n" + b"".join(b"n%d,%d.5\n" % (i, i) for i in range(99)), "no column is left as a feature"),
        (b"a,y\n" + b'1,2\n"3,4\n5,6\n' * 3, "cannot be read as a table"),
        (bytes(range(256)) * 9, "is not text"),
        (b"\x1f\x8b\x08\x00" + bytes(range(200)), "is not text"),
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


def test_the_key_says_which_columns_are_used(houses: Path) -> None:
    assert load(houses, "price", columns=["area", "3"]).columns == ("area", "rooms")
    assert load(houses, "price", drop=["walls"]).columns == ("area", "rooms")
    assert load(houses, "price", categories=["rooms"], drop=["1", "2"]).columns == tuple(f"rooms={i}" for i in range(4))
    with pytest.raises(DataError, match="has no column 'wals'") as caught:
        load(houses, "price", drop=["wals"])
    assert caught.value.hint == "did you mean 'walls'?"
