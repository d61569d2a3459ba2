"""`trainer predict` of tables: every row says what an evaluation of the same rows says, however the table comes."""

import io
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from composing import composed
from predicting import Predict, commanded, table
from running import SILENT
from test_predict_tables import HEADER, rows, written

from trainer.cli.main import main
from trainer.data.table import reading
from trainer.engine import device
from trainer.run.evaluating import Evaluated
from trainer.show.report import Report


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table `homes.csv`, and models of it: `price`, a quantity, and `town`, one of three classes."""
    folder = tmp_path_factory.mktemp("homes")
    written(folder / "homes.csv", HEADER, rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for target in ("price", "town"):
            words = ("model=linear", "data=csv", "data.path=homes.csv", f"data.target={target}", "epochs=2", *SILENT)
            assert main(["train", *words, f"name={target}"]) == 0
            (made,) = Path("runs", target).iterdir()
            Path(target).symlink_to(made)
    return folder


@pytest.fixture
def predict(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Predict:
    """Run `trainer predict ARGS...` there."""
    monkeypatch.chdir(home)
    return commanded(capfd)


def evaluated(run: str) -> dict[int, np.ndarray]:
    """What an evaluation says of each row of the table, by its number: probabilities, or the value."""
    compute = device.choose("cpu", "float32")
    model = Evaluated(composed("eval", f"ckpt={run}"), run, "all", compute, Report(quiet=True), False)
    outcome = model.evaluator.outcome("all")
    likely = outcome.probabilities if outcome.classes else outcome.outputs
    return {int(outcome.name(place)): likely[place].numpy() for place in range(len(outcome))}


def test_rows_are_predicted_as_they_are_evaluated(predict: Predict) -> None:
    for run, columns in (("price", ["predicted"]), ("town", ["p_Bern", "p_Oslo", "p_Rome"])):
        ran = predict(run, "input=homes.csv", *(["predict.all=true"] if run == "town" else []))
        assert ran.code == 0, ran.err
        found, expected = table(), evaluated(run)
        assert found["input"].to_list() == list(range(2, 62))
        for line, *values in found[["input", *columns]].iter_rows():
            if line in expected:  # rows without a target are predicted, but not evaluated
                assert values == pytest.approx(expected[line].tolist(), abs=1e-4 if run == "price" else 1e-6)


def test_the_same_rows_in_other_files_are_predicted_alike(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    assert predict("price", "input=homes.csv", "out=expected.csv").code == 0
    expected = table("expected.csv")["predicted"].to_list()
    given = rows()
    without = [row[:-1] for row in given]
    frame = pl.DataFrame({name: [row[place] or None for row in given] for place, name in enumerate(HEADER)})
    frame = frame.with_columns(pl.col("size", "price").cast(pl.Float64), pl.col("when").str.to_date())
    frame[::-1].write_parquet("homes.parquet")
    written(Path("without.csv"), HEADER[:-1], without)
    written(Path("nameless.csv"), [], without)
    written(Path("nameless_all.csv"), [], given)
    lines = [";".join([row[0].replace(".", ","), *row[1:5]]) for row in given]
    Path("commas.csv").write_text("\n".join([";".join(HEADER[:-1]), *lines, "Total;;;;"]), encoding="utf-16")
    for path in ("without.csv", "nameless.csv", "nameless_all.csv", "commas.csv", "homes.parquet"):
        ran = predict("price", f"input={path}")
        assert ran.code == 0, ran.err
        values = table()["predicted"].to_list()
        assert (values[::-1] if path == "homes.parquet" else values) == expected, path
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("without.csv").read_bytes())))
    assert predict("price", "input=-").code == 0
    assert table()["predicted"].to_list() == expected
    assert predict("price", "input=[without.csv,nameless.csv]").code == 0
    assert table()["predicted"].to_list() == 2 * expected
    assert table()["input"].to_list()[59:61] == ["without.csv:61", "nameless.csv:1"]


def test_a_large_table_is_read_in_parts_and_says_the_same(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [row[:-1] for row in rows() * 40]
    written(Path("many.csv"), HEADER[:-1], many)
    Path("many.csv").write_text(Path("many.csv").read_text() + "Total,,,,\n")
    frame = pl.DataFrame({name: [row[place] for row in many] for place, name in enumerate(HEADER[:-1])})
    frame.write_parquet("many.parquet", row_group_size=1000)
    assert predict("price", "input=many.csv", "out=whole.csv").code == 0
    monkeypatch.setattr("trainer.data.table.reading._SMALL", 10_000)
    monkeypatch.setattr("trainer.data.table.blocks._BLOCK", 8_000)
    monkeypatch.setattr("trainer.data.table.blocks._SAMPLE", 4_000)
    monkeypatch.setattr("trainer.data.table.parquet._PART", 3_500)
    parts = [*reading.parts(Path("many.csv"), HEADER, ["size"], reading.Notes(Path("many.csv"), False))]
    assert len(parts) > 5
    whole = table("whole.csv")
    for path in ("many.csv", "many.parquet"):
        assert predict("price", f"input={path}").code == 0
        found = table()
        assert len(found) == 2400
        assert np.allclose(found["predicted"], whole["predicted"], rtol=1e-6)
        if path == "many.csv":
            assert found["input"].equals(whole["input"])


def test_a_row_that_does_not_fit_the_columns_becomes_an_error_in_its_place(predict: Predict) -> None:
    given = [row[:-1] for row in rows() * 2]
    given[5] = given[5][:3]
    written(Path("ragged.csv"), HEADER[:-1], given)
    ran = predict("price", "input=ragged.csv")
    assert ran.code == 1
    found = table()
    assert found["input"].to_list() == list(range(2, 122))
    assert found.filter(pl.col("error").is_not_null()).rows() == [(7, None, "it has 3 cells, but the header has 5")]


def test_what_the_model_does_not_know_is_noted(predict: Predict) -> None:
    written(Path("other.csv"), ["town", "size", "colour"], [["Paris", "12 km", "red"], ["Oslo", "large", "blue"]] * 3)
    ran = predict("price", "input=other.csv")
    assert ran.code == 0, ran.err
    for said in (
        "there is no 'when', 'sold', 'code': taken for missing in every row",
        "'size': 3 cells of another kind taken for missing",
        "columns that the model was not trained on: 'colour'",
    ):
        assert said in ran.out


def test_an_unfit_table_is_refused_in_a_line(predict: Predict) -> None:
    written(Path("strange.csv"), ["a", "b"], [["1", "2"]] * 3)
    Path("zero.csv").write_bytes(b"\0" * 100)
    Path("nothing.csv").write_text("")
    Path("header.csv").write_text(",".join(HEADER))
    Path("quote.csv").write_text('size,town\n1,"Rome\n2,Oslo\n')
    Path("cut.parquet").write_bytes(b"PAR1" + b"\0" * 50)
    Path("photo.png").write_bytes(b"")
    for path, said in (
        ("strange.csv", "none of the model's columns"),
        ("zero.csv", "not text"),
        ("nothing.csv", "no rows"),
        ("header.csv", "no rows"),
        ("quote.csv", "cannot be read as a table"),
        ("cut.parquet", "cannot be read"),
        ("photo.png", "photo.png is an image"),
        (".", ". is a folder"),
        ("*.txt", "no file matches"),
    ):
        ran = predict("price", f"input={path}")
        assert (ran.code, said in ran.err) == (2, True), (path, ran.err)
        assert len(ran.err.splitlines()) <= 2
        assert not Path("predictions.csv").exists()
    assert "no classes" in predict("price", "input=homes.csv", "predict.threshold=0.5").err


@pytest.mark.slow
def test_plain_numbers_are_taken_by_name_or_order_and_a_row_without_one_is_an_error(predict: Predict) -> None:
    assert main(["train", "model=linear", "data=diabetes", "epochs=1", "name=sugar", *SILENT]) == 0
    (run,) = Path("runs", "sugar").iterdir()
    names = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    rng = np.random.default_rng(0)
    values = rng.normal(50, 10, (7, 10)).round(2)
    cells = [[str(value) for value in row] for row in values]
    cells[3][2] = "?"
    written(Path("named.csv"), [*names[::-1], "more"], [[*row[::-1], "x"] for row in cells])
    written(Path("numbers.csv"), [], cells)
    found = []
    for path in ("named.csv", "numbers.csv"):
        ran = predict(str(run), f"input={path}")
        assert ran.code == 1, ran.err
        assert "error: 1 of 7 rows could not be used" in ran.err
        found.append(table())
    assert found[0]["predicted"].equals(found[1]["predicted"])
    assert "'bmi', of which the model takes a number" in found[0]["error"][3]
    written(Path("few.csv"), names[:-1], [row[:-1] for row in cells])
    assert "has no 's6', and the model cannot do without" in predict(str(run), "input=few.csv").err
