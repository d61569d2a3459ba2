"""The cells of a split's rows as they stand in the table's file, from which its features were made."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from trainer.data.sets.table import Table
from trainer.data.splits import Split
from trainer.data.table import cells, loading, reading
from trainer.data.table.cells import Cells
from trainer.data.table.columns import Boolean, Category, Column, Date, Number
from trainer.data.table.notes import Notes
from trainer.data.table.sheet import Sheet
from trainer.export.columns import missing
from trainer.system.errors import DataError
from trainer.system.paths import expanded

_MISSING = 0.1  # of the cells that are made up


def cells_of(config: Table, name: str, split: Split, plan: Sequence[Column]) -> Mapping[str, Cells]:
    """Read the cells of the rows of a split, `name`, by the columns of a plan that the file has.

    Raises:
        DataError: The file has changed since the split was read.
    """
    given = {"test": config.test_path, "val": config.val_path}.get(name)
    sheet = _read(config, given or config.path, plan)
    if given is not None and sheet.find(config.target) is None:  # then it was no test split
        sheet = _read(config, config.path, plan)
    assert isinstance(split.names, np.ndarray)
    lines = split.names if split.rows is None else split.names[split.rows.numpy()]
    rows = np.searchsorted(sheet.lines, lines)
    if len(rows) and not np.array_equal(sheet.lines[np.minimum(rows, len(sheet) - 1)], lines):
        raise DataError(f"{sheet.path} has changed while it was in use", "start again")
    wanted = [column.name for column in plan if column.features]
    return {name: cells.picked(sheet.columns[name], rows) for name in wanted if name in sheet.columns}


def _read(config: Table, path: str, plan: Sequence[Column]) -> Sheet:
    where = expanded(path)
    notes = Notes(where, strict=False)
    return loading.by_position(reading.read(where, config.target, notes), plan, notes)


def encoded(plan: Sequence[Column], table: Mapping[str, Cells], rows: int) -> np.ndarray:
    """The features (N, F) that the plan makes of cells, float32, as in training."""
    parts = []
    for column in plan:
        features = np.empty((rows, len(column.features)), dtype=np.float32)
        column.encode(table.get(column.name, missing(rows)), features)
        parts.append(features)
    return np.concatenate(parts, 1)


def made_up(plan: Sequence[Column], rows: int, drawing: np.random.Generator) -> dict[str, Cells]:
    """Random cells of each column: numbers around its mean, dates, its words and others; some are missing."""
    found: dict[str, Cells] = {}
    for column in plan:
        if isinstance(column, Number):
            values = column.mean + 2 * column.deviation * drawing.standard_normal(rows)
            found[column.name] = np.where(drawing.random(rows) < _MISSING, np.nan, values)
        elif isinstance(column, Date):
            seconds = pl.Series(drawing.integers(-(10**9), 5 * 10**9, rows))
            dates = (seconds * 1_000_000).cast(pl.Datetime("us"))
            found[column.name] = dates.set(pl.Series(drawing.random(rows) < _MISSING), None)
        elif isinstance(column, Category | Boolean):
            words = [*column.words, None, "a word that no table has"]
            found[column.name] = pl.Series([words[i] for i in drawing.integers(0, len(words), rows)], dtype=pl.String)
    return found
