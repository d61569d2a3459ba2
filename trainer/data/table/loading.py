"""A table as a data set: read, its target understood, cut into splits, and encoded by a plan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from trainer.data.cache import check_room
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset, Split, Track, moments_of_targets
from trainer.data.table import cells, cutting, leaks, planning, reading, target
from trainer.data.table.columns import Category, Column, Dropped, Number, described, understood
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.planning import Wishes
from trainer.data.table.sheet import Sheet
from trainer.data.table.target import Target
from trainer.system.errors import DataError, did_you_mean
from trainer.system.paths import expanded

FEWEST = 3  # rows: one to train, one to validate and one to test


@dataclass(frozen=True)
class Rows:
    """The rows of a table before they are encoded: splits are cut of them, and nothing is read."""

    sheet: Sheet

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.sheet), len(self.sheet.columns)))

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def __getitem__(self, index: Any) -> Tensor:
        raise TypeError("rows of a table are encoded once their splits are cut")


@dataclass(frozen=True)
class Read:
    """What is known of a table once it has been read."""

    config: Table
    name: str  # of the target
    notes: Notes
    unused: Mapping[str, str]
    wishes: Wishes
    comma: bool
    columns: tuple[Column, ...] | None  # the plan of a model that is trained already


def load(config: Table, track: Track[object], trained: Mapping[str, Any] | None = None) -> Dataset:
    """Load a table as `config` says, or as a model was `trained` that is now evaluated on it.

    Raises:
        DataError: A file or column is missing, or the table cannot be used.
    """
    path = expanded(config.path)
    notes = Notes(path, config.strict)
    plan = None if trained is None else trained.get("plan")
    columns = None if plan is None else tuple(map(understood, plan))
    classes = None if columns is None or trained is None else trained.get("classes")
    sheet = reading.read(path, config.target, notes)
    name = _target_name(sheet, config, columns is not None)
    comma = any(map(cells.writes_commas, sheet.columns.values()))
    found = target.read(sheet.columns[name], config.task, comma, notes, classes)
    sheet = sheet.take(found.rows) if len(found.rows) < len(sheet) else sheet
    whole = config.test_fraction == 0  # which only an evaluation asks for: nothing is held back
    if not len(sheet):
        raise DataError(
            f"{path} has no row with a target that can be used", "look at it: trainer inspect data=table ..."
        )
    if len(sheet) < FEWEST and not whole:
        rows = "one row" if len(sheet) == 1 else f"{len(sheet)} rows"
        raise DataError(f"{path} has {rows}, and training, validation and test need one each", "add some")
    others = {key: _other(config, key, name, found, notes) for key in ("val_path", "test_path")}
    cut = cutting.cut(config, sheet, found, notes, others["test_path"] is not None or whole)
    everything = Split(Rows(sheet), found.values, groups=cut.groups)
    wishes = _wishes(config, sheet)
    unused = planning.without_use(sheet, wishes, _beside(config, sheet, name))
    held_out = {"val": others["val_path"], "test": others["test_path"]}
    for part, index in (("val", cut.val), ("test", cut.test)):
        if held_out[part] is None and index is not None:
            held_out[part] = everything.take(index)
    test = held_out["test"] if held_out["test"] is not None else everything.take(slice(0))
    return Dataset(
        "table",
        train=everything.take(cut.train) if len(cut.train) < len(sheet) else everything,
        test=test,
        val=held_out["val"],
        classes=found.classes,
        stratify=True,
        encode=partial(_encoded, Read(config, name, notes, unused, wishes, comma, columns)),
    )


def _target_name(sheet: Sheet, config: Table, trained: bool) -> str:
    if sheet.find(config.target) is None and trained:
        raise DataError(
            f"{sheet.path} has no column {quoted(config.target)}, the target: without it nothing can be evaluated",
            did_you_mean(config.target, sheet.columns),
        )
    name = sheet.column(config.target, "data.target")
    if len(sheet.columns) == 1:
        raise DataError(f"{sheet.path} has no column beside the target {quoted(name)}")
    return name


def _other(config: Table, key: str, name: str, found: Target, notes: Notes) -> Split | None:
    """The split in another file, `data.val_path` or `data.test_path`; None if there is none, or it has no target."""
    given = getattr(config, key)
    if given is None:
        return None
    notes = notes.of(expanded(given))
    sheet = reading.read(notes.path, config.target, notes)
    if name not in sheet.columns:
        if key == "val_path":
            raise DataError(f"{notes.path} has no column {quoted(name)}, the target", "give a file that has it")
        notes.say(f"it has no column {quoted(name)}, the target, so it is no test: a test split is cut from data.path")
        return None
    task = "classification" if found.classes is not None else "regression"
    comma = any(map(cells.writes_commas, sheet.columns.values()))
    own = target.read(sheet.columns[name], task, comma, notes, found.classes)
    if not len(own.rows):
        raise DataError(f"{notes.path} has no rows with a target {quoted(name)}")
    return Split(Rows(sheet.take(own.rows)), own.values)


def _beside(config: Table, sheet: Sheet, name: str) -> dict[str, str]:
    """Columns that are no features because they are something else."""
    found = {name: "it is the target"}
    for key, use in (("split", "it says the splits"), ("group", "it says the groups")):
        word = getattr(config, key)
        if word is not None:
            found[sheet.column(word, f"data.{key}")] = use
    return found


def _wishes(config: Table, sheet: Sheet) -> Wishes:
    def columns(key: str) -> set[str] | None:
        words = getattr(config, key)
        return None if words is None else {sheet.column(word, f"data.{key}") for word in words}

    return Wishes(columns("columns"), columns("drop") or (), columns("categories") or ())


def _encoded(read: Read, dataset: Dataset) -> Dataset:
    """The data set with its splits encoded, by a plan that is measured on the training split if there is none."""
    splits = {name: split for name in ("train", "val", "test") if (split := getattr(dataset, name)) is not None}
    train = dataset.train
    assert isinstance(train.samples, Rows)
    plan = read.columns
    if plan is None:
        plan = _measured(read, train)
        leaks.warn(plan, train.samples.sheet, _rows(train), dataset, read.name, read.notes)
    names = tuple(feature for column in plan for feature in column.features)
    _check_size(read, plan, len(names), sum(map(len, splits.values())))
    encoded: dict[str, Any] = {name: _features(read, plan, split, len(names)) for name, split in splits.items()}
    _say_what_is_absent(read, dataset, splits)
    return replace(
        dataset,
        **encoded,
        encode=None,
        columns=names,
        plan=tuple(map(described, plan)),
        notes=tuple(read.notes.lines),
        **(moments_of_targets(train) if dataset.classes is None else {}),
    )


def _rows(split: Split) -> np.ndarray:
    return np.arange(len(split)) if split.rows is None else split.rows.numpy()


def _measured(read: Read, train: Split) -> tuple[Column, ...]:
    assert isinstance(train.samples, Rows)
    rows = pl.Series(_rows(train))
    plan: list[Column] = []
    for name, series in train.samples.sheet.columns.items():
        if name in read.unused:
            plan.append(Dropped(name, read.unused[name]))
        else:
            plan.append(planning.measure(name, series.gather(rows), read.wishes, read.comma))
    if not any(column.features for column in plan):
        raise DataError(
            f"{read.notes.path}: no column is left as a feature; {named([c.name for c in plan])} are dropped",
            "name those to use: data.columns=[...]",
        )
    _say_what_is_cleaned(read, plan)
    return tuple(plan)


def _say_what_is_cleaned(read: Read, plan: list[Column]) -> None:
    reasons: dict[str, list[str]] = {}
    for column in plan:
        if isinstance(column, Dropped) and column.name != read.name:
            reasons.setdefault(column.reason.partition(" (")[0], []).append(column.name)
    for reason, names in reasons.items():
        say = read.notes.say if "data." in reason or "it says" in reason else read.notes.clean
        say(f"dropped {named(names)}: {reason}")
    missing = [c.name for c in plan if isinstance(c, Number) and c.missing]
    if missing:
        read.notes.clean(f"missing numbers filled with the median: {named(missing)}", "fill them")
    missing = [c.name for c in plan if not isinstance(c, Number | Dropped) and c.missing]
    if missing:
        read.notes.clean(f"missing cells are a value of their own: {named(missing)}", "fill them")
    rare = [c.name for c in plan if isinstance(c, Category) and c.rare]
    if rare:
        read.notes.clean(
            f"rare words count as one: {named(rare)}", "make groups of them, or name it in data.categories"
        )


def _check_size(read: Read, plan: tuple[Column, ...], count: int, rows: int) -> None:
    """Refuse a table that becomes more features than can be used, before they are made."""
    path = read.notes.path
    becomes, hint = f"{path} becomes {count:,} features", "use fewer columns or rows"
    categories = [column for column in plan if isinstance(column, Category)]
    if categories:
        most = max(categories, key=lambda column: len(column.words))
        hint = f"drop columns of words, data.drop=[...]: {quoted(most.name)} has {len(most.words):,} different ones"
    if count > reading.FEATURES:
        raise DataError(f"{becomes}, and at most {reading.FEATURES:,} can be used", hint)
    check_room(rows * count * 4, f"{becomes} of {rows:,} rows, which", hint)


def _features(read: Read, plan: tuple[Column, ...], split: Split, count: int) -> Split:
    """A split whose samples are features (N, F)."""
    assert isinstance(split.samples, Rows)
    sheet, rows = split.samples.sheet, pl.Series(_rows(split))
    out = np.empty((len(rows), count), dtype=np.float32)
    place, absent, strange = 0, [], {}
    for column in plan:
        width = len(column.features)
        if width:
            series = sheet.columns.get(column.name)
            if series is None:
                absent.append(column.name)
                series = pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(rows))
            else:
                series = series.gather(rows)
            odd = column.encode(series, out[:, place : place + width])
            if odd and (read.columns is not None or not isinstance(column, Category)):
                strange[column.name] = odd
            place += width
    notes = read.notes.of(sheet.path)
    for name, odd in strange.items():
        notes.clean(f"{quoted(name)}: {odd:,} cells hold something else, and count as missing", "correct them")
    if absent:
        notes.clean(f"no column {named(absent)}: counts as missing in every row", "add it")
    extra = [name for name in sheet.columns if name not in {c.name for c in plan} and name != read.name]
    if extra:
        notes.say(f"columns that the model does not know: {named(extra)}")
    return Split(torch.from_numpy(out), split.targets, groups=split.groups)


def _say_what_is_absent(read: Read, dataset: Dataset, splits: Mapping[str, Split]) -> None:
    if dataset.classes is None or read.columns is not None:
        return
    for part, split in splits.items():
        counts = torch.bincount(split.targets, minlength=len(dataset.classes)).tolist()
        absent = [name for name, count in zip(dataset.classes, counts, strict=True) if not count]
        if absent:
            read.notes.say(f"the {part} split has no row of {named(absent)}")
