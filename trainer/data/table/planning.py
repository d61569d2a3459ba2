"""The plan of a table's columns, measured on its training rows."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from trainer.data.table import cells
from trainer.data.table.cells import Cells
from trainer.data.table.columns import PARTS, Boolean, Category, Column, Date, Dropped, Number, part_of, words
from trainer.data.table.sheet import Sheet

# If at most this share of the cells, or of the different cells, are words, they are mistakes in a column of numbers.
FEW = 0.2
LEAST = 3  # rows that a word needs for a feature of its own; and one row in `ONE_IN`, up to `ENOUGH`
ONE_IN, ENOUGH = 200, 20
MOST = 200  # words of a column that get features of their own
COVERED = 0.3  # share of the rows that must have such a word, or none; else the column holds names or texts
DIFFERENT = 0.95  # share of the rows in which an identifier is another one
ROWS = 20  # rows from which on numbers that count up are the numbers of the rows
COUNTED = "the numbers of the rows"
_IDENTIFIER = re.compile(
    r".*[a-z0-9](ID|Id)|(?i:(.*[_ .-])?(id|idx|uuid|guid|key)|index|unnamed: \d+|row ?_?(nr|no|number|id|names?)?|"
    r"nr\.?|no\.?|#|s(r|l)?\.? ?no\.?|serial.*|level_0)"
)
_TIME = re.compile(r"(?i).*(time|date|year|month|week|day|hour|minute|second|step|epoch|age).*|x|t")


@dataclass(frozen=True)
class Wishes:
    """What the user says of the columns, by their names."""

    only: Collection[str] | None = None
    drop: Collection[str] = ()
    categories: Collection[str] = ()

    def wanted(self, name: str) -> bool:
        """Whether the user names the column as a feature."""
        return (self.only is not None and name in self.only) or name in self.categories


def without_use(sheet: Sheet, wishes: Wishes, beside: Mapping[str, str]) -> dict[str, str]:
    """Columns of the table that are no features, each with the reason; `beside` are those that have another use."""
    found: dict[str, str] = {}
    for place, (name, series) in enumerate(sheet.columns.items()):
        if name in beside:
            found[name] = beside[name]
        elif wishes.only is not None and name not in wishes.only and name not in wishes.categories:
            found[name] = "not among data.columns"
        elif name in wishes.drop:
            found[name] = "named by data.drop"
        elif not wishes.wanted(name):
            reason = "it has no name" if name in sheet.nameless else _identifies(name, series, place)
            if reason:
                found[name] = reason
    if len(found) == len(sheet.columns):  # better the numbers of the rows than nothing
        found = {name: reason for name, reason in found.items() if reason != COUNTED}
    return found


def _identifies(name: str, series: pl.Series, place: int) -> str:
    """Why the cells of a column of numbers are but names of the rows; or nothing."""
    named = _IDENTIFIER.fullmatch(name) is not None
    counted = place == 0 and len(series) >= ROWS and not _TIME.fullmatch(name)
    if not (named or counted) or len(series) < 2:
        return ""
    text = cells.tidy(series)
    if text.dtype == pl.String and named and text.n_unique() >= DIFFERENT * len(text):
        return "an identifier"
    values = cells.numbers(text).values
    if values.null_count() or not (values == values.round()).all():
        return ""
    if counted and values[0] in (0, 1) and (values.diff().drop_nulls() == 1).all():
        return COUNTED
    return "an identifier" if named and values.n_unique() >= DIFFERENT * len(values) else ""


def measure(name: str, given: Cells, wishes: Wishes, comma: bool) -> Column:
    """The plan of a column by its training rows; `comma` says that the file writes decimal commas."""
    if isinstance(given, np.ndarray) and name not in wishes.categories:
        return _number(name, given, comma=False)
    text = cells.tidy(given)
    if text.null_count() == len(text):
        return Dropped(name, "it is empty")
    if name in wishes.categories:
        return _category(name, text, forced=True)
    found = cells.numbers(text, comma)
    if _is_of_numbers(text, found.values):
        return _number(name, found.values.to_numpy(), found.comma)
    pair = cells.yes_no(text)
    if pair is not None:
        yes = (text.str.to_lowercase() == pair[1]).mean()
        return Boolean(name, pair, float(round(yes)) if isinstance(yes, float) else 0.0, text.null_count() > 0)
    form = cells.form_of_dates(text)
    if form is not None:
        return _date(name, text, form)
    return _category(name, text, forced=wishes.wanted(name))


def _is_of_numbers(text: pl.Series, values: pl.Series) -> bool:
    """Whether a column holds numbers and, perhaps, some mistakes among them."""
    strange = text.filter(values.is_null() & text.is_not_null())
    if not len(strange):
        return values.null_count() < len(values)
    filled = len(text) - text.null_count()
    different, wrong = values.drop_nulls().n_unique(), strange.n_unique()
    few = len(strange) <= FEW * filled or wrong <= FEW * (different + wrong)
    return few and wrong < different  # a column of `0` and many words holds categories


def _number(name: str, values: np.ndarray, comma: bool) -> Column:
    there = ~np.isnan(values)
    known = values if there.all() else values[there]
    if not len(known):
        return Dropped(name, "it is empty")
    missing = len(known) < len(values)
    if known.min() == known.max() and not missing:
        return Dropped(name, f"it is always {known[0]:g}")
    fill = float(np.median(known))
    return Number(name, fill, *_moments(np.where(there, values, fill) if missing else values), missing, comma)


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and deviation; the deviation of a constant is 1."""
    low = float(values.min())
    if low == values.max():  # rounding would leave a deviation
        return low, 1.0
    return float(values.mean()), float(values.std()) or 1.0


def _date(name: str, text: pl.Series, form: str) -> Column:
    when = cells.dates(text, form)
    parts = []
    for part in PARTS[:2] if form in cells.MONTHS else PARTS:
        values = part_of(when, part)
        if values.min() != values.max():
            fill = float(np.median(values.drop_nulls().to_numpy()))
            parts.append(Number(part, fill, *_moments(values.fill_null(fill).to_numpy())))
    missing = when.null_count() > 0
    return Date(name, form, tuple(parts), missing) if parts or missing else Dropped(name, "it is always the same date")


def _category(name: str, text: pl.Series, forced: bool) -> Column:
    text = words(text)
    if text.null_count() == len(text):
        return Dropped(name, "its cells are no texts")
    counts = text.drop_nulls().value_counts().sort(["count", text.name], descending=[True, False])
    different, missing = len(counts), text.null_count()
    if different == 1 and not missing:
        return Dropped(name, "it is always the same")
    top = int(counts["count"][0])
    least = 1 if forced else min(max(LEAST, len(text) // ONE_IN), ENOUGH)
    if top < least and 2 * different < len(text):  # few rows
        least = top
    common = counts.filter(pl.col("count") >= least).head(MOST)
    covered = (int(common["count"].sum()) + missing) / len(text)
    if covered < COVERED and not forced:
        return Dropped(name, f"names or texts ({different:,} different)")
    return Category(name, tuple(sorted(common[text.name].to_list())), len(common) < different, missing > 0)
