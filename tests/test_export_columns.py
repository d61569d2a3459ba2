"""The plan of a table's columns as a part of an exported model, compared with the encoding that the training uses."""

import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch
from running import SILENT
from test_export import WITHOUT_TORCH
from torch import nn

from trainer.cli.main import main
from trainer.data import load
from trainer.data.preparing import prepare
from trainer.data.sets.table import Table
from trainer.data.splits import untracked
from trainer.data.table.cells import MISSING, Cells
from trainer.data.table.columns import Boolean, Category, Column, Date, Dropped, Number, understood
from trainer.export import columns
from trainer.export.columns_module import ByName, Columns
from trainer.export.columns_onnx import _spellings, name_inputs
from trainer.export.columns_rows import cells_of
from trainer.system.errors import CheckpointError, DataError

FILLS = {"year": 1999.0, "month": 6.0, "weekday": 2.0, "hour": 7.5}
PARTS = tuple(Number(part, fill, 3.0, 1.5) for part, fill in FILLS.items())
PLAN: tuple[Column, ...] = (
    Number("a 'quoted\" \\ number", 28.0, 29.7, 13.1, missing=True),
    Dropped("dropped", "an identifier"),
    Category("sex", ("female", "male")),
    Number("", 1e-30, 1e-30, 1e-40),
    Category("größe, in °C\n", ("3", "A b", "NaN", "a b", "ça va", "名前", "x" * 300), rare=True, missing=True),
    Boolean("alive?", ("não", "sim"), 1.0, missing=True),
    Date("seen", "%Y-%m-%d %H:%M:%S", PARTS, missing=True),
    Date("only whether", "%Y-%m-%d", (), missing=True),
    Category("values", ("only",), missing=True),
    Boolean("model/_to_copy", ("no", "yes"), 0.0),
    Number('"); raise SystemExit("run"); ("', 0.0, -5.0, 1e200),
    Category("rare only", ("u", "v"), rare=True),
    Date("hour", "%H:%M", PARTS[3:]),
)  # fmt: skip
WORDS = ["female", "Male", "male", "", None, "3", "3.0", "A b", "a b", "ÇA VA", "ça va", "名前", "x" * 300, "only", "v"]
WORDS += ["\t", "não", "NÃO", "Sim", "SIM", "yes", "YES", "no", "No", "nO", "u v", "🙂", "'", '"', "\\"]
WORDS += ["none", "NaN", "<NA>", "n/A", *MISSING]
NUMBERS = [0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 3.4028234e38, 3.5e38, -1e308, 5e-324, 29.7, 1 / 3, 2**53 + 1, 1e-40]
DAYS = ["1970-01-01", "1969-12-31", "2000-02-29", "1900-03-01", "2100-02-28", "2024-12-31", "0001-01-01", "9999-12-31"]
DAYS += ["1600-02-29", "1582-10-15", "", "yesterday"]
HOURS = ["00:00:00", "23:59:59", "12:30:15", "00:00:59", "07:08:09"]
ROWS = 150


def table() -> dict[str, Cells]:
    """Cells of each column, but for one that is absent."""
    random = np.random.default_rng(0)

    def drawn(words: Sequence[str | None]) -> list[str]:
        found: list[str] = random.choice(np.array(words, dtype=object), ROWS).tolist()
        return found

    found: dict[str, Cells] = {}
    for column in PLAN:
        if isinstance(column, Number):
            found[column.name] = np.concatenate([NUMBERS, random.normal(20, 30, ROWS - len(NUMBERS))])
        elif isinstance(column, Date):
            days, hours = drawn(DAYS), drawn(HOURS)
            forms = {"%Y-%m-%d": days, "%H:%M": [hour[:5] for hour in hours]}
            both = [f"{day} {hour}" for day, hour in zip(days, hours, strict=True)]
            found[column.name] = pl.Series(forms.get(column.form, both))
        elif column.name != "values":
            found[column.name] = pl.Series([*WORDS, *drawn(WORDS)][:ROWS])
    return found


def encoded(plan: tuple[Column, ...], cells: Mapping[str, Cells], rows: int) -> np.ndarray:
    """The features as the training makes them."""
    parts = []
    for column in plan:
        out = np.empty((rows, len(column.features)), dtype=np.float32)
        given = cells.get(column.name, columns.missing(rows))
        if isinstance(column, Number) and isinstance(given, np.ndarray):  # as they are read from a table
            given = np.where(np.abs(given) <= 3.4028234e38, given, np.nan)
        column.encode(given, out)
        parts.append(out)
    return np.concatenate(parts, 1)


def traced(model: nn.Module, example: dict[str, torch.Tensor]) -> Any:
    batch = torch.export.Dim("batch", min=1)
    shapes = ({key: {0: batch} for key in example},)
    return torch.export.export(model.eval(), (example,), dynamic_shapes=shapes)


@pytest.fixture(scope="module")
def pt2() -> Any:
    """The plan alone in torch's format."""
    inputs = columns.inputs_of(PLAN)
    return traced(ByName(inputs), columns.tensors(inputs, table(), ROWS))


@pytest.fixture(scope="module")
def onnx() -> tuple[onnxruntime.InferenceSession, tuple[columns.Input, ...]]:
    """The plan alone in ONNX's format, and its inputs."""
    inputs = columns.inputs_of(PLAN)
    module = traced(Columns(inputs), columns.matrices(inputs, table(), ROWS))
    program = torch.onnx.export(module, dynamo=True, verbose=False, output_names=["values"])
    assert program is not None
    model = program.model_proto
    name_inputs(model, inputs)
    return onnxruntime.InferenceSession(model.SerializeToString()), inputs


def test_a_file_in_onnx_format_makes_the_features_of_training_to_the_bit(onnx: Any) -> None:
    session, inputs = onnx
    cells = table()
    given = columns.arrays(inputs, cells, ROWS)
    assert [value.name for value in session.get_inputs()] == list(given)
    (found,) = session.run(None, given)
    np.testing.assert_array_equal(found, encoded(PLAN, cells, ROWS))


def test_inputs_are_called_as_the_columns_but_where_a_name_is_empty_or_taken(onnx: Any) -> None:
    _, inputs = onnx
    other = {entry.column.name: entry.name for entry in inputs if entry.name != entry.column.name}
    assert other == {"": "column 4", "values": "values 2"}
    assert [entry.column for entry in inputs] == [column for column in PLAN if column.features]


def test_a_file_in_torch_format_makes_the_features_of_training_to_the_bit(pt2: Any, tmp_path: Any) -> None:
    torch.export.save(pt2, tmp_path / "model.pt2")
    cells = table()
    given = columns.tensors(columns.inputs_of(PLAN), cells, ROWS)
    found = torch.export.load(tmp_path / "model.pt2").module()(given)
    np.testing.assert_array_equal(found.numpy(), encoded(PLAN, cells, ROWS))


@pytest.mark.parametrize("rows", [1, 2])
def test_batches_may_be_of_any_size(onnx: Any, pt2: Any, rows: int) -> None:
    session, inputs = onnx
    cells = {name: given[:rows] for name, given in table().items()}
    expected = encoded(PLAN, cells, rows)
    np.testing.assert_array_equal(session.run(None, columns.arrays(inputs, cells, rows))[0], expected)
    np.testing.assert_array_equal(pt2.module()(columns.tensors(inputs, cells, rows)).numpy(), expected)


def test_a_word_for_yes_that_a_strangers_file_makes_long_is_refused() -> None:
    with pytest.raises(CheckpointError, match="more than 12 letters"):
        list(_spellings("a" * 13))
    assert sorted(_spellings("não")) == sorted("".join(w) for w in itertools.product("nN", "ãÃ", "oO"))


@pytest.mark.parametrize(
    "column", [Number("n", 0.0, 0.0, 2.0), Category("c", ("a",), rare=True), Boolean("b", ("n", "y"), 0.0)]
)
def test_a_table_of_one_kind_of_columns_needs_no_other(column: Column) -> None:
    cells = {column.name: pl.Series(["1.5", "a", None, "y", "N"])}
    inputs = columns.inputs_of([column])
    found = Columns(inputs)(columns.matrices(inputs, cells, 5))
    np.testing.assert_array_equal(found.numpy(), encoded((column,), cells, 5))


def test_rows_are_found_again_in_the_file_of_their_split(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ages = enumerate(random.normal(40, 9, 90))
    rows = (f"{age:.1f},{'xyz'[i % 3]},2020-01-{i % 28 + 1:02},{i % 2}" for i, age in ages)
    lines = ["age,town,seen,label", *rows]
    lines[7] = ",?,,1"
    for name in ("all.csv", "own.csv"):
        (tmp_path / name).write_text("\n".join(lines[: len(lines) - 10 * (name == "own.csv")]))
    for test_path in (None, str(tmp_path / "own.csv")):
        config = Table(
            name="table", path=str(tmp_path / "all.csv"), target="label", test_path=test_path, val_fraction=0.2
        )
        loaded = prepare(load(config, untracked), config)
        plan = tuple(map(understood, loaded.plan or ()))
        inputs = columns.inputs_of(plan)
        for name in ("train", "val", "test"):
            split = loaded.split(name)
            found = Columns(inputs)(columns.matrices(inputs, cells_of(config, name, split, plan), len(split)))
            assert torch.equal(found, split.inputs)


def rows(count: int, seed: int) -> list[list[str]]:
    """Rows of numbers, words, truth values and dates that say of what class they are, with some cells missing."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        age, town = random.normal(40, 9), random.choice(["Rio", "São Paulo", "a, b", "rare"], p=[0.4, 0.3, 0.25, 0.05])
        when = f"20{random.integers(10, 24)}-{random.integers(1, 13):02}-{random.integers(1, 29):02} 07:30:00"
        cells = [f"{age:.2f}", town, random.choice(["Sim", "não", "NÃO"]), when]
        cells = [random.choice(["", "?", "NA"]) if random.random() < 0.1 else cell for cell in cells]
        found.append([*cells, "old" if age + 9 * (town == "Rio") > 45 else "young"])
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a table `all.csv`, `new.csv`, and a `run` that was trained on the first."""
    here = tmp_path_factory.mktemp("columns")
    header = ['age ("years")', "town", "alive?", "seen", "label"]
    for name, found in (("all.csv", rows(300, 0)), ("new.csv", [*rows(60, 1), ["", "Nowhere", "maybe", "", ""]])):
        with open(here / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *found])
    words = ("model=mlp", "data=table", "data.path=all.csv", "data.target=label", "epochs=3", *SILENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert main(["train", *words]) == 0
        next(here.glob("runs/*/*")).rename(here / "run")
    return here


@pytest.fixture
def there(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`made` as the current directory; how fast a file is does not matter."""
    monkeypatch.chdir(made)
    monkeypatch.setattr("trainer.export.proof._PATIENCE", 0)
    return made


def test_the_script_of_the_documentation_says_what_trainer_predict_says(there: Path) -> None:
    assert main(["export", "run"]) == 0
    proof = json.loads(Path("mlp_table.onnx.json").read_text())
    assert proof["proved"]
    assert (proof["samples"], proof["equal_answers"]) == (60, 1)
    page = (Path(__file__).parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
    script = page.split("`rows.py`\n\n```python\n")[1].split("```")[0]
    call = [sys.executable, "-c", WITHOUT_TORCH + script, "mlp_table.onnx", "new.csv"]
    ran = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    assert main(["predict", "run", "input=new.csv", "out=new_predicted.csv"]) == 0
    with open("new_predicted.csv", newline="", encoding="utf-8") as file:
        expected = [(row["predicted"], float(row["probability"])) for row in csv.DictReader(file)]
    found = [(line.split()[0], float(line.split()[1])) for line in ran.stdout.splitlines()]
    assert [name for name, _ in found] == [name for name, _ in expected]
    np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], atol=1e-4)


@pytest.mark.slow
def test_torchs_format_and_made_up_cells_are_proved_too(there: Path) -> None:
    for words in (["format=pt2"], ["format=pt2", "export.proof=random"], ["export.proof=random", "out=random.onnx"]):
        assert main(["export", "run", *words]) == 0
    extra = {"metadata.json": ""}
    module = torch.export.load("mlp_table.pt2", extra_files=extra).module()
    said = json.loads(json.loads(extra["metadata.json"])["inputs"])
    assert [entry["key"] for entry in said] == ["age (_years_)", "town", "alive_", "seen"]
    assert said[2]["words"] == ["não", "sim"]
    given = {entry["key"]: torch.tensor([-1 if "words" in entry else torch.nan]) for entry in said}
    given = {key: value.double() if value.is_floating_point() else value for key, value in given.items()}
    (answer,) = module(given)["probabilities"].detach()
    assert float(answer.sum()) == pytest.approx(1)


def test_a_table_that_changed_since_is_no_proof(there: Path, tmp_path: Path) -> None:
    config = Table(name="table", path="all.csv", target="label", test_path="all.csv")
    loaded = prepare(load(config, untracked), config)
    plan = tuple(map(understood, loaded.plan or ()))
    (tmp_path / "short.csv").write_text("\n".join(Path("all.csv").read_text().splitlines()[:100]))
    config.test_path = str(tmp_path / "short.csv")
    with pytest.raises(DataError, match="has changed while it was in use"):
        cells_of(config, "test", loaded.test, plan)


def test_more_columns_than_torch_can_bear_are_refused(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("trainer.export.pt2._MOST", 3)
    assert main(["export", "run", "format=pt2"]) == 2
    assert "format=pt2 takes at most 3 columns, and the table has 4" in capsys.readouterr().err
