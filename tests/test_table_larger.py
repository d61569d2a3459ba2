"""Tables that are larger than memory: read column by column, and trained on in windows of the cache."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pretending
import pytest
import tables
import torch
from conftest import Trainer
from running import SILENT, result, same, train, weights

from trainer.data.cache import Mapped
from trainer.data.splits import Dataset
from trainer.data.table.on_disk import OnDisk
from trainer.system.errors import DataError

ROWS = 5000


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """A table of all kinds of columns, with cells missing, and of a target that not every row has."""
    rng = np.random.default_rng(0)
    day = pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 1, 23), "1m", eager=True)
    numbers = {f"n{i}": rng.normal(i, 1 + i, ROWS) for i in range(5)}
    words = np.array(["red", "green", "blue", "a rare one"])[np.minimum(rng.integers(0, 40, ROWS) // 12, 3)]
    return pl.DataFrame(
        {
            "id": np.arange(ROWS),
            **numbers,
            "price": [f"${value:,.2f}" for value in rng.uniform(0, 5000, ROWS)],
            "colour": words,
            "open": rng.integers(0, 2, ROWS) > 0,
            "when": day.gather(rng.integers(0, len(day), ROWS)),
            "y": np.where(numbers["n0"] + rng.normal(0, 0.3, ROWS) > 0, "yes", "no"),
        }
    ).with_columns(
        n1=pl.when(pl.col("id") % 7 == 0).then(None).otherwise(pl.col("n1")),
        y=pl.when(pl.col("id") % 501 == 3).then(None).otherwise(pl.col("y")),
    )


@pytest.fixture
def table(frame: pl.DataFrame, empty: Path) -> Path:
    frame.write_parquet("t.parquet", row_group_size=700)
    return Path("t.parquet")


def narrow(patch: pytest.MonkeyPatch) -> None:
    """Memory holds some columns, but neither all cells nor all features."""
    pretending.free_memory(patch, int(ROWS * 16 * 4.1))


def loaded(table: Path, free: Any = None, **keys: Any) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        if free is not None:
            free(patch)
        return tables.load(table, cache="cache", **keys)


KEYS = {
    "all": {},
    "validated": {"val_fraction": 0.2, "split_seed": 3},
    "limited": {"limit": 4000, "categories": ["n2"]},
    "in time": {"time": "when", "drop": ["n3"]},
    "a quantity": {"target": "n4"},
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_a_table_larger_than_memory_becomes_what_it_becomes_in_memory(table: Path, keys: dict[str, Any]) -> None:
    here = loaded(table, **keys)
    for again in (False, True):  # made, and found in the cache
        there = loaded(table, narrow, **keys)
        for name in ("train", "test", "val"):
            one, other = getattr(here, name), getattr(there, name)
            if one is not None:
                assert isinstance(other.samples, Mapped), again
                assert torch.equal(one.inputs, other.inputs)
                assert torch.equal(one.targets, other.targets)
                assert [*one.names] == [*other.names]
        assert (here.plan, here.columns, here.classes) == (there.plan, there.columns, there.classes)
        assert here.target_mean == there.target_mean
        assert here.notes == there.notes
        assert "in cache/t.parquet-" in there.cache


def test_one_column_is_in_memory_at_a_time(table: Path, frame: pl.DataFrame) -> None:
    names = {f"my {name}": name for name in frame.columns}
    columns = OnDisk(table, names)
    assert [*columns] == [*names]
    for name, series in columns.items():
        assert columns.latest is not None
        assert columns.latest[0] == name == series.name
    some = columns.take(np.array([7, 3, 20])).take(np.array([2, 0]))
    assert some["my n0"].to_list() == frame["n0"].gather([20, 7]).to_list()


def test_a_table_of_which_no_column_fits_is_refused(table: Path) -> None:
    with pytest.raises(DataError, match=r"the cells of one column of .*t\.parquet"):
        loaded(table, lambda patch: pretending.free_memory(patch, ROWS * 16))


def test_without_a_cache_features_must_fit_into_memory(table: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        with pytest.raises(DataError, match=r"becomes \d+ features of .*, which take") as raised:
            tables.load(table, cache=None)
    assert "give data.cache" in raised.value.hint


def test_such_a_table_is_trained_on_in_windows(trainer: Trainer, table: Path) -> None:
    words = (*SILENT, "data=table", f"data.path={table}", "data.target=y", "model=mlp", "data.cache=cache", "epochs=1")
    whole = train(trainer, *words, "data.window=0.03")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.data.placing.LEAST", 0.03)
        narrow(patch)
        ran = trainer("train", *words)
    assert ran.code == 0, ran.err
    assert "read in windows of 0.03 MB" in ran.out
    (run,) = {path.parent for path in Path("runs").rglob("result.json")} - {whole}
    assert same(weights(run), weights(whole))
    assert result(run)["metrics"] == result(whole)["metrics"]
