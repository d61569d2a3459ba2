"""Tables as CSV files: written in parts, whole or not at all, with nothing in a cell that a program would obey."""

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from torch import Tensor

from trainer.system.atomic import replacing
from trainer.system.cells import inert
from trainer.system.shown import printable

_ROWS = 100_000  # that are made into text at once
_UNSAFE = "^ *[=+@-]|[^ -~]"  # what `inert` may change


def write(path: Path, frame: pl.DataFrame) -> None:
    """Write a table, whose texts may be a stranger's.

    Raises:
        StorageError: The file cannot be written.
    """
    frame = frame.with_columns(_inert(column) for column in frame if column.dtype == pl.String)
    with replacing(path) as file:
        for start in range(0, max(1, len(frame)), _ROWS):
            text = io.BytesIO()  # polars would not say that a disk is full
            frame.slice(start, _ROWS).write_csv(text, include_header=start == 0)
            file.write(text.getbuffer())


def header(name: str) -> str:
    """A column's name that has a stranger's text in it."""
    return str(inert(name))


def _inert(texts: pl.Series) -> pl.Series:
    unsafe = texts.str.contains(_UNSAFE).fill_null(False).arg_true()
    return texts.scatter(unsafe, [inert(text) for text in texts.gather(unsafe)]) if len(unsafe) else texts


def named(classes: Sequence[str], numbers: Tensor) -> pl.Series:
    """The names of the classes that are meant by their `numbers` (N,)."""
    return texts(classes).gather(pl.Series(numbers.numpy()))


def texts(names: Sequence[str]) -> pl.Series:
    """Names as a column; bytes of a path that are no text are written as numbers."""
    try:
        return pl.Series(names, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series([*map(printable, names)], dtype=pl.String)
