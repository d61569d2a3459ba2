"""What the cells of a column mean, and the plan that is made of it: kinds, fills, categories, dates."""

import datetime
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder
from tables import dropped, load, of_column, plan, write

from trainer.checkpoint.columns import is_plan
from trainer.data.table import cells
from trainer.data.table.columns import described, understood
from trainer.data.table.planning import LEAST
from trainer.system.errors import DataError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["1", "-2.5", "3e2", "+.5", "7."], [1, -2.5, 300, 0.5, 7]),
        (["1,234", "12,345,678", "7"], [1234, 12345678, 7]),
        (["1,234.5", "7.25"], [1234.5, 7.25]),
        (["12,5", "3"], [12.5, 3]),
        (["1.234,50", "12,5"], [1234.5, 12.5]),
        (["1.234.567", "890"], [1234567, 890]),
        (["R$ 1.234,50", "R$ 99,90"], [1234.5, 99.9]),
        (["R$ 299400", "R$ 96900"], [299400, 96900]),
        (["$1,234.50", "-$5", "$ 7"], [1234.5, -5, 7]),
        (["12 €", "7,50 €"], [12, 7.5]),
        (["12%", "7.5%"], [12, 7.5]),
        (["87940 km", "12 km"], [87940, 12]),
        (["1 234", "1\u202f234,5"], [1234, 1234.5]),
        (["(1,234)", "5"], [-1234, 5]),
        (["\u22125", "5"], [-5, 5]),
    ],
    ids=lambda v: " ".join(map(str, v)),
)
def test_numbers_are_read_however_they_are_written(written: list[str], meant: list[float]) -> None:
    assert cells.numbers(pl.Series(written)).values.to_list() == meant


@pytest.mark.parametrize("word", ["A11", "1Fam", "12a", "2017/2017", "1_2", "0x10", "3+", "1-2", "1:30", "one", "é"])
def test_words_are_no_numbers(word: str) -> None:
    assert cells.numbers(pl.Series([word, word + "x", "5"])).values.to_list() == [None, None, 5]


def test_a_comma_that_groups_or_divides_is_what_the_other_columns_say(tmp_path: Path) -> None:
    rows = [[f"1,{i:03}", f"{i},5", f"{i}.25"] for i in range(40)]
    assert plan(load(write(tmp_path / "t.csv", ["a", "b", "y"], rows)))["a"]["mean"] < 2
    rows = [[f"1,{i:03}", f"{i}.5", f"{i}.25"] for i in range(40)]
    assert plan(load(write(tmp_path / "u.csv", ["a", "b", "y"], rows)))["a"]["mean"] > 1000


@pytest.mark.parametrize("word", ["", " ", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", "-"])
def test_words_for_missing_cells(tmp_path: Path, word: str) -> None:
    numbers = [word if i % 7 == 3 else str(i % 11) for i in range(80)]
    found = of_column(tmp_path / "n.csv", numbers)
    assert found.columns == ("a", "a is missing")
    assert found.notes == ("n.csv: missing numbers filled with the median: 'a'",)
    words = [word if i % 7 == 3 else "red" if i % 2 else "blue" for i in range(80)]
    found = of_column(tmp_path / "w.csv", words)
    assert found.columns == ("a=blue", "a=red", "a is missing")
    assert found.train.inputs.sum(1).unique().tolist() == [1.0]


def test_missing_numbers_are_filled_with_the_median_of_the_training_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(90) < 0.2, np.nan, rng.exponential(size=90).round(3))
    parts = ["test" if i % 3 == 0 else "train" for i in range(90)]
    rows = [["" if math.isnan(v) else v, part, f"{i}.5"] for i, (v, part) in enumerate(zip(values, parts, strict=True))]
    found = load(write(tmp_path / "t.csv", ["a", "part", "y"], rows), split="part")
    training = np.array([part == "train" for part in parts])
    filled = SimpleImputer(strategy="median").fit(values[training, None]).transform(values[:, None])[:, 0]
    mean, deviation = filled[training].mean(), filled[training].std()
    for split, which in ((found.train, training), (found.test, ~training)):
        np.testing.assert_allclose(split.inputs[:, 0], (filled[which] - mean) / deviation, rtol=1e-5, atol=1e-6)
        assert split.inputs[:, 1].tolist() == np.isnan(values[which]).astype(float).tolist()


def test_a_few_words_among_many_numbers_are_missing_and_said(tmp_path: Path) -> None:
    found = of_column(
        tmp_path / "t.csv", [("unknown", "~12")[i % 2] if i % 90 == 0 else str(i % 83) for i in range(900)]
    )
    assert found.columns == ("a", "a is missing")
    assert "t.csv: 'a': 10 cells of another kind taken for missing" in found.notes


def test_categories_are_by_frequency_and_the_rare_in_one_bucket(tmp_path: Path) -> None:
    counts = {"often": 40, "seldom": LEAST + 9, "once": 1, "twice": 2}
    words = [word for word, count in counts.items() for _ in range(count)]
    rows = [[word, "train", f"{i}.5"] for i, word in enumerate(words)] + [["never seen", "test", "1.5"]] * 3
    found = load(write(tmp_path / "t.csv", ["a", "part", "y"], rows), split="part")
    assert found.columns == ("a=often", "a=seldom", "a is rare")
    assert found.test.inputs.tolist() == [[0, 0, 1]] * 3
    assert "t.csv: rare words count as one: 'a'" in found.notes
    expected = OneHotEncoder(min_frequency=LEAST, sparse_output=False).fit_transform(np.array(words)[:, None])
    np.testing.assert_array_equal(found.train.inputs, expected)


def test_a_word_that_is_new_where_none_was_rare_is_none_of_the_words(tmp_path: Path) -> None:
    rows = [["ab"[i % 2], "train", f"{i}.5"] for i in range(40)] + [["c", "test", "1.5"]] * 3
    found = load(write(tmp_path / "t.csv", ["a", "part", "y"], rows), split="part")
    assert found.columns == ("a=a", "a=b")
    assert found.test.inputs.tolist() == [[0, 0]] * 3


@pytest.mark.parametrize(
    ("name", "column", "reason"),
    [
        ("Name", [f"Passenger, No. {i}" for i in range(60)], "names or texts (60 different)"),
        ("Surname", [f"Name{i // 2}" for i in range(60)], "names or texts (30 different)"),
        ("customerID", [f"C{i:04}" for i in range(60)], "an identifier"),
        ("PassengerId", [1000 + 7 * i for i in range(60)], "an identifier"),
        ("customer_id", [(i * 7919) % 10007 for i in range(60)], "an identifier"),
        ("anything", [*range(60)], "the numbers of the rows"),
        ("nothing", [""] * 60, "it is empty"),
    ],
)
def test_identifiers_names_and_texts_are_dropped_and_said(
    tmp_path: Path, name: str, column: list[object], reason: str
) -> None:
    rows = [[cell, i % 7, f"{i}.5"] for i, cell in enumerate(column)]
    path = write(tmp_path / "t.csv", [name, "b", "y"], rows)
    found = load(path, test_fraction=0.02)
    assert dropped(found)[name].partition(" (")[0] == reason.partition(" (")[0]
    assert any(f"dropped '{name}'" in line for line in found.notes)
    with pytest.raises(DataError, match=f"'{name}'"):
        load(path, strict=True)


@pytest.mark.parametrize("name", ["humidity", "paid", "grid", "valid", "price", "Salary", "year"])
def test_numbers_that_all_differ_are_numbers(tmp_path: Path, name: str) -> None:
    rows = [[(i * 7919) % 10007, i % 7, f"{i}.5"] for i in range(60)]
    assert load(write(tmp_path / "t.csv", [name, "b", "y"], rows)).columns == (name, "b")


def test_numbers_that_count_up_are_used_if_there_is_nothing_else(tmp_path: Path) -> None:
    rows = [[i, f"{i}.5"] for i in range(60)]
    assert load(write(tmp_path / "t.csv", ["n", "y"], rows)).columns == ("n",)


def test_the_user_decides_otherwise(tmp_path: Path) -> None:
    rows = [[f"C{i}", i % 3, i % 7, f"{i}.5"] for i in range(60)]
    path = write(tmp_path / "t.csv", ["customerID", "n", "b", "y"], rows)
    assert len(load(path, columns=["customerID"]).columns) > 40
    assert load(path, categories=["n"]).columns == ("n=0", "n=1", "n=2", "b")
    assert load(path, drop=["n"]).columns == ("b",)


@pytest.mark.parametrize(
    ("no", "yes"),
    [("False", "True"), ("no", "yes"), ("N", "Y"), ("f", "t"), ("off", "on"), ("não", "sim"), ("NO", "Yes")],
)
def test_booleans_are_one_feature(tmp_path: Path, no: str, yes: str) -> None:
    found = of_column(tmp_path / "t.csv", [yes if i % 3 else no for i in range(60)])
    assert found.columns == ("a",)
    assert found.train.inputs.mean() == pytest.approx(2 / 3, abs=0.1)
    assert plan(found)["a"] | {"fill": 1.0} == {
        "kind": "boolean",
        "name": "a",
        "words": [no.lower(), yes.lower()],
        "fill": 1.0,
        "missing": False,
    }


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("%Y-%m-%d", None),
        ("%d/%m/%Y", None),
        ("%m/%d/%Y", None),
        ("%d.%m.%Y", None),
        ("%Y/%m/%d", None),
        ("%d-%b-%Y", None),
        ("%Y-%m-%d %H:%M:%S", None),
        ("%Y-%m-%dT%H:%M:%SZ", None),
        ("%m/%d/%Y %H:%M", None),
        ("%Y%m%dT%H%M%S", None),
    ],
)
def test_dates_become_year_month_weekday_and_hour(tmp_path: Path, form: str, start: None) -> None:
    days = [datetime.datetime(2019, 11, 3, 5, 30) + datetime.timedelta(days=11 * i, hours=i) for i in range(60)]
    found = of_column(tmp_path / "t.csv", [day.strftime(form) for day in days], test_fraction=0.02)
    parts = plan(found)["a"]["parts"]
    hourly = ["hour"] if "%H" in form else []
    assert [part["name"] for part in parts] == ["year", "month", "weekday", *hourly]
    rows = found.train.targets[:, 0].long()
    expected = {
        "year": [day.year for day in days],
        "month": [day.month for day in days],
        "weekday": [day.isoweekday() for day in days],
        "hour": [day.hour + day.minute / 60 for day in days],
    }
    for place, part in enumerate(parts):
        values = found.train.inputs[:, place] * part["deviation"] + part["mean"]
        torch.testing.assert_close(values, torch.tensor(expected[part["name"]])[rows].float(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("form", ["%Y-%m", "%m/%Y", "%b-%y", "%B %Y"])
def test_months_become_year_and_month(tmp_path: Path, form: str) -> None:
    months = [datetime.date(2015 + i % 5, i % 12 + 1, 1) for i in range(60)]
    found = of_column(tmp_path / "t.csv", [month.strftime(form) for month in months])
    assert found.columns == ("a year", "a month")


def test_times_of_day_become_hours(tmp_path: Path) -> None:
    found = of_column(tmp_path / "t.csv", [f"{i % 24}:{i % 60:02}" for i in range(60)])
    assert found.columns == ("a hour",)


def test_days_and_months_that_cannot_be_told_apart_are_in_the_order_of_the_rows(tmp_path: Path) -> None:
    days = [datetime.date(2019, month, day) for month in range(1, 13) for day in (1, 5, 9)]
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        found = of_column(tmp_path / "t.csv", [day.strftime(form) for day in days])
        assert plan(found)["a"]["form"] == form


def test_a_plan_is_plain_data_and_comes_back(tmp_path: Path) -> None:
    rows = [
        [
            i % 9,
            "" if i % 5 else i,
            "ab"[i % 2],
            "yes" if i % 3 else "no",
            f"2020-{i % 12 + 1:02}-01",
            f"n{i}",
            f"{i}.5",
        ]
        for i in range(60)
    ]
    found = load(write(tmp_path / "t.csv", ["a", "b", "c", "d", "e", "f", "y"], rows))
    assert found.plan is not None
    text = json.dumps(list(found.plan))
    assert is_plan(json.loads(text))
    assert tuple(described(understood(column)) for column in json.loads(text)) == found.plan
    kinds = [column["kind"] for column in found.plan]
    assert kinds == ["number", "number", "category", "boolean", "date", "dropped", "dropped"]


NUMBER = {"kind": "number", "name": "a", "fill": 0.0, "mean": 0.0, "deviation": 1.0, "missing": False, "comma": False}
CATEGORY = {"kind": "category", "name": "a", "words": ["x", "y"], "rare": False, "missing": False}
DATE = {"kind": "date", "name": "a", "form": "%Y-%m-%d", "parts": [], "missing": True}


@pytest.mark.parametrize("good", [NUMBER, CATEGORY, DATE, NUMBER | {"fill": -1e30}])
def test_a_plan_of_its_shape_is_taken(good: dict[str, Any]) -> None:
    assert is_plan([good])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        NUMBER | {"kind": "os.system"},
        NUMBER | {"kind": ["number"]},
        NUMBER | {"name": 5},
        NUMBER | {"name": "\ud800"},
        NUMBER | {"deviation": 0.0},
        NUMBER | {"deviation": -1.0},
        NUMBER | {"mean": "1"},
        NUMBER | {"mean": True},
        NUMBER | {"mean": 1e308},
        NUMBER | {"fill": 10**400},
        NUMBER | {"missing": 1},
        NUMBER | {"more": 1},
        {key: value for key, value in NUMBER.items() if key != "mean"},
        CATEGORY | {"words": ["x", "x"]},
        CATEGORY | {"words": "xy"},
        CATEGORY | {"words": [1, 2]},
        DATE | {"form": "%s" * 10},
        DATE | {"form": "%Y" * 100},
        DATE | {"parts": [NUMBER]},
        DATE | {"parts": [NUMBER | {"name": "month", "missing": True}]},
        DATE | {"parts": [NUMBER | {"name": "__class__"}]},
        {"kind": "boolean", "name": "a", "words": ["x"], "fill": 0, "missing": False},
    ],
    ids=str,
)
def test_a_plan_of_another_shape_is_refused(wrong: dict[str, Any]) -> None:
    assert not is_plan([wrong])


def test_a_plan_with_two_columns_of_one_name_is_refused() -> None:
    assert not is_plan([NUMBER, CATEGORY])
    assert not is_plan({"a": NUMBER})
    assert not is_plan(None)


def test_a_table_that_becomes_too_many_features_is_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.table.encoding.FEATURES", 100)
    rows = [[*(f"w{(i + j) % 50}" for j in range(3)), f"{i}.5"] for i in range(400)]
    path = write(tmp_path / "t.csv", ["a", "b", "c", "y"], rows)
    with pytest.raises(DataError, match=r"t\.csv becomes 150 features, and at most 100 can be used") as caught:
        load(path)
    assert "'a' has 50 words" in caught.value.hint
