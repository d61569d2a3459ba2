"""Columns as JSON, data frames and Python give them, made into what the reader of a table's file would give."""

import datetime
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from trainer.data.table import cells
from trainer.data.table.notes import quoted
from trainer.system.errors import DataError
from trainer.system.shown import counted

_DATES = (datetime.date, datetime.time)  # a datetime is a date, too


def columns_of(given: Mapping[Any, Any]) -> dict[str, pl.Series]:
    """Columns of equal length by their names; a value may be a list, an array, or a column of a data frame.

    Raises:
        DataError: They differ in length, or a cell is no number, text, truth value or date.
    """
    found = {str(name): column(str(name), values) for name, values in given.items()}
    heights = {name: len(series) for name, series in found.items()}
    if len({*heights.values()}) > 1:
        (first, one), (other, another) = min(heights.items(), key=_second), max(heights.items(), key=_second)
        raise DataError(
            f"column {quoted(first)} has {counted(one, 'row')}, and {quoted(other)} has {another:,}",
            "give each row a value in every column, null where there is none",
        )
    return found


def column(name: str, values: Any) -> pl.Series:
    """One column: text without blanks around it, numbers in double precision without those that are not finite, or
    dates and truth values as they are.

    Raises:
        DataError: A cell is something else.
    """
    if isinstance(values, pl.Series):
        return _plain(name, values)
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise DataError(f"column {quoted(name)} is one value, and a list of them is wanted, one for each row")
    if hasattr(values, "__array__"):
        array = np.asarray(values)
        if array.ndim != 1:
            raise DataError(f"column {quoted(name)} is an array of shape {array.shape}, and (rows,) is wanted")
        if array.dtype.kind in "biufM":
            return _plain(name, pl.Series(name, array))
        values = array.tolist()
    return _of_list(name, list(values))


def _plain(name: str, series: pl.Series) -> pl.Series:
    series = series.alias(name)
    if series.dtype.is_numeric():
        return cells.plain(series)
    if series.dtype == pl.Null or series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        return series.str.strip_chars()
    if series.dtype == pl.Boolean or (series.dtype.is_temporal() and series.dtype != pl.Duration):
        return series
    return _of_list(name, series.to_list())


def _of_list(name: str, values: Sequence[Any]) -> pl.Series:
    there = [value for value in values if value is not None]
    if all(isinstance(value, bool | np.bool_) for value in there) and there:
        return pl.Series(name, values, dtype=pl.Boolean)
    if all(isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in there):
        return cells.plain(pl.Series(name, [None if v is None else _number(v) for v in values], dtype=pl.Float64))
    kinds = {type(value) for value in there}
    if len(kinds) == 1 and issubclass(next(iter(kinds)), _DATES):
        return pl.Series(name, [v.replace(tzinfo=None) if hasattr(v, "tzinfo") else v for v in values])
    texts = [None if v is None else _text(name, row, v) for row, v in enumerate(values, start=1)]
    return pl.Series(name, texts, dtype=pl.String).str.strip_chars()


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of any length
        return float("inf")


def _text(name: str, row: int, value: Any) -> str:
    """A cell as it would stand in a file."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half of a character, which JSON may hold, is none
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, Real):
        number = _number(value)
        return str(int(number)) if number.is_integer() else str(number)
    if isinstance(value, list | tuple | dict | set | bytes | np.ndarray):
        kind = type(value).__name__
        raise DataError(f"column {quoted(name)}, row {row}: a {kind}, and a number or a text is wanted")
    return str(value)


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
