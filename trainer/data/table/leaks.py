"""Columns that give the target away: a copy of it, or one value for each of its values."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from trainer.data.splits import Dataset
from trainer.data.table import cells
from trainer.data.table.columns import Column, Dropped, Number, words
from trainer.data.table.notes import Notes, quoted
from trainer.data.table.sheet import Sheet

_EQUAL = 1e-9  # how far a correlation may be from 1
_FIRST = 1000  # rows


def warn(plan: Sequence[Column], sheet: Sheet, rows: pl.Series, dataset: Dataset, name: str, notes: Notes) -> None:
    """Note each column that, in the training rows, says the target `name` exactly."""
    targets = dataset.train.targets
    for column in plan:
        if isinstance(column, Dropped) or len(targets) < 10:
            continue
        series = sheet.columns[column.name].gather(rows)
        if dataset.classes is None:
            gives = isinstance(column, Number) and _is_linear(
                cells.numbers(cells.tidy(series), column.comma).values, targets[:, 0].numpy()
            )
        else:
            gives = _is_map(series, targets.numpy(), len(dataset.classes))
        if gives:
            notes.say(
                f"{quoted(column.name)} gives the target {quoted(name)} away; "
                "if it is not known beforehand, leave it out: data.drop=[...]"
            )


def _is_linear(values: pl.Series, targets: np.ndarray) -> bool:
    if values.null_count():
        return False
    numbers = values.to_numpy()
    if numbers.min() == numbers.max() or targets.min() == targets.max():
        return False
    return bool(abs(np.corrcoef(numbers, targets)[0, 1]) > 1 - _EQUAL)


def _is_map(series: pl.Series, targets: np.ndarray, classes: int) -> bool:
    """Whether each value goes with one class and each class with one value."""
    if words(series.head(_FIRST)).n_unique() > classes:  # most columns are known by few rows
        return False
    text = words(series)
    if text.null_count() or text.n_unique() != len(np.unique(targets)):
        return False
    pairs = pl.DataFrame({"value": text, "target": targets}).n_unique()
    return bool(pairs == text.n_unique())
