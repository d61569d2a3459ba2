"""A table that has been read: its columns, before anything is understood of their cells."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from trainer.data.table.notes import quoted
from trainer.data.table.on_disk import OnDisk
from trainer.system.errors import DataError, did_you_mean
from trainer.system.shapes import reads_as_number


@dataclass(frozen=True)
class Sheet:
    """The columns of the file `path` by their names, as text without blanks around it or as a file's own types.

    `lines` are the numbers of the rows in the file, as an editor counts them. `nameless` are columns that the file
    gives no name; without a `header` all are named by their numbers.
    """

    path: Path
    columns: Mapping[str, pl.Series]
    lines: np.ndarray
    header: bool = True
    nameless: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, rows: np.ndarray) -> "Sheet":
        """The sheet of some rows, by their indices."""
        if isinstance(self.columns, OnDisk):
            return replace(self, columns=self.columns.take(rows), lines=self.lines[rows])
        index = pl.Series(rows)
        columns = {name: series.gather(index) for name, series in self.columns.items()}
        return replace(self, columns=columns, lines=self.lines[rows])

    def renamed(self, names: list[str]) -> "Sheet":
        """The sheet with other names of its columns, one after the other."""
        if isinstance(self.columns, OnDisk):
            return replace(self, columns=self.columns.renamed(names))
        return replace(self, columns=dict(zip(names, self.columns.values(), strict=True)))

    def let_go(self, name: str) -> None:
        """Free the memory that a column takes, which nobody asks for again."""
        if isinstance(self.columns, dict):
            self.columns.pop(name, None)

    def find(self, word: str) -> str | None:
        """The name of the column that `word` means: its name, or its number, from 1 on or from -1 at the end."""
        if word in self.columns:
            return word
        if reads_as_number(word) and float(word).is_integer():
            number, names = int(float(word)), list(self.columns)
            if 1 <= number <= len(names) or -len(names) <= number <= -1:
                return names[number - 1 if number > 0 else number]
        return None

    def column(self, word: str, key: str) -> str:
        """As `find`, for what the user gave as `key`.

        Raises:
            DataError: There is no such column.
        """
        name = self.find(word)
        if name is None:
            numbers = "" if self.header else f" (it has no header line: name columns by number, {key}=-1 is the last)"
            raise DataError(f"{self.path} has no column {quoted(word)}{numbers}", did_you_mean(word, self.columns))
        return name
