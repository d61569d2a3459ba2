"""The target of a table: classes or a quantity, rows that have none, columns that give it away, and units."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Trainer
from running import SILENT, evaluate, reported, train
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from tables import load, write

from trainer.data.batches import Batches
from trainer.data.splits import Dataset
from trainer.engine.metrics import Regression
from trainer.system.errors import DataError

CPU = torch.device("cpu")


def targets_of(path: Path, cells: list[str], **keys: Any) -> tuple[Dataset, list[Any]]:
    """A table with these targets, and what each row's target became (None where the row is left out)."""
    rows = [[i, i % 5, cell] for i, cell in enumerate(cells)]
    found = load(write(path, ["row", "b", "y"], rows), columns=["row"], **keys)
    column = next(c for c in found.plan or () if c["name"] == "row")
    values: list[Any] = [None] * len(cells)
    for split in (found.train, found.test):
        rows = (split.inputs[:, 0].double() * column["deviation"] + column["mean"]).round().long().tolist()
        for row, target in zip(rows, split.targets.flatten().tolist(), strict=True):
            values[row] = target
    return found, values


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["no", "yes"] * 5, ("no", "yes")),
        (["0", "1", "2"] * 4, ("0", "1", "2")),
        (["10", "9", "-1"] * 4, ("-1", "9", "10")),
        ([str(i) for i in range(20)] * 2, tuple(map(str, range(20)))),
        (["1", "two"] * 5, ("1", "two")),
        (["True", "False"] * 5, ("False", "True")),
        (["None", "Mild", "Severe"] * 5, ("Mild", "None", "Severe")),
    ],
)
def test_words_and_few_small_whole_numbers_are_classes(
    tmp_path: Path, cells: list[str], classes: tuple[str, ...]
) -> None:
    found, values = targets_of(tmp_path / "t.csv", cells)
    assert found.classes == classes
    assert values == [classes.index(cell) for cell in cells]


def test_whole_numbers_are_the_same_class_however_they_are_written(tmp_path: Path) -> None:
    found, values = targets_of(tmp_path / "t.csv", ["0", "1", "0.0", "1.0", "01"] * 2)
    assert found.classes == ("0", "1")
    assert values[:5] == [0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    "cells",
    [
        [str(i % 21) for i in range(63)],
        ["0.5", "1", "2"] * 4,
        ["1e3", "2.5e-3"] * 5,
        ["45000", "50000", "60000", "80000", "110000", "150000", "200000", "300000", "500000", "1000000"],
        [str(i) for i in range(12)],
        ["100", "200", "300"] * 9,
    ],
    ids=["many", "broken", "large and small", "ten salaries", "as many as rows", "hundreds"],
)
def test_other_numbers_are_a_quantity(tmp_path: Path, cells: list[str]) -> None:
    found, values = targets_of(tmp_path / "t.csv", cells)
    assert found.classes is None
    assert values == [float(cell) for cell in cells]


def test_a_quantity_may_be_a_price(tmp_path: Path) -> None:
    found, values = targets_of(tmp_path / "t.csv", [f"R$ {i}.500,00" for i in range(20, 50)])
    assert found.classes is None
    assert values == [1000.0 * i + 500 for i in range(20, 50)]


def test_many_whole_numbers_are_classes_only_if_they_number_them(tmp_path: Path) -> None:
    counts = [str(2 * (i % 13) + 3) for i in range(60)]  # with gaps, and from 3 on

    found, values = targets_of(tmp_path / "t.csv", counts)

    assert found.classes is None
    assert values == [float(count) for count in counts]
    months = [str(i % 12 + 1) for i in range(60)]
    assert targets_of(tmp_path / "t.csv", months)[0].classes == tuple(map(str, range(1, 13)))


def test_that_numbers_are_taken_for_classes_is_said(tmp_path: Path) -> None:
    found, _ = targets_of(tmp_path / "t.csv", ["3", "4", "5"] * 5)

    assert "t.csv: the 3 numbers of 'y' are classes (a quantity: data.task=regression)" in found.notes
    assert not any("are classes" in note for note in targets_of(tmp_path / "t.csv", ["0", "1"] * 5)[0].notes)


def test_classes_that_differ_in_case_alone_are_one(tmp_path: Path) -> None:
    cells = ["high", "low", "High", "low"] * 5 + ["high"]

    found, values = targets_of(tmp_path / "t.csv", cells)

    assert found.classes == ("high", "low")
    assert values == [["high", "low"].index(cell.lower()) for cell in cells]
    assert "t.csv: classes that differ in case alone are one: 'High', 'high'" in found.notes
    assert targets_of(tmp_path / "t.csv", ["a", "A"] * 5)[0].classes == ("A", "a")
    with pytest.raises(DataError, match="differ in case alone"):
        targets_of(tmp_path / "t.csv", cells, strict=True)


def test_the_task_can_be_told(tmp_path: Path) -> None:
    found, values = targets_of(tmp_path / "a.csv", ["0", "1"] * 5, task="regression")
    assert found.classes is None
    assert values == [float(i % 2) for i in range(10)]
    found, _ = targets_of(tmp_path / "b.csv", [str(i % 25) for i in range(50)], task="classification")
    assert found.classes == tuple(map(str, range(25)))
    with pytest.raises(DataError, match="the target 'y' has words"):
        targets_of(tmp_path / "c.csv", ["no", "yes"] * 5, task="regression")


@pytest.mark.parametrize("word", ["", "NA", "?", "unknown"])
def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path, word: str) -> None:
    found, values = targets_of(tmp_path / "t.csv", [word if i in (3, 17) else f"{i}.5" for i in range(40)])
    assert [i for i, value in enumerate(values) if value is None] == [3, 17]
    assert "t.csv: left out 2 rows without a target 'y'" in found.notes


def test_a_word_among_few_numbers_is_a_class(tmp_path: Path) -> None:
    found, _ = targets_of(tmp_path / "t.csv", [str(i % 10) if i % 20 else "ten" for i in range(60)])
    assert found.classes == (*map(str, range(10)), "ten")


def test_a_stray_class_of_one_row_is_noted(tmp_path: Path) -> None:
    found, _ = targets_of(tmp_path / "t.csv", ["y", *["yes", "no"] * 30])
    assert found.classes == ("no", "y", "yes")
    assert "t.csv: class 'y' has one row, so the test split has none of it; perhaps 'yes' is meant" in found.notes
    assert 1 in found.train.targets


def test_splits_have_a_like_share_of_each_class_and_a_class_that_one_lacks_is_said(tmp_path: Path) -> None:
    rows = [[i % 7, "rare" if i % 20 == 0 else "usual"] for i in range(200)]
    found = load(write(tmp_path / "t.csv", ["a", "y"], rows), val_fraction=0.1)
    assert found.val is not None
    for split in (found.train, found.val, found.test):
        assert abs(int((split.targets == 0).sum()) - 0.05 * len(split)) <= 1
    rows = [[i % 7, "rare" if i < 2 else "usual"] for i in range(200)]
    found = load(write(tmp_path / "t.csv", ["a", "y"], rows), val_fraction=0.1)
    assert [line for line in found.notes if "has no row of 'rare'" in line]


def test_a_limit_of_a_sorted_table_takes_all_classes(tmp_path: Path) -> None:
    rows = [[i % 7, f"class {i // 50}"] for i in range(200)]
    path = write(tmp_path / "t.csv", ["a", "y"], rows)
    found = load(path, limit=40)
    assert len(found.train) == 40
    assert torch.bincount(found.train.targets).tolist() == [10, 10, 10, 10]
    assert torch.equal(found.train.inputs, load(path, limit=40).train.inputs)
    assert not torch.equal(found.train.inputs, load(path, limit=40, split_seed=1).train.inputs)


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (lambda y: "alive" if y else "dead", lambda i: i % 2),
        (lambda y: 2 * y + 5, lambda i: i % 2),
        (lambda y: y, lambda i: f"{i}.5"),
        (lambda y: 1.5 * float(y) - 7, lambda i: f"{i}.5"),
    ],
)
def test_a_column_that_gives_the_target_away_is_warned_of(tmp_path: Path, column: Any, target: Any) -> None:
    rng = np.random.default_rng(0)
    rows = [[column(target(i)), *rng.normal(size=2).round(3), target(i)] for i in range(60)]
    found = load(write(tmp_path / "t.csv", ["leak", "a", "b", "y"], rows))
    assert [line for line in found.notes if "gives the target" in line] == [
        "t.csv: 'leak' gives the target 'y' away; if it is not known beforehand, leave it out: data.drop=[...]"
    ]


# --- units ------------------------------------------------------------------------------------------------


@pytest.fixture
def dear(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 3))
    prices = 300_000 + 50_000 * values @ [1.0, -2.0, 0.5] + 10_000 * rng.normal(size=200)
    return write(tmp_path / "dear.csv", ["a", "b", "c", "y"], np.column_stack([values, prices]).round(4).tolist())


def test_batches_have_standardised_targets_and_splits_their_own(dear: Path) -> None:
    found = load(dear)
    assert found.target_mean is not None
    assert found.target_std is not None
    assert found.target_mean[0] == pytest.approx(float(found.train.targets.mean()))
    assert found.target_std[0] == pytest.approx(float(found.train.targets.std(correction=0)))
    batches = Batches(found.train, None, CPU, target_mean=found.target_mean, target_std=found.target_std)
    _, targets = next(iter(batches))
    assert targets.dtype == torch.float32
    assert (float(targets.mean()), float(targets.std(correction=0))) == pytest.approx((0, 1), abs=1e-5)
    torch.testing.assert_close(found.in_units(targets), found.train.targets.float())


def test_metrics_of_standardised_targets_are_in_the_units_of_the_target() -> None:
    generator = torch.Generator().manual_seed(0)
    targets, mean, std = torch.randn(50, 2, generator=generator), torch.tensor([3e5, -7.0]), torch.tensor([5e4, 0.01])
    outputs = targets + 0.3 * torch.randn(50, 2, generator=generator)
    metric = Regression(2, CPU, scale=std.tolist())
    for part in (slice(0, 20), slice(20, 50)):
        metric.update(outputs[part], targets[part])
    found = metric.compute()[0].metrics
    real, guessed = ((v.double() * std + mean).numpy() for v in (targets, outputs))
    assert found["mse"] == pytest.approx(mean_squared_error(real, guessed), rel=1e-5)
    assert found["mae"] == pytest.approx(mean_absolute_error(real, guessed), rel=1e-5)
    assert found["r2"] == pytest.approx(r2_score(real, guessed), rel=1e-5)


def test_a_linear_model_of_dear_things_is_trained_to_least_squares(trainer: Trainer, dear: Path) -> None:
    data = ("data=table", f"data.path={dear}", "data.target=y", "data.batch_size=null", "data.val_fraction=0")
    run = train(trainer, *SILENT, "model=linear", *data, "optim=sgd", "optim.lr=0.3", "epochs=200")
    assert "mse of the standardised target" in (run / "train.log").read_text()
    found = load(dear)
    fitted = LinearRegression().fit(found.train.inputs, found.train.targets[:, 0])
    predicted = fitted.predict(found.test.inputs)
    metrics = reported(run)
    assert metrics["test/r2"] == pytest.approx(r2_score(found.test.targets[:, 0], predicted), rel=1e-3)
    assert metrics["test/mae"] == pytest.approx(mean_absolute_error(found.test.targets[:, 0], predicted), rel=1e-3)


def test_evaluation_gives_what_the_training_gave(trainer: Trainer, dear: Path) -> None:
    data = ("data=table", f"data.path={dear}", "data.target=y")
    run = train(trainer, *SILENT, "model=mlp", *data, "epochs=3")
    assert evaluate(trainer, f"ckpt={run}") == pytest.approx(reported(run))
