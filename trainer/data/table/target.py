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
from trainer.system.shown import counted

# A target of more different whole numbers is a quantity, and not classes; and so is one of larger numbers.
MANY = 20
LARGE = 100
SEVERAL = 10  # numbers that may have gaps between them
_FIRST = 10_000  # rows
TWICE = 2  # rows that each number of a target has on average, or it is a quantity


@dataclass(frozen=True)
class Target:
    """The targets of the `rows` that have one: class indices (N,) with the names of the classes, or values (N, 1)."""

    rows: np.ndarray
    values: Tensor
    classes: tuple[str, ...] | None


def read(
    series: pl.Series, task: str, comma: bool, notes: Notes, classes: Sequence[str] | None = None, trained: bool = False
) -> Target:
    """The target of each row of a table that has one; for a model that is `trained` already, with its `classes`.

    `task` is `classification`, `regression` or `auto`.

    Raises:
        DataError: The target is the same in every row, or is not what `task` says.
    """
    name = series.name
    text = cells.tidy(series)
    found = cells.numbers(text, comma).values
    if task == "auto":
        task = "classification" if _classifies(text, found) else "regression"
        different = _few(found) if task == "classification" else None
        if different is not None and len(different) > 2 and found.null_count() == text.null_count():
            notes.say(f"the {len(different)} numbers of {quoted(name)} are classes (a quantity: data.task=regression)")
    if task == "regression":
        rows = _kept(found, notes, name)
        strange = int((found.is_null() & text.is_not_null()).sum())
        if strange and (not len(rows) or strange > FEW * len(text)):
            raise DataError(
                f"{notes.path}: the target {quoted(name)} has words, and data.task=regression",
                "use data.task=classification",
            )
        values = found.gather(pl.Series(rows)).to_numpy()
        if len(values) and values.min() == values.max() and not trained:
            raise DataError(f"{notes.path}: the target {quoted(name)} is {values[0]:g} in every row")
        return Target(rows, torch.from_numpy(values.copy())[:, None], None)
    if found.null_count() == text.null_count():  # numbers are the same class however they are written
        few = _few(found)
        numbers = (found.unique().drop_nulls() if few is None else few).sort()
        return _classes(name, found, numbers, words(numbers).to_list(), notes, classes)
    labels = _as_usual(words(series, cells.NEVER_CLASSES), notes, classes)
    different = labels.unique().drop_nulls().sort()
    return _classes(name, labels, different, different.to_list(), notes, classes)


def _as_usual(labels: pl.Series, notes: Notes, known: Sequence[str] | None) -> pl.Series:
    """The classes in one spelling each, where they differ in case alone: that of a model, or the most frequent one.

    Single letters are left as they are: `a` and `A` may be two.
    """
    spelt = known or labels.drop_nulls().value_counts(sort=True)[labels.name].to_list()
    usual: dict[str, str] = {}
    for word in spelt:
        usual.setdefault(word.casefold(), word)
    several = [word for word in labels.unique().drop_nulls() if len(word) > 1 and word not in (known or ())]
    other = {word: usual[word.casefold()] for word in several if usual.get(word.casefold(), word) != word}
    if other:
        notes.clean(f"classes that differ in case alone are one: {named(sorted({*other, *other.values()}))}")
    return labels.replace(other) if other else labels


def _classifies(text: pl.Series, found: pl.Series) -> bool:
    """Whether a target is words, or few small whole numbers."""
    filled = len(text) - text.null_count()
    strange = filled - (len(found) - found.null_count())
    different = _few(found)
    if strange > FEW * filled or (strange and different is not None):
        return True
    if different is None:
        return False
    small = bool(((different == different.round()) & (different.abs() <= LARGE)).all())
    if len(different) > SEVERAL:  # then only numbers of classes, one after the other
        low, high = float(different.min()), float(different.max())  # type: ignore[arg-type]
        small = small and low in (0, 1) and high - low + 1 == len(different)
    return small and filled - strange >= TWICE * len(different)


def _few(values: pl.Series) -> pl.Series | None:
    """The different values, if there are at most `MANY`; usually the first rows say so."""
    first = values.head(_FIRST).drop_nulls().unique()
    if len(first) > MANY:
        return None
    rest = values.filter(~values.is_in(first.implode())).drop_nulls().unique()
    return first.append(rest) if len(first) + len(rest) <= MANY else None


def _kept(values: pl.Series, notes: Notes, name: str) -> np.ndarray:
    rows = np.flatnonzero(values.is_not_null().to_numpy())
    without = len(values) - len(rows)
    if without:
        notes.clean(f"left out {counted(without, 'row')} without a target {quoted(name)}", "fill it")
    return rows


def _classes(
    name: str, labels: pl.Series, values: pl.Series, names: list[str], notes: Notes, known: Sequence[str] | None
) -> Target:
    """Class indices of the rows that have a class; `names` are those of the different `values`."""
    if not names:
        raise DataError(f"{notes.path}: no row has a target {quoted(name)}", "choose another column as data.target")
    rows = _kept(labels, notes, name)
    codes = labels.gather(pl.Series(rows)).replace_strict(values, np.arange(len(values)), return_dtype=pl.Int64)
    place = torch.from_numpy(codes.to_numpy().copy())
    counts = torch.bincount(place, minlength=len(names))
    if known is None:
        if len(names) < 2:
            raise DataError(f"{notes.path}: the target {quoted(name)} is {quoted(names[0])} in every row")
        _stray(dict(zip(names, counts.tolist(), strict=True)), notes)
        return Target(rows, place, tuple(names))
    index = {word: number for number, word in enumerate(known)}
    places = torch.tensor([index.get(word, -1) for word in names])[place]
    unknown = [word for word in names if word not in index]
    if unknown:
        kept = places >= 0
        left_out = counted(int((~kept).sum()), "row")
        notes.say(f"left out {left_out} of classes that the model does not have: {named(unknown)}")
        places, rows = places[kept], rows[kept.numpy()]
    return Target(rows, places, tuple(known))


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
