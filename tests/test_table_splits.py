"""How a table is split, and how a later table is read as the one that a model was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Trainer
from running import SILENT, evaluate, reported, runs, train
from tables import dropped, load, write

from trainer.data.splits import Dataset
from trainer.system.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
A = (RNG.permutation(200) - 99.5) / 50  # all different
HEADER = ["a", "b", "kind", "who", "day", "y"]
ROWS = [
    [float(a), float(b), "xyz"[i % 3], f"p{i // 4}", f"2020-{i // 28 + 1:02}-{i % 28 + 1:02}", "yes" if a > 0 else "no"]
    for i, (a, b) in enumerate(zip(A, RNG.normal(size=200).round(3), strict=True))
]


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    return write(tmp_path / "visits.csv", HEADER, ROWS)


def values(found: Dataset, name: str) -> dict[str, set[float]]:
    """The values of a number in each split."""
    assert found.plan is not None
    column = next(column for column in found.plan if column["name"] == name)
    place = found.columns.index(name)
    splits = {"train": found.train, "val": found.val, "test": found.test}
    return {
        part: {round(v * column["deviation"] + column["mean"], 3) for v in split.inputs[:, place].double().tolist()}
        for part, split in splits.items()
        if split is not None
    }


def test_no_group_is_in_two_splits(visits: Path) -> None:
    found = load(visits, group="who", val_fraction=0.2)
    assert dropped(found)["who"] == "it says the groups"
    groups = {row[0]: row[3] for row in ROWS}
    parts = [{groups[v] for v in numbers} for numbers in values(found, "a").values()]
    assert len(parts) == 3
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == {row[3] for row in ROWS}


def test_the_last_rows_by_time_are_the_test_and_those_before_validate(visits: Path, tmp_path: Path) -> None:
    shuffled = [ROWS[i] for i in np.random.default_rng(1).permutation(len(ROWS))]
    path = write(tmp_path / "shuffled.csv", HEADER, shuffled)
    found = load(path, time="day", val_fraction=0.1)
    a = [row[0] for row in ROWS]
    assert values(found, "a") == {"train": {*a[:144]}, "val": {*a[144:160]}, "test": {*a[160:]}}


def test_a_column_may_say_the_splits(tmp_path: Path) -> None:
    words = ["Train", "TRAIN", "validation", "test"]
    rows = [[*row, words[i % 4]] for i, row in enumerate(ROWS)]
    path = write(tmp_path / "t.csv", [*HEADER, "part"], rows)
    found = load(path, split="part")
    a = [row[0] for row in ROWS]
    assert values(found, "a") == {"train": {*a[::4], *a[1::4]}, "val": {*a[2::4]}, "test": {*a[3::4]}}
    assert dropped(found)["part"] == "it says the splits"
    rows = [[*row, ["train", "later"][i % 2]] for i, row in enumerate(ROWS)]
    with pytest.raises(DataError, match=r"data\.split=part has 'later'"):
        load(write(tmp_path / "u.csv", [*HEADER, "part"], rows), split="part")


def test_a_column_without_test_rows_has_some_cut(tmp_path: Path) -> None:
    rows = [[*row, ["train", "val"][i % 4 == 0]] for i, row in enumerate(ROWS)]
    found = load(write(tmp_path / "t.csv", [*HEADER, "part"], rows), split="part")
    assert [len(s) for s in (found.train, found.test)] == [120, 30]
    assert any("names no test rows" in line for line in found.notes)


@pytest.mark.parametrize("keys", [{"group": "who", "time": "day"}, {"split": "who", "group": "who"}])
def test_two_ways_to_split_are_refused(visits: Path, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="each say how rows are split"):
        load(visits, **keys)


def test_files_of_their_own_validate_and_test(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.csv" for name in ("train", "val", "test")}
    for (name, path), rows in zip(paths.items(), (ROWS[:100], ROWS[100:150], ROWS[150:]), strict=True):
        if name == "test":  # in another order, with a column more and one less
            write(path, ["y", "b", "a", "more"], [[row[5], row[1], row[0], 1] for row in rows])
        else:
            write(path, HEADER, rows)
    found = load(paths["train"], val_path=str(paths["val"]), test_path=str(paths["test"]))
    a = [row[0] for row in ROWS]
    assert values(found, "a") == {"train": {*a[:100]}, "val": {*a[100:150]}, "test": {*a[150:]}}
    assert "test.csv: there is no 'kind', 'who', 'day': taken for missing in every row" in found.notes
    kinds = [i for i, name in enumerate(found.columns) if name.startswith("kind")]
    assert found.test.inputs[:, kinds].abs().sum() == 0


def test_a_test_file_without_the_target_is_no_test_and_cannot_be_evaluated(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(Path("train.csv"), ["x", "color", "y"], [[i % 9, "rgb"[i % 3], ("big", "small")[i % 2]] for i in range(90)])
    write(Path("test.csv"), ["x", "color"], [[i % 9, "rgb"[i % 3]] for i in range(20)])
    data = ("data=table", "data.path=train.csv", "data.target=y")
    run = train(trainer, *SILENT, "model=linear", *data, "epochs=1", "data.test_path=test.csv")
    assert "test.csv: it has no column 'y', the target, so it is no test" in (run / "train.log").read_text()
    ran = trainer("eval", f"ckpt={run}", "data.path=test.csv")
    assert ran.code == 2
    assert "test.csv has no column 'y', the target: it cannot be evaluated" in ran.err


# --- a model's plan ---------------------------------------------------------------------------------------


@pytest.fixture
def run(trainer: Trainer) -> Path:
    write(Path("t.csv"), HEADER, ROWS)
    return train(trainer, *SILENT, "model=mlp", "data=table", "data.path=t.csv", "data.target=y", "epochs=3")


def test_a_shuffled_copy_with_other_columns_is_evaluated_by_name(trainer: Trainer, run: Path) -> None:
    order = [5, 2, 4, 0, 3, 1]
    names = [*(HEADER[i] for i in order), "more"]
    shuffled = [ROWS[i] for i in np.random.default_rng(1).permutation(len(ROWS))]
    write(Path("same.csv"), HEADER, ROWS)
    write(Path("other.csv"), names, [[*(row[i] for i in order), "?"] for row in shuffled], delimiter=";")
    same = evaluate(trainer, f"ckpt={run}", "data.path=same.csv", "split=all")
    other = evaluate(trainer, f"ckpt={run}", "data.path=other.csv", "split=all")
    assert other == pytest.approx(same, rel=1e-4)


def test_what_a_later_table_has_or_lacks_is_said(trainer: Trainer, run: Path) -> None:
    rows = [["new" if i % 5 == 0 else row[2], row[1], row[5], 1] for i, row in enumerate(ROWS[:50])]
    write(Path("other.csv"), ["kind", "b", "y", "more"], rows)
    ran = trainer("eval", f"ckpt={run}", "data.path=other.csv")
    assert ran.code == 0, ran.err
    for line in (
        "other.csv: words that the model was not trained on: 'kind' (10 cells)",
        "other.csv: there is no 'a', 'who', 'day': taken for missing in every row",
        "other.csv: columns that the model was not trained on: 'more'",
    ):
        assert line in ran.out, ran.out


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_table_of_few_rows_is_evaluated(trainer: Trainer, run: Path, count: int) -> None:
    write(Path("few.csv"), HEADER, ROWS[:count])
    assert 0 <= evaluate(trainer, f"ckpt={run}", "data.path=few.csv")["all/accuracy"] <= 1


def test_rows_of_classes_that_the_model_does_not_have_are_left_out(trainer: Trainer, run: Path) -> None:
    write(Path("other.csv"), HEADER, [[*row[:5], "maybe" if i % 4 == 0 else row[5]] for i, row in enumerate(ROWS)])
    ran = trainer("eval", f"ckpt={run}", "data.path=other.csv")
    assert "other.csv: left out 50 rows of classes that the model does not have: 'maybe'" in ran.out
    assert "150 samples" in ran.out


def test_a_table_without_a_header_is_taken_in_the_order_of_the_columns(trainer: Trainer, run: Path) -> None:
    write(Path("same.csv"), HEADER, ROWS)
    write(Path("bare.csv"), ROWS[0], ROWS[1:])
    same = evaluate(trainer, f"ckpt={run}", "data.path=same.csv")
    ran = trainer("eval", f"ckpt={run}", "data.path=bare.csv", "data.target=-1")
    assert ran.code == 0, ran.err
    assert f"{same['all/loss']:.4g}" in ran.out
    assert "its columns are taken in their order" in ran.out


def test_weights_are_trained_on_with_their_plan(trainer: Trainer, run: Path) -> None:
    """So that each weight goes with the feature that it was trained for."""
    write(
        Path("more.csv"), HEADER, [[10 * row[0], row[1], "z" if i % 9 else "x", *row[3:]] for i, row in enumerate(ROWS)]
    )
    before = runs()
    ran = trainer("train", *SILENT, f"from={run}", "data.path=more.csv", "epochs=1")
    assert ran.code == 0, ran.err
    (tuned,) = runs() - before

    def plan_of(directory: Path) -> Any:
        from trainer import checkpoint

        return checkpoint.read(str(directory)).description["plan"]

    assert plan_of(tuned) == plan_of(run)


def test_a_class_by_its_number_or_name_keeps_the_models_order(trainer: Trainer, run: Path) -> None:
    write(Path("other.csv"), HEADER, [row for row in ROWS if row[5] == "yes"])
    found = evaluate(trainer, f"ckpt={run}", "data.path=other.csv")
    write(Path("same.csv"), HEADER, ROWS)
    assert found["all/accuracy"] > 0.5


def test_diabetes_is_standardised_as_a_table_is(trainer: Trainer) -> None:
    found = reported(train(trainer, *SILENT, "model=linear", "data=diabetes", "epochs=60", "optim.lr=0.01"))
    assert found["test/r2"] > 0.3
    assert 2000 < found["test/mse"] < 5000
