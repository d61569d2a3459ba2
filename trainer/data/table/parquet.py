"""A table in a Parquet file, of which only columns that can be features are read."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import torch

from trainer.data.cache import check_room
from trainer.data.table.on_disk import OnDisk, clean
from trainer.data.table.sheet import Sheet
from trainer.system.errors import DataError
from trainer.system.memory import free_memory

_MARK = b"PAR1"
_CELL = 16  # bytes of a cell in memory
_COLUMNS = 4  # that memory has to hold of a table that is read one at a time: it, copies, the rows of the splits
_PART = 2**21  # cells that are read at once


def is_parquet(file: IO[bytes]) -> bool:
    """Whether a file begins as Parquet does; it is left at its beginning."""
    found = file.read(len(_MARK)) == _MARK
    file.seek(0)
    return found


def read_parquet(path: Path, file: IO[bytes], most: int) -> Sheet:
    """Read a Parquet file of at most so many columns; where memory does not hold its cells, when they are asked for.

    Raises:
        DataError: It has too many columns, or so many rows that memory does not hold one column.
    """
    lazy, height = _opened(path, file, most)
    names = lazy.collect_schema().names()
    if _CELL * height * len(names) <= free_memory(torch.device("cpu")):
        return _sheet(path, lazy.collect(), 0)
    hint = "use a table of fewer rows, or free some memory"
    check_room(_COLUMNS * _CELL * height, f"the cells of one column of {path} and their order", hint)
    return Sheet(path, OnDisk(path, dict(zip(names, names, strict=True))), np.arange(1, 1 + height))


def parts(path: Path, file: IO[bytes], most: int, wanted: Collection[str]) -> Iterator[Sheet]:
    """Read a Parquet file of at most so many columns part by part; of its columns those that are `wanted`, if any is.

    Memory holds a part, and what the file itself keeps together: one of its row groups.

    Raises:
        DataError: It has too many columns, or no rows.
    """
    lazy, height = _opened(path, file, most)
    names = lazy.collect_schema().names()
    names = [name for name in names if name in wanted] or names
    size = max(1, _PART // len(names))
    for start in range(0, height, size):
        file.seek(0)
        yield _sheet(path, pl.scan_parquet(file).select(names).slice(start, size).collect(), start)


def _opened(path: Path, file: IO[bytes], most: int) -> tuple[pl.LazyFrame, int]:
    """The columns that can be features, and the number of rows."""
    lazy = pl.scan_parquet(file)
    schema = lazy.collect_schema()
    usable = [name for name, dtype in schema.items() if not dtype.is_nested() and dtype not in (pl.Binary, pl.Object)]
    if len(usable) > most:
        raise DataError(f"{path} has {len(usable):,} columns, and at most {most:,} can be used", "use fewer")
    height = int(lazy.select(pl.len()).collect().item())
    if not height or not usable:
        raise DataError(f"{path} has no rows" if usable else f"{path} has no columns of numbers or texts")
    return lazy.select(usable), height


def _sheet(path: Path, frame: pl.DataFrame, start: int) -> Sheet:
    columns = {series.name: clean(series) for series in frame.get_columns()}
    return Sheet(path, columns, np.arange(start + 1, start + 1 + len(frame)))
