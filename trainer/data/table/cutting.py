"""The rows of a table cut into splits: at random, by a column that says which, by groups, or by time."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from trainer.data.dividing import divide
from trainer.data.sets.table import Table
from trainer.data.table import cells
from trainer.data.table.columns import words
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.sheet import Sheet
from trainer.data.table.target import Target
from trainer.system.errors import ConfigError, DataError

_WORDS = {
    "train": ("train", "training", "tr", "learn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "holdout", "eval"),
}


@dataclass(frozen=True)
class Cut:
    """Row indices of the splits, and the group (N,) of each row of the table where groups stay together."""

    train: Tensor
    test: Tensor | None
    val: Tensor | None = None
    groups: Tensor | None = None


def cut(config: Table, sheet: Sheet, target: Target, notes: Notes, tested: bool, evaluated: bool) -> Cut:
    """Cut the rows of a table that have a target; if it is `tested` on another file, no test split is cut.

    Rows that are only `evaluated` may be too few to be cut.

    Raises:
        DataError, ConfigError: A column does not say what it should, two are given, or a split would be empty.
    """
    chosen = {key: getattr(config, key) for key in ("split", "group", "time") if getattr(config, key) is not None}
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(f'data.{key}=' for key in chosen)} each say how rows are split", "give one")
    if config.split is not None:
        return _by_words(config, sheet, target, notes, tested)
    if config.time is not None:
        return _by_time(config, sheet, tested)
    groups = None
    if config.group is not None:
        column = words(sheet.columns[sheet.column(config.group, "data.group")])
        groups = torch.from_numpy(column.rank("dense").fill_null(0).cast(pl.Int64).to_numpy().copy())
    every = torch.arange(len(sheet))
    if tested:
        return Cut(every, None, None, groups)
    if evaluated and not 0 < round(len(sheet) * config.test_fraction) < len(sheet):
        return Cut(every, every[:0], None, groups)
    train, test = _divided(config, every, sheet, target, groups)
    return Cut(train, test, None, groups)


def _divided(config: Table, rows: Tensor, sheet: Sheet, target: Target, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    strata = target.values[rows].to(torch.int32) if target.classes is not None else None
    train, test = divide(
        len(rows),
        config.test_fraction,
        config.split_seed,
        "data.test_fraction",
        f" in {sheet.path}",
        strata=strata,
        groups=None if groups is None else groups[rows],
    )
    return rows[train], rows[test]


def _by_words(config: Table, sheet: Sheet, target: Target, notes: Notes, tested: bool) -> Cut:
    name = sheet.column(str(config.split), "data.split")
    column = words(sheet.columns[name]).str.to_lowercase()
    split = {part: torch.from_numpy(np.flatnonzero(column.is_in(w).fill_null(False))) for part, w in _WORDS.items()}
    strange = sorted(set(column.drop_nulls().unique()) - {word for known in _WORDS.values() for word in known})
    if strange or column.null_count() or not len(split["train"]):
        has = f"{named(strange)}" if strange else "empty cells" if column.null_count() else "no 'train'"
        raise DataError(f"{sheet.path}: data.split={config.split} has {has}", "its cells say train, val or test")
    train, test = split["train"], split["test"] if len(split["test"]) else None
    if test is None and not tested:
        notes.say(f"{quoted(name)} names no test rows: {config.test_fraction:.0%} of the training rows are taken")
        train, test = _divided(config, train, sheet, target, None)
    return Cut(train, None if tested else test, split["val"] if len(split["val"]) else None)


def _by_time(config: Table, sheet: Sheet, tested: bool) -> Cut:
    name = sheet.column(str(config.time), "data.time")
    text = cells.tidy(sheet.columns[name])
    form = cells.form_of_dates(text)
    when = cells.numbers(text).values if form is None else cells.dates(text, form).cast(pl.Int64)
    if when.null_count():
        line = sheet.lines[int(np.flatnonzero(when.is_null())[0])]
        raise DataError(f"{sheet.path}, row {line}: data.time={name} is no date or number there", "correct the row")
    order = torch.from_numpy(when.arg_sort().cast(pl.Int64).to_numpy().copy())
    parts, left = [], len(order)
    for part, skipped in (("test", tested), ("val", config.val_path is not None)):
        fraction = config.test_fraction if part == "test" else config.held_out(left)
        size = 0 if skipped else round(left * fraction)
        parts.append(order[left - size : left].sort().values if size else None)
        left -= size
    if left < 1 or (parts[0] is None and not tested):
        raise DataError(f"{sheet.path}: {len(order)} rows are too few to be split by data.time", "add some")
    return Cut(order[:left].sort().values, parts[0], parts[1])
