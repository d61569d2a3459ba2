"""The columns of a table as clients fill them in: what each takes, what it makes of a value of JSON, an example."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl

from trainer.data.table import cells, columns
from trainer.data.table.cells import LARGEST, MISSING, Cells
from trainer.data.table.columns import Boolean, Category, Column, Date
from trainer.system.errors import listed
from trainer.system.shapes import reads_as_number
from trainer.system.shown import shortened

SHOWN = 12  # words of a category that an error names
_EXAMPLE = datetime.datetime(2026, 1, 31, 12, 0)


@dataclass(frozen=True)
class Field:
    """A column by its name; whether its value may be missing, as it sometimes was in training."""

    name: str
    optional: bool = False

    kind: ClassVar[str] = ""

    def read(self, value: Any) -> Any:
        """A value of JSON that is not missing, as a cell of this column.

        Raises:
            ValueError: It is none; the message goes on where "column 'age' " stands.
        """
        raise NotImplementedError

    def cell(self, value: Any) -> Any:
        """A value of JSON as a cell of this column, None if it is missing.

        Raises:
            ValueError: As in `read`, or it is missing and may not be.
        """
        if isinstance(value, str):
            value = value.strip()
        if value is not None and not (isinstance(value, str) and value.lower() in MISSING):
            return self.read(value)
        if not self.optional:
            raise ValueError("has no value, and the model was trained without missing ones")
        return None

    def cells(self, values: Sequence[Any]) -> Cells:
        """The cells of several rows as a plan takes them."""
        return pl.Series(self.name, values, dtype=pl.String)

    def described(self) -> dict[str, Any]:
        """What a client has to know of the column."""
        return {"name": self.name, "kind": self.kind, "may_be_missing": self.optional}

    def example(self) -> Any:
        """A value."""
        raise NotImplementedError


@dataclass(frozen=True)
class NumberField(Field):
    """A number, in JSON or as text; what is usual is known where the column was standardised."""

    usual: float = 0.0
    mean: float | None = None
    deviation: float | None = None

    kind: ClassVar[str] = "number"

    def read(self, value: Any) -> float:
        if isinstance(value, str) and reads_as_number(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"takes a number, not {_shown(value)}")
        if not abs(value) <= LARGEST:
            raise ValueError(f"takes a number of at most {LARGEST:.2g}")
        return float(value)

    def cells(self, values: Sequence[float | None]) -> Cells:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def described(self) -> dict[str, Any]:
        return {**super().described(), "mean": self.mean, "deviation": self.deviation}

    def example(self) -> Any:
        return int(self.usual) if self.usual.is_integer() and abs(self.usual) < 2**53 else self.usual


@dataclass(frozen=True)
class WordField(Field):
    """One of the words that the model has seen, or another where rare ones were put together."""

    words: tuple[str, ...] = ()
    others: bool = False

    kind: ClassVar[str] = "category"

    def read(self, value: Any) -> str:
        if isinstance(value, bool):
            value = str(value).lower()
        if isinstance(value, int | float) and abs(value) <= LARGEST:
            value = columns.words(np.array([float(value)]))[0]  # as the cell of a file: 1 and 1.0 are one word
        if not isinstance(value, str):
            raise ValueError(f"takes a word, not {_shown(value)}")
        text = _whole(value)
        if not self.others and text not in self._known:
            known = listed([*map(repr, self.words[:SHOWN])])
            more = "" if len(self.words) <= SHOWN else f" and {len(self.words) - SHOWN:,} more"
            raise ValueError(f"is {_shown(value)}, which the model does not know; it knows {known}{more}")
        return text

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.words)

    def described(self) -> dict[str, Any]:
        return {**super().described(), "words": list(self.words), "takes_other_words": self.others}

    def example(self) -> Any:
        return self.words[0] if self.words else "a word"


@dataclass(frozen=True)
class YesNoField(Field):
    """Yes or no, as true and false or by the two words for it."""

    no: str = "no"
    yes: str = "yes"

    kind: ClassVar[str] = "boolean"

    def read(self, value: Any) -> str:
        if isinstance(value, bool):
            return self.yes if value else self.no
        if isinstance(value, str) and value.lower() in (self.no, self.yes):
            return value.lower()
        raise ValueError(f"takes true, false, {self.yes!r} or {self.no!r}, not {_shown(value)}")

    def described(self) -> dict[str, Any]:
        return {**super().described(), "words": [self.no, self.yes]}

    def example(self) -> Any:
        return True


@dataclass(frozen=True)
class DateField(Field):
    """A date or an hour, written as in the table of the training; `own`: as ISO 8601 has it."""

    form: str = "own"

    kind: ClassVar[str] = "date"

    def read(self, value: Any) -> Any:
        if isinstance(value, str):
            text = _whole(value)
            if self.form == "own":
                try:
                    return datetime.datetime.fromisoformat(text).replace(tzinfo=None)
                except ValueError:
                    pass
            elif cells.dates(pl.Series([text]), self.form).null_count() == 0:
                return text
        raise ValueError(f"takes a date written like {self.example()!r}, not {_shown(value)}")

    def cells(self, values: Sequence[Any]) -> Cells:
        return pl.Series(self.name, values, dtype=pl.Datetime("us") if self.form == "own" else pl.String)

    def described(self) -> dict[str, Any]:
        return {**super().described(), "form": "ISO 8601" if self.form == "own" else self.form}

    def example(self) -> Any:
        return _EXAMPLE.isoformat() if self.form == "own" else pl.Series([_EXAMPLE]).dt.strftime(self.form)[0]


def field_of(column: Column) -> Field | None:
    """What a client fills in for a column of a plan; None of one that is no feature."""
    if isinstance(column, columns.Number):
        return NumberField(column.name, column.missing, column.fill, column.mean, column.deviation)
    if isinstance(column, Category):
        return WordField(column.name, column.missing, column.words, column.rare)
    if isinstance(column, Boolean):
        return YesNoField(column.name, column.missing, *column.words)
    return DateField(column.name, column.missing, column.form) if isinstance(column, Date) else None


def _whole(text: str) -> str:
    """Without half of a character, which JSON may hold, and no library of tables takes."""
    return text.encode(errors="replace").decode()


def _shown(value: Any) -> str:
    """A value of JSON, as an error names it."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{shortened(value, 60, '...')}'" if isinstance(value, str) else shortened(str(value), 60, "...")
