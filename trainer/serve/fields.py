"""The columns of a table as clients fill them in: what each takes, what it makes of a value of JSON, an example."""

import datetime
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from trainer.data.table import cells, columns
from trainer.data.table.cells import LARGEST, MISSING
from trainer.data.table.columns import Boolean, Category, Column, Date, Number
from trainer.system.errors import listed
from trainer.system.shapes import reads_as_number
from trainer.system.shown import shortened

SHOWN = 12  # words of a category that an error names
_ENCODED = 2**20  # features of all words of a column together, up to which they are encoded beforehand
_EXAMPLE = datetime.datetime(2026, 1, 31, 12, 0)


class Field(ABC):
    """A column by its `name`, which is so many features wide; `optional`: some were missing in training."""

    kind: ClassVar[str]

    def __init__(self, name: str, width: int = 1, optional: bool = False) -> None:
        self.name, self.width, self.optional = name, width, optional

    def cell(self, value: Any) -> Any:
        """A value of JSON as a cell of this column, None if it is missing.

        Raises:
            ValueError: It is none, or is missing and may not be; the message goes on where "column 'age' " stands.
        """
        if isinstance(value, str):
            value = _whole(value.strip())
        if value is not None and not (isinstance(value, str) and value.lower() in MISSING):
            return self.read(value)
        if not self.optional:
            raise ValueError("has no value, and the model was trained without missing ones")
        return None

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The same of a value that is not missing."""

    @abstractmethod
    def encode(self, cells: Sequence[Any], out: np.ndarray) -> None:
        """Fill `out` (N, width) with the features of cells."""

    @abstractmethod
    def example(self) -> Any:
        """A value."""

    def described(self) -> dict[str, Any]:
        """What a client has to know of the column."""
        return {"name": self.name, "kind": self.kind, "may_be_missing": self.optional}


class NumberField(Field):
    """A number, in JSON or as text: a column of a plan, or a feature as it is."""

    kind = "number"

    def __init__(self, name: str, column: Number | None = None) -> None:
        super().__init__(name) if column is None else super().__init__(name, len(column.features), column.missing)
        self.column = column

    def read(self, value: Any) -> float:
        if isinstance(value, str) and reads_as_number(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"takes a number, not {_shown(value)}")
        if not abs(value) <= LARGEST:
            raise ValueError(f"takes a number of at most {LARGEST:.2g}")
        return float(value)

    def encode(self, cells: Sequence[Any], out: np.ndarray) -> None:
        values = np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
        if self.column is None:
            out[:, 0] = values
        else:
            self.column.encode(values, out)

    def example(self) -> Any:
        usual = 0.0 if self.column is None else self.column.fill
        return int(usual) if usual.is_integer() and abs(usual) < 2**53 else usual

    def described(self) -> dict[str, Any]:
        usual = {} if self.column is None else {"mean": self.column.mean, "deviation": self.column.deviation}
        return {**super().described(), **usual}


class _Words(Field):
    """A column of a few words: how each is encoded is found out once, for that takes longer than all else."""

    def __init__(self, column: Category | Boolean, words: tuple[str, ...]) -> None:
        super().__init__(column.name, len(column.features), column.missing)
        self.column, self.words = column, words
        self.known = {word: place for place, word in enumerate(words)}
        self._encoded: np.ndarray | None = None
        if (len(words) + 2) * self.width <= _ENCODED:
            strange = "*" * (1 + max(map(len, words), default=0))
            self._encoded = np.empty((len(words) + 2, self.width), np.float32)
            self._by_column([*words, strange, None], self._encoded)

    def encode(self, cells: Sequence[Any], out: np.ndarray) -> None:
        if self._encoded is None:
            self._by_column(cells, out)
            return
        strange, missing = len(self.words), len(self.words) + 1
        out[:] = self._encoded[[missing if cell is None else self.known.get(cell, strange) for cell in cells]]

    def _by_column(self, cells: Sequence[Any], out: np.ndarray) -> None:
        self.column.encode(pl.Series(self.name, cells, dtype=pl.String), out)

    def described(self) -> dict[str, Any]:
        return {**super().described(), "words": list(self.words)}


class WordField(_Words):
    """One of the words that the model has seen, or another where rare ones were put together."""

    kind = "category"

    def __init__(self, column: Category) -> None:
        super().__init__(column, column.words)
        self.others = column.rare

    def read(self, value: Any) -> str:
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, int | float) and abs(value) <= LARGEST:
            value = _as_word(value)
        if not isinstance(value, str):
            raise ValueError(f"takes a word, not {_shown(value)}")
        if value not in self.known and reads_as_number(value) and abs(float(value)) <= LARGEST:
            value = _as_word(float(value))  # 01 and 1.0 are the word 1, as in a file
        if not self.others and value not in self.known:
            more = f", and {len(self.words) - SHOWN:,} more" if len(self.words) > SHOWN else ""
            known = listed([f"'{word}'" for word in self.words[:SHOWN]])
            raise ValueError(f"is {_shown(value)}, which the model does not know; it knows {known}{more}")
        return str(value)

    def example(self) -> Any:
        return self.words[0] if self.words else "word"

    def described(self) -> dict[str, Any]:
        return {**super().described(), "takes_other_words": self.others}


class YesNoField(_Words):
    """Yes or no, as true and false or by the two words for it."""

    kind = "boolean"

    def __init__(self, column: Boolean) -> None:
        super().__init__(column, column.words)

    def read(self, value: Any) -> str:
        no, yes = self.words
        if isinstance(value, bool):
            return yes if value else no
        if isinstance(value, str) and value.lower() in self.known:
            return value.lower()
        raise ValueError(f"takes true, false, '{yes}' or '{no}', not {_shown(value)}")

    def example(self) -> Any:
        return True


class DateField(Field):
    """A date or an hour, written as in the table of the training; as in ISO 8601 if the table had a type for it."""

    kind = "date"

    def __init__(self, column: Date) -> None:
        super().__init__(column.name, len(column.features), column.missing)
        self.column = column
        self.typed = column.form == "own"

    def read(self, value: Any) -> Any:
        if isinstance(value, str) and self.typed:
            try:
                return datetime.datetime.fromisoformat(value).replace(tzinfo=None)
            except ValueError:
                pass
        elif isinstance(value, str) and not cells.dates(pl.Series([value]), self.column.form).null_count():
            return value
        raise ValueError(f"takes a date written like '{self.example()}', not {_shown(value)}")

    def encode(self, cells: Sequence[Any], out: np.ndarray) -> None:
        self.column.encode(pl.Series(self.name, cells, dtype=pl.Datetime("us") if self.typed else pl.String), out)

    def example(self) -> Any:
        return _EXAMPLE.isoformat() if self.typed else pl.Series([_EXAMPLE]).dt.strftime(self.column.form)[0]

    def described(self) -> dict[str, Any]:
        return {**super().described(), "form": "ISO 8601" if self.typed else self.column.form}


def field_of(column: Column) -> Field | None:
    """What a client fills in for a column of a plan; None of one that is no feature."""
    if isinstance(column, Number):
        return NumberField(column.name, column)
    if isinstance(column, Category):
        return WordField(column)
    if isinstance(column, Boolean):
        return YesNoField(column)
    return DateField(column) if isinstance(column, Date) else None


def _as_word(value: float) -> str:
    return str(columns.words(np.array([float(value)]))[0])


def _whole(text: str) -> str:
    """Without half of a character, which JSON may hold, and no library of tables takes."""
    return text.encode(errors="backslashreplace").decode()


def _shown(value: Any) -> str:
    """A value of JSON, as an error names it."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{shortened(value, 60, '...')}'" if isinstance(value, str) else shortened(str(value), 60, "...")
