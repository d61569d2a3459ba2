"""The columns of a Parquet file that is larger than memory: each is read when it is asked for, and forgotten.

Such a file keeps columns apart, and what a plan says of one is decided by all of its rows (medians, words, how its
numbers are written). So a column at a time is understood just as it is where the whole table fits.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from trainer.data.table import cells
from trainer.system.paths import regular


def clean(series: pl.Series) -> pl.Series:
    """Text without blanks around it, and finite numbers, as the columns of other tables are."""
    if series.dtype == pl.String:
        return series.str.strip_chars()
    return cells.plain(series) if series.dtype.is_numeric() else series


class OnDisk(Mapping[str, pl.Series]):
    """Some `rows` (all: None) of columns by their names, with what the file at `path` calls each."""

    def __init__(self, path: Path, names: Mapping[str, str], rows: np.ndarray | None = None) -> None:
        self.path, self.names, self.rows = path, dict(names), rows
        self.latest: tuple[str, pl.Series] | None = None  # of splits that are cut from the same rows, each asks for it

    def __getitem__(self, name: str) -> pl.Series:
        column = self.names[name]
        if self.latest is None or self.latest[0] != name:
            self.latest = None  # before the next is read: one at a time is in memory
            with open(self.path, "rb", opener=regular) as file:
                series = clean(pl.scan_parquet(file).select(column).collect().to_series()).alias(name)
            self.latest = name, series if self.rows is None else series.gather(pl.Series(self.rows))
        return self.latest[1]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> "OnDisk":
        """Some of these rows, by their indices."""
        return OnDisk(self.path, self.names, rows if self.rows is None else self.rows[rows])

    def renamed(self, names: list[str]) -> "OnDisk":
        """The same columns by other names."""
        return OnDisk(self.path, dict(zip(names, self.names.values(), strict=True)), self.rows)
