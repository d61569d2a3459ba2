"""Rows of tables as a predictor takes them: given as lists, arrays or data frames, they are what a file's rows are."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from composing import composed
from running import SILENT

from trainer.cli.main import main
from trainer.data.table.columns import Category
from trainer.engine import device
from trainer.predict.predictor import Predictor, load
from trainer.predict.tables import encoded
from trainer.run.evaluating import Evaluated
from trainer.show.report import Report
from trainer.system.errors import DataError

HEADER = ["size", "town", "when", "sold", "code", "price"]


def rows(count: int = 60) -> list[list[str]]:
    """A messy table: missing cells, units, words, dates, truth values, and codes with leading zeros."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        size = rng.uniform(20, 200)
        made.append(
            [
                "" if number % 11 == 0 else f"{size:.1f}",
                ("Rome", "Oslo", "", "Bern")[number % 4],
                f"20{10 + number % 9}-0{1 + number % 9}-15",
                ("yes", "no")[number % 3 == 0],
                ("007", "08", "a")[number % 3],
                f"{3 * size + 10 * (number % 4) + 0.5:.2f}",
            ]
        )
    return made


def written(path: Path, header: list[str], lines: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*([header] if header else []), *lines])
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on such a table."""
    folder = tmp_path_factory.mktemp("homes")
    table = written(folder / "homes.csv", HEADER, rows())
    words = ("model=linear", "data=csv", f"data.path={table}", "data.target=price", "epochs=1", *SILENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", *words, "name=homes"]) == 0
    (made,) = (folder / "runs" / "homes").iterdir()
    return made


def predictor(run: Path) -> Predictor:
    return load(composed("eval", f"ckpt={run}"), str(run), device.choose("cpu", "float32"), Report(quiet=True))


def in_evaluation(run: Path) -> tuple[torch.Tensor, list[int]]:
    """The features of all rows as `trainer eval` encodes them, and the rows' numbers among those of the table."""
    compute = device.choose("cpu", "float32")
    model = Evaluated(composed("eval", f"ckpt={run}"), str(run), "all", compute, Report(quiet=True), False)
    samples = model.data.split("all")
    return samples.inputs, [int(samples.name(place)) - 2 for place in range(len(samples))]


def columns() -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows()] for place, name in enumerate(HEADER)}


def test_columns_given_in_any_way_are_encoded_as_the_rows_of_the_file(run: Path) -> None:
    expected, order = in_evaluation(run)
    model = predictor(run)
    assert model.plan is not None
    assert {type(column).__name__ for column in model.plan} == {"Number", "Category", "Date", "Boolean", "Dropped"}
    words = columns()
    sizes = [None if cell == "" else float(cell) for cell in words["size"]]
    typed = words | {"size": sizes, "town": [cell or None for cell in words["town"]]}
    frame = pd.DataFrame(typed)
    frame["when"] = pd.to_datetime(frame["when"])
    frame["town"] = frame["town"].astype("category")
    without = {name: cells for name, cells in words.items() if name != "price"}
    polars = pl.DataFrame(typed).with_columns(pl.col("when").str.to_date())
    for given in (
        words,
        typed,
        frame,
        without,
        {**words, "more": [1] * 60},
        polars.to_dict(),
        polars.to_dict(as_series=False),
    ):
        assert torch.equal(encoded(model, given)[order], expected)
    one = {name: cells[17:18] for name, cells in typed.items()}
    assert torch.equal(encoded(model, one), encoded(model, words)[17:18])


def test_a_number_that_was_trained_as_a_word_is_that_word_however_it_is_written(run: Path) -> None:
    model = predictor(run)
    model.__dict__["plan"] = tuple(
        Category("code", ("7", "08", "a")) if column.name == "code" else column for column in model.plan or ()
    )
    place = sum(len(column.features) for column in model.plan[:4])
    for cells in (["7", "08", "a"], ["07", "08", "a"], ["7.0", "08", "a"], [7, "08", "a"], [7.0, "08", "a"]):
        assert torch.equal(encoded(model, {"code": cells})[:, place:], torch.eye(3))


def test_columns_that_cannot_be_used_are_refused_in_one_line(run: Path) -> None:
    model = predictor(run)
    for given, said in (
        ({"colour": ["red"]}, "none of the model's columns"),
        ({"size": [1.0, 2.0], "town": ["Rome"]}, "has 1 row"),
        ({"size": 3.0}, "a list"),
        ({"size": [[1.0]]}, "a list, and a number"),
        ({"town": ["Rome", {"a": 1}]}, "row 2: a dict"),
        ({"size": np.zeros((2, 2))}, "shape (2, 2)"),
    ):
        with pytest.raises(DataError, match=re.escape(said)) as error:
            encoded(model, given)
        assert "\n" not in error.value.message
