"""The kinds of columns of a plan, and how the cells of each become features."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trainer.data.table import cells
from trainer.data.table.cells import Cells

PARTS = ("year", "month", "weekday", "hour")


@dataclass(frozen=True)
class Number:
    """A number, standardised; where one is missing, `fill` stands, and with `missing` a feature of its own says so."""

    name: str
    fill: float
    mean: float
    deviation: float
    missing: bool = False
    comma: bool = False  # how it is written, where that is open

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.missing else (self.name,)

    def encode(self, given: Cells, out: np.ndarray) -> int:
        """Fill `out` (N, features); the number of cells that hold something else than a number."""
        if isinstance(given, np.ndarray):
            _standardised(given, self, out)
            return 0
        text = cells.tidy(given)
        values = cells.numbers(text, self.comma).values
        _standardised(values.to_numpy(), self, out)
        return int((values.is_null() & text.is_not_null()).sum())


@dataclass(frozen=True)
class Category:
    """One feature for each frequent word; others are `rare`, and missing ones `missing`, where there are such."""

    name: str
    words: tuple[str, ...]
    rare: bool = False
    missing: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        other = (("is rare", self.rare), ("is missing", self.missing))
        words = tuple(f"{self.name}={word}" for word in self.words)
        return (*words, *(f"{self.name} {what}" for what, there in other if there))

    def encode(self, given: Cells, out: np.ndarray) -> int:
        """Fill `out` (N, features); the number of cells that hold a word which the plan does not know."""
        text = words(given)
        places = {word: place for place, word in enumerate(self.words)}
        found = text.replace_strict(list(places), list(places.values()), default=-1, return_dtype=pl.Int32)
        empty = text.is_null().to_numpy()
        place = np.where(empty, -1, found.fill_null(-1).to_numpy())
        unknown = (place < 0) & ~empty
        if self.rare:
            place = np.where(unknown, len(self.words), place)
        if self.missing:
            place = np.where(empty, out.shape[1] - 1, place)
        out[:] = 0
        known = place >= 0
        out[np.flatnonzero(known), place[known]] = 1
        return 0 if self.rare else int(unknown.sum())


@dataclass(frozen=True)
class Boolean:
    """Yes or no as 1 or 0, by the two words (no, yes) for it in lower case; `fill` where it is missing."""

    name: str
    words: tuple[str, ...]
    fill: float
    missing: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.missing else (self.name,)

    def encode(self, given: Cells, out: np.ndarray) -> int:
        """Fill `out` (N, features); the number of cells that say neither."""
        text = words(given).str.to_lowercase()
        yes, no = (text == self.words[1]).fill_null(False), (text == self.words[0]).fill_null(False)
        other = ~(yes | no)
        out[:, 0] = yes.cast(pl.Float64).set(other, self.fill).to_numpy()
        if self.missing:
            out[:, 1] = other.to_numpy()
        return int((other & text.is_not_null()).sum())


@dataclass(frozen=True)
class Date:
    """Year, month, weekday and hour, as far as they differ; `form` says how dates are written."""

    name: str
    form: str
    parts: tuple[Number, ...]
    missing: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        parts = tuple(f"{self.name} {part.name}" for part in self.parts)
        return (*parts, f"{self.name} is missing") if self.missing else parts

    def encode(self, given: Cells, out: np.ndarray) -> int:
        """Fill `out` (N, features); the number of cells that hold no date."""
        text = cells.tidy(given)
        when = cells.dates(text, self.form)
        for place, part in enumerate(self.parts):
            _standardised(part_of(when, part.name).to_numpy(), part, out[:, place : place + 1])
        if self.missing:
            out[:, -1] = when.is_null().to_numpy()
        return int((when.is_null() & text.is_not_null()).sum())


@dataclass(frozen=True)
class Dropped:
    """A column that is no feature, and why."""

    name: str
    reason: str

    features: tuple[str, ...] = dataclasses.field(default=(), init=False)

    def encode(self, given: Cells, out: np.ndarray) -> int:
        """Nothing."""
        return 0


Column = Number | Category | Boolean | Date | Dropped
KINDS: dict[str, Any] = {"number": Number, "category": Category, "boolean": Boolean, "date": Date, "dropped": Dropped}


def words(given: Cells, missing: tuple[str, ...] = cells.MISSING) -> pl.Series:
    """The cells of a column as words; of numbers, whole ones without a decimal point."""
    text = cells.tidy(given, missing)
    if text.dtype.is_float():
        whole = (text == text.round()) & (text.abs() < 2**53)
        return text.cast(pl.String).zip_with(~whole, text.cast(pl.Int64, strict=False).cast(pl.String))
    return text if text.dtype == pl.String else text.cast(pl.String, strict=False)


def part_of(when: pl.Series, part: str) -> pl.Series:
    """The year, month, weekday or hour of dates, as numbers."""
    if part == "hour":
        return when.dt.hour().cast(pl.Float64) + when.dt.minute().cast(pl.Float64) / 60
    found: pl.Series = getattr(when.dt, part)()
    return found.cast(pl.Float64)


def _standardised(values: np.ndarray, number: Number, out: np.ndarray) -> None:
    missing = np.isnan(values)
    if number.missing:
        out[:, 1] = missing
    if missing.any():
        values = np.where(missing, number.fill, values)
    with np.errstate(over="ignore"):
        out[:, 0] = (values - number.mean) / number.deviation
    np.clip(out[:, 0], -cells.LARGEST, cells.LARGEST, out=out[:, 0])


def described(column: Column) -> dict[str, Any]:
    """A column as plain values."""
    kind = next(name for name, cls in KINDS.items() if isinstance(column, cls))
    found = {field.name: getattr(column, field.name) for field in dataclasses.fields(column) if field.init}
    plain: dict[str, Any] = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    if isinstance(column, Date):
        plain["parts"] = [described(part) for part in column.parts]
    return {"kind": kind, **plain}


def understood(plain: Mapping[str, Any]) -> Column:
    """The column of plain values that have been checked."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    kind = values.pop("kind")
    if kind == "date":
        values["parts"] = tuple(understood(part) for part in values["parts"])
    found: Column = KINDS[str(kind)](**values)
    return found
