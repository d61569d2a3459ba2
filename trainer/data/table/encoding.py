"""The rows of a table's splits as features, by a plan that is measured on the training rows, or is a model's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from trainer.data.cache import check_room
from trainer.data.preparing import moments_of_targets
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset, Samples, Split
from trainer.data.table import cells, leaks, planning, spilling
from trainer.data.table.cells import Cells
from trainer.data.table.columns import Category, Column, Dropped, described
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.planning import Wishes
from trainer.data.table.remarks import Remarks, refuse, say_what_is_cleaned
from trainer.data.table.sheet import Sheet
from trainer.data.table.spilling import Made
from trainer.system.errors import DataError
from trainer.system.memory import free_memory

FEATURES = 100_000  # a checkpoint describes each
_COPIES = 2  # of the features, for a moment


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
class Encoder:
    """Makes features of rows whose splits are cut; `unused` are columns that are none, with the reason.

    `plan` is that of a model which is trained already, and perhaps only `evaluated`; without it one is measured, as the
    user wishes. `comma` says that the file writes decimal commas.
    """

    config: Table
    target: str
    notes: Notes
    unused: Mapping[str, str]
    wishes: Wishes
    comma: bool
    plan: tuple[Column, ...] | None
    evaluated: bool

    def __call__(self, dataset: Dataset) -> Dataset:
        """The data set with features; the columns of its sheets are let go.

        Raises:
            DataError: No column is left, there would be too many features, or the user is strict.
        """
        splits = {name: split for name in ("train", "val", "test") if (split := getattr(dataset, name)) is not None}
        plan = self._measured(dataset) if self.plan is None else self.plan
        names = tuple(feature for column in plan for feature in column.features)
        self._check_size(plan, len(names))
        encoded, cache = self._features(plan, splits)
        if not self.evaluated:
            self._say_what_is_absent(dataset, splits)
        return replace(
            dataset,
            **encoded,
            encode=None,
            cache=cache,
            columns=names,
            plan=tuple(map(described, plan)),
            notes=tuple(self.notes.lines),
            **(moments_of_targets(dataset.train) if dataset.classes is None else {}),
        )

    def _measured(self, dataset: Dataset) -> tuple[Column, ...]:
        sheet, rows = _sheet(dataset.train), _rows(dataset.train)
        plan: list[Column] = []
        for name, series in sheet.columns.items():
            if name in self.unused:
                plan.append(Dropped(name, self.unused[name]))
            else:
                plan.append(planning.measure(name, cells.picked(series, rows), self.wishes, self.comma))
        if not any(column.features for column in plan):
            raise DataError(
                f"{self.notes.path}: no column is left as a feature; {named([c.name for c in plan])} are dropped",
                "name those to use: data.columns=[...]",
            )
        if self.notes.strict:
            refuse(sheet, plan)
        say_what_is_cleaned(plan, self.target, self.notes)
        leaks.warn(plan, sheet, rows, dataset, self.target, self.notes)
        return tuple(plan)

    def _check_size(self, plan: tuple[Column, ...], count: int) -> None:
        """Refuse a table that becomes more features than can be used, before they are made."""
        if count > FEATURES:
            becomes = f"{self.notes.path} becomes {count:,} features"
            raise DataError(f"{becomes}, and at most {FEATURES:,} can be used", _fewer(plan))

    def _features(self, plan: tuple[Column, ...], splits: Mapping[str, Split]) -> tuple[dict[str, Any], str]:
        """The splits with features (N, F) as samples: in memory, or in the cache, which is said, if they do not fit."""
        sheets = {name: _sheet(split) for name, split in splits.items()}
        rows = {name: _rows(split) for name, split in splits.items()}
        count, width = sum(map(len, splits.values())), sum(len(column.features) for column in plan)
        needed = _COPIES * count * width * 4
        samples: dict[str, Samples]
        note = ""
        if needed > free_memory(torch.device("cpu")) and self.config.cache:
            paths = [*dict.fromkeys(sheet.path for sheet in sheets.values())]
            found = spilling.kept(self.config, paths, plan, rows, self.notes, lambda: self._made(plan, sheets, rows))
            samples, note = {name: found.features(name) for name in splits}, found.note
        else:
            hint = f"{_fewer(plan)}; or give data.cache, a folder with room for them"
            check_room(needed, f"{self.notes.path} becomes {width:,} features of {count:,} rows, which", hint)
            encoded: dict[str, list[np.ndarray]] = {name: [] for name in splits}
            for name, features in self._made(plan, sheets, rows):
                encoded[name].append(features)
            samples = {name: torch.from_numpy(np.concatenate(encoded.pop(name), 1)) for name in splits}
        return {
            name: Split(samples[name], split.targets, groups=split.groups, names=sheets[name].lines[rows[name]])
            for name, split in splits.items()
        }, note

    def _made(self, plan: Sequence[Column], sheets: Mapping[str, Sheet], rows: Mapping[str, np.ndarray]) -> Made:
        """The features (N, some) of one column after the other, for each split; each column is let go then."""
        remarks = {s.path: Remarks(s, plan, self.target, self.plan is not None) for s in sheets.values()}
        for column in plan:
            for name, sheet in sheets.items() if column.features else ():
                series = sheet.columns.get(column.name)
                if series is None:
                    given: Cells = pl.repeat(None, len(rows[name]), dtype=pl.String, eager=True).alias(column.name)
                else:
                    given = cells.picked(series, rows[name])
                features = np.empty((len(given), len(column.features)), dtype=np.float32)
                remarks[sheet.path].count(column, column.encode(given, features))
                yield name, features
            for sheet in sheets.values():
                sheet.let_go(column.name)
        for path, found in remarks.items():
            found.say(self.notes.of(path))

    def _say_what_is_absent(self, dataset: Dataset, splits: Mapping[str, Split]) -> None:
        classes = dataset.classes or ()
        for part, split in splits.items() if classes else ():
            counts = torch.bincount(split.targets, minlength=len(classes)).tolist()
            absent = [name for name, count in zip(classes, counts, strict=True) if not count]
            if absent:
                self.notes.say(f"the {part} split has no row of {named(absent)}")


def _fewer(plan: Sequence[Column]) -> str:
    """How a table becomes fewer features."""
    categories = [column for column in plan if isinstance(column, Category)]
    if not categories:
        return "use fewer columns or rows"
    most = max(categories, key=lambda column: len(column.words))
    return f"leave columns of words out, data.drop=[...]: {quoted(most.name)} has {len(most.words):,} words"


def _sheet(split: Split) -> Sheet:
    assert isinstance(split.samples, Rows)
    return split.samples.sheet


def _rows(split: Split) -> np.ndarray:
    return np.arange(len(split)) if split.rows is None else split.rows.numpy()
