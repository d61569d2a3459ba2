"""A table's file, read into columns of numbers and text: whatever separates them, and whatever stands around them."""

import os
from collections.abc import Collection, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from trainer.data.cache import check_room
from trainer.data.table import blocks, cells, layout, parquet, rows
from trainer.data.table.layout import Target
from trainer.data.table.notes import Notes
from trainer.data.table.parquet import is_parquet, read_parquet
from trainer.data.table.sheet import Sheet
from trainer.data.table.text import decoded
from trainer.system.errors import DataError, first_line
from trainer.system.paths import regular
from trainer.system.shapes import reads_as_number

FEATURES = 100_000  # a checkpoint describes each by name, mean and deviation
_SMALL = 2**23  # bytes up to which a file is read row by row, which shows just where one does not fit
_TEXT_TIMES = 10  # as much memory as its file takes a table that is read so, or more
_SAMPLE = 2**18  # characters by which a layout is recognised


def read(path: Path, target: Target, notes: Notes, text: bool = False) -> Sheet:
    """Read a table; `target` is what the user calls its target, by which a header line is recognised.

    With `text`, all columns are text as it is written, for numbers may be names: `0001`.

    Raises:
        DataError: There is no such file, it is no table, or its rows do not fit each other.
    """
    with _opened(path) as file:
        if is_parquet(file):
            return read_parquet(path, file, FEATURES)
        size = os.fstat(file.fileno()).st_size
        if size > _SMALL:
            before = len(notes.lines)
            sheet = blocks.read(path, file, target, notes, text)
            if sheet is not None:
                return sheet
            del notes.lines[before:]
            file.seek(0)
        check_room(_TEXT_TIMES * size, f"the cells of {path}", "use a smaller table, or free some memory")
        content = decoded(file.read(), notes)
    return _sheet(path, content, target, notes, text)


def parts(path: Path, names: Collection[str], numbers: Container[str], notes: Notes) -> Iterator[Sheet]:
    """Read a table for a model that knows columns of these `names`, and takes `numbers` of some; all others are text.

    A large one is read part by part: each has the same columns, and at least one row.

    Raises:
        DataError: As in `read`.
    """
    known = frozenset(name for name in names if not reads_as_number(name))
    with _opened(path) as file:
        if is_parquet(file):
            yield from parquet.parts(path, file, FEATURES, names)
            return
        if os.fstat(file.fileno()).st_size > _SMALL:
            before = len(notes.lines)
            try:
                yield from blocks.parts(path, file, known, notes, numbers)
                return
            except (blocks.Irregular, pl.exceptions.PolarsError):  # before the first part
                del notes.lines[before:]
    yield read(path, known, notes, text=True)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file of a table, whose reading ends in one line if it fails."""
    try:
        if path.is_dir():
            raise DataError(f"data.path={path} is not a file")
        with open(path, "rb", opener=regular) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"data.path={path}: no such file", "a table: .csv, .tsv, .txt, .data or .parquet") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what Rust's own errors are raised as
            raise
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error


def _sheet(path: Path, content: str, target: Target, notes: Notes, text: bool) -> Sheet:
    found = rows.without_empty(list(rows.parsed(path, content, layout.recognised(content[:_SAMPLE]))), notes)
    header, found = rows.headed(path, found, target, notes)
    names, found = rows.fitted(path, header, found, notes)
    if len(names) > FEATURES:
        raise DataError(f"{path} has {len(names):,} columns, and at most {FEATURES:,} can be used", "use fewer")
    names, nameless = rows.unique(names, notes)
    columns = dict(zip(names, _columns([row for _, row in found], names, text), strict=True))
    return Sheet(path, columns, np.array([number for number, _ in found]), header is not None, nameless)


def _columns(table: Sequence[Sequence[str]], names: Sequence[str], text: bool) -> Iterator[pl.Series]:
    """The columns of rows: numbers where all cells of one are plain numbers or missing, else text."""
    height, width = len(table), len(names)
    flat = pl.Series([cell for column in zip(*table, strict=True) for cell in column], dtype=pl.String)
    tidy = cells.tidy(flat)
    numbers = cells.plain(tidy.cast(pl.Float64, strict=False))
    strange: np.ndarray = (numbers.is_null() & tidy.is_not_null()).to_numpy().reshape(width, height)
    for place, name in enumerate(names):
        chosen = flat if text or strange[place].any() else numbers
        yield chosen.slice(place * height, height).alias(name)
