"""Columns that give the target away: a copy of it, or one value for each of its values."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from trainer.data.splits import Dataset
from trainer.data.table import cells
from trainer.data.table.cells import Cells
from trainer.data.table.columns import Column, Dropped, Number, words
from trainer.data.table.notes import Notes, quoted
from trainer.data.table.sheet import Sheet

_EQUAL = 1e-9  # how far a correlation may be from 1
_FIRST = 1000  # rows, which rule most columns out
_FEWEST = 10  # rows of which a map says anything


def warn(plan: Sequence[Column], sheet: Sheet, rows: np.ndarray, dataset: Dataset, name: str, notes: Notes) -> None:
    """Note each column that, in the training rows, says the target `name` exactly."""
    targets = dataset.train.targets.numpy()
    if len(targets) < _FEWEST:
        return
    few = rows[:_FIRST]
    for column in plan:
        if isinstance(column, Dropped):
            continue
        series = sheet.columns[column.name]
        if dataset.classes is None:
            if not isinstance(column, Number) or not _is_linear(_numbers(series, few, column), targets[:_FIRST, 0]):
                continue
            gives = _is_linear(_numbers(series, rows, column), targets[:, 0])
        else:
            gives = _is_map(cells.picked(series, few), targets[:_FIRST], at_most=len(dataset.classes))
            gives = gives and _is_map(cells.picked(series, rows), targets, at_most=len(dataset.classes))
        if gives:
            notes.say(
                f"{quoted(column.name)} gives the target {quoted(name)} away; "
                "if it is not known beforehand, leave it out: data.drop=[...]"
            )


def _numbers(series: pl.Series, rows: np.ndarray, column: Number) -> np.ndarray:
    given = cells.picked(series, rows)
    if isinstance(given, np.ndarray):
        return given
    return cells.numbers(cells.tidy(given), column.comma).values.to_numpy()


def _is_linear(values: np.ndarray, targets: np.ndarray) -> bool:
    if np.isnan(values).any() or values.min() == values.max() or targets.min() == targets.max():
        return False
    return bool(abs(np.corrcoef(values, targets)[0, 1]) > 1 - _EQUAL)


def _is_map(given: Cells, targets: np.ndarray, at_most: int) -> bool:
    """Whether each value goes with one class, and each class with one value."""
    if isinstance(given, np.ndarray):
        if np.isnan(given).any():
            return False
        values, codes = np.unique(given, return_inverse=True)
        different = len(values)
    else:
        text = words(given)
        if text.null_count():
            return False
        codes = text.rank("dense").to_numpy()
        different = text.n_unique()
    classes = len(np.unique(targets))
    return different <= at_most and different == classes == len(
        np.unique(codes.astype(np.int64) * (at_most + 1) + targets)
    )
