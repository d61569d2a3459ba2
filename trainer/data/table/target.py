"""The target of a table: classes, or a quantity."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import polars as pl
import torch
from torch import Tensor

from trainer.data.table import cells
from trainer.data.table.columns import words
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.planning import FEW
from trainer.system.errors import DataError

# A target of more different whole numbers is a quantity, and not classes; and so is one of larger numbers.
MANY = 20
LARGE = 100
TWICE = 2  # rows that each number of a target has on average, or it is a quantity


@dataclass(frozen=True)
class Target:
    """The targets of the `rows` that have one: class indices (N,) with the names of the classes, or values (N, 1)."""

    rows: np.ndarray
    values: Tensor
    classes: tuple[str, ...] | None


def read(series: pl.Series, task: str, comma: bool, notes: Notes, classes: Sequence[str] | None) -> Target:
    """The target of each row of a table that has one; with `classes`, those of a model that is trained already.

    `task` is `classification`, `regression` or `auto`.

    Raises:
        DataError: The target is the same in every row, or is not what `task` says.
    """
    name = series.name
    text = cells.tidy(series)
    found = cells.numbers(text, comma).values
    if classes is not None:
        task = "classification"
    if task == "auto":
        task = "classification" if _classifies(text, found) else "regression"
    if task == "regression":
        rows = _kept(found, notes, name)
        strange = int((found.is_null() & text.is_not_null()).sum())
        if strange and (not len(rows) or strange > FEW * len(text)):
            raise DataError(
                f"{notes.path}: the target {quoted(name)} has words, and data.task=regression",
                "use data.task=classification",
            )
        values = found.gather(pl.Series(rows)).to_numpy()
        if len(values) and values.min() == values.max() and classes is None:
            raise DataError(f"{notes.path}: the target {quoted(name)} is {values[0]:g} in every row")
        return Target(rows, torch.from_numpy(values.copy())[:, None], None)
    labels = _labels(series, text, found)
    return _classes(labels, _kept(labels, notes, name), notes, classes)


def _classifies(text: pl.Series, found: pl.Series) -> bool:
    """Whether a target is words, or few small whole numbers."""
    filled = len(text) - text.null_count()
    strange = filled - (len(found) - found.null_count())
    different = found.drop_nulls().n_unique()
    if strange > FEW * filled or (strange and different <= MANY):
        return True
    values = found.drop_nulls()
    whole = bool((values == values.round()).all()) and bool((values.abs() <= LARGE).all())
    return whole and different <= MANY and len(values) >= TWICE * different


def _labels(series: pl.Series, text: pl.Series, found: pl.Series) -> pl.Series:
    """The name of each row's class, null where it is missing; numbers are the same however they are written."""
    if found.null_count() == text.null_count():
        return words(found)
    return words(cells.tidy(series, cells.NEVER_CLASSES))


def _kept(values: pl.Series, notes: Notes, name: str) -> np.ndarray:
    rows = np.flatnonzero(values.is_not_null().to_numpy())
    without = len(values) - len(rows)
    if without:
        notes.clean(f"left out {without:,} row{'s' if without > 1 else ''} without a target {quoted(name)}", "fill it")
    return rows


def _classes(labels: pl.Series, rows: np.ndarray, notes: Notes, known: Sequence[str] | None) -> Target:
    labels = labels.gather(pl.Series(rows))
    counts = dict(labels.value_counts().iter_rows())
    if known is None:
        names = sorted(counts, key=_order if all(map(_is_whole, counts)) else str)
        if len(names) < 2:
            raise DataError(
                f"{notes.path}: the target {quoted(labels.name)} is {quoted(names[0])} in every row"
                if names
                else f"{notes.path}: no row has a target {quoted(labels.name)}"
            )
        _stray(counts, notes)
    else:
        names = list(known)
        unknown = sorted(set(counts) - set(names))
        if unknown:
            number = sum(counts[word] for word in unknown)
            notes.say(f"left out {number:,} rows of classes that the model does not have: {named(unknown)}")
            kept = labels.is_in(names).to_numpy()
            labels, rows = labels.filter(pl.Series(kept)), rows[kept]
    places = labels.replace_strict(names, list(range(len(names))), return_dtype=pl.Int64)
    return Target(rows, torch.from_numpy(places.to_numpy().copy()), tuple(names))


def _is_whole(word: str) -> bool:
    return word.removeprefix("-").isdecimal() and len(word) < 19


def _order(word: str) -> int:
    return int(word)


def _stray(counts: dict[str, int], notes: Notes) -> None:
    """Note classes of one row, which no test can be of: often another's name is meant."""
    alone = [word for word, count in counts.items() if count == 1]
    if len(alone) == len(counts):
        raise DataError(
            f"{notes.path}: every row has another target, {named(sorted(alone))}",
            "choose another column as data.target; or, if it is a quantity, data.task=regression",
        )
    for word in sorted(alone)[:3]:
        others = {other.lower(): other for other in counts if counts[other] > 1}
        close = [o for o in others if o.startswith(word.lower())] or get_close_matches(word.lower(), others, n=1)
        meant = f"; perhaps {quoted(others[close[0]])} is meant" if close else ""
        notes.say(f"class {quoted(word)} has one row, so the test split has none of it{meant}")
    if len(alone) > 3:
        notes.say(f"{len(alone) - 3:,} more classes have one row each")
