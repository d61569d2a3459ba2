"""Rows of tables as the features that a model takes: by the plan of its training, or as they are."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from trainer.data.table import cells
from trainer.data.table.columns import Category, Dropped, Number, words
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.remarks import Remarks
from trainer.data.table.sheet import Sheet
from trainer.predict.cells import columns_of
from trainer.predict.predictor import Predictor
from trainer.system.errors import DataError
from trainer.system.shown import counted

Reasons = dict[int, str]  # why a row, by its number in a block from 0 on, cannot be used


def encoded(predictor: Predictor, columns: Mapping[Any, Any]) -> Tensor:
    """The features (N, F) of rows, for `predictor.rows`: each column by its name, a value for each row.

    A column may be a list, an array, or that of a data frame. What is missing or unknown is encoded as it is in
    `trainer predict`; columns that the model does not know are passed over.

    Raises:
        DataError: No column is one of the model's, they differ in length, or a cell is no number where the model has
            no other way.
    """
    found = columns_of(columns)
    encoder = Features(predictor, [*found], numbered([*found]), Path("the table"))
    parts: list[Tensor] = []
    for features, reasons in encoder.of(found):
        if reasons:
            row, reason = min(reasons.items())
            raise DataError(f"row {row + 1 + sum(len(part) for part in parts)}: {reason}", "give a number")
        parts.append(features)
    return torch.cat(parts)


def numbered(names: Sequence[str]) -> bool:
    """Whether columns have no names, but numbers in their order, from 0 or 1 on."""
    return any(list(names) == [str(i + start) for i in range(len(names))] for start in (0, 1))


class Features:
    """Makes features of tables with the columns `names`, block by block; `nameless` columns are known by their order.

    Raises:
        DataError: The model is for images, or knows none of the columns.
    """

    def __init__(self, predictor: Predictor, names: Sequence[str], nameless: bool, path: Path) -> None:
        if predictor.is_image:
            raise DataError(f"{predictor.found.path} is a model of images, and {path} is a table", "give it images")
        self.predictor, self.path = predictor, path
        self.notes = Notes(path, strict=False)
        self.count = predictor.shape.numel()
        self.plan = predictor.plan
        self.order = _order(predictor, self.count)
        self.renamed = self._renamed(list(names), nameless)
        known = [self.renamed.get(name, name) for name in names]
        if self.plan is None:
            self._check_all(known)
        elif not any(column.name in known for column in self.plan if column.features):
            wanted = [column.name for column in self.plan if column.features]
            raise DataError(
                f"{path} has none of the model's columns, {named(wanted)}; it has {named(list(names))}",
                "give it the columns that the model was trained on, by their names",
            )
        sheet = Sheet(path, {name: pl.Series(name, [], pl.String) for name in known}, np.arange(0))
        self.remarks = Remarks(sheet, self.plan or (), "", trained=True)

    def of(self, block: Mapping[str, pl.Series], size: int = 1000) -> Iterator[tuple[Tensor, Reasons]]:
        """The features (N, F) of some rows, of at most `size` together, and why some cannot be used; theirs are 0."""
        columns = self._understood({self.renamed.get(name, name): series for name, series in block.items()})
        height = len(next(iter(block.values()), ()))
        for start in range(0, max(1, height), size):
            part = {name: series.slice(start, size) for name, series in columns.items()}
            count = min(size, height - start)
            yield self._as_they_are(part, count) if self.plan is None else (self._by_plan(part, count), {})

    def said(self) -> list[str]:
        """What is worth knowing of all blocks so far."""
        if self.plan is not None:
            self.remarks.say(self.notes)
        return self.notes.lines

    def _understood(self, columns: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
        """The columns that are used, those of numbers as numbers: how these are written, all of a column says."""
        if self.plan is None:
            return {name: columns[name] for name in self.order}
        found = {}
        for column in self.plan:
            series = columns.get(column.name)
            if series is None or not column.features:
                continue
            if isinstance(column, Number):
                text = cells.tidy(_as_numbers(series))
                series = cells.numbers(text, column.comma).values
                self.remarks.count(column, int((series.is_null() & text.is_not_null()).sum()))
            elif isinstance(column, Category) and series.dtype == pl.String:
                series = _known_numbers(series, column)
            found[column.name] = series
        return found

    def _by_plan(self, columns: Mapping[str, pl.Series], height: int) -> Tensor:
        features = np.zeros((height, self.count), dtype=np.float32)
        place = 0
        for column in self.plan or ():
            width = len(column.features)
            series = columns.get(column.name)
            if width:
                out = features[:, place : place + width]
                given = pl.Series(column.name, [None] * height, pl.String) if series is None else series
                self.remarks.count(column, column.encode(given, out))
                place += width
        return torch.from_numpy(features)

    def _as_they_are(self, columns: Mapping[str, pl.Series], height: int) -> tuple[Tensor, Reasons]:
        features, reasons = np.zeros((height, self.count)), Reasons()
        for place, name in enumerate(self.order):
            values = cells.numbers(cells.tidy(_as_numbers(columns[name]))).values
            for row in values.is_null().arg_true():
                cell = columns[name][row]
                said = "nothing" if cell in (None, "") else quoted(str(cell))
                reasons.setdefault(row, f"{said} in column {quoted(name)}, of which the model takes a number")
            features[:, place] = values.fill_null(0.0).to_numpy()
        return torch.from_numpy(features), reasons

    def _check_all(self, known: Sequence[str]) -> None:
        missing = [name for name in self.order if name not in known]
        if missing and numbered(self.order):
            here, wanted = counted(len(known), "column"), counted(self.count, "column")
            raise DataError(
                f"{self.path} has {here}, and the model takes {wanted} of numbers, in their order",
                "give it these and no others",
            )
        if missing:
            raise DataError(
                f"{self.path} has no {named(missing)}, and the model cannot do without",
                f"give it all columns of numbers that it was trained on: {named(self.order)}",
            )

    def _renamed(self, names: list[str], nameless: bool) -> dict[str, str]:
        """The model's names for the columns of a table, if only one of the two has names, and their number fits."""
        orders = [self.order]
        if self.plan is not None:
            every = [column.name for column in self.plan]
            target = [c.name for c in self.plan if isinstance(c, Dropped) and c.reason == "it is the target"]
            orders = [every, [name for name in every if name not in target]]
        if set(names) & set(orders[0]) and not (nameless and numbered(orders[0])):
            return {}
        for order in orders:
            if len(order) == len(names) and (nameless or numbered(orders[0])):
                if nameless != numbered(orders[0]):
                    self.notes.say("its columns are taken in their order, for only one of it and the model names them")
                return dict(zip(names, order, strict=True))
        return {}


def _order(predictor: Predictor, count: int) -> list[str]:
    """The names of features as they are, or their numbers where the data of the training had no names for them."""
    return list(predictor.columns) or [str(number) for number in range(1, count + 1)]


def _as_numbers(series: pl.Series) -> pl.Series:
    return series.cast(pl.Float64) if series.dtype == pl.Boolean else series


def _known_numbers(series: pl.Series, column: Category) -> pl.Series:
    """Words that the plan does not know as they are written, `01` or `1.0`, as the number that it does know."""
    strange = series.is_not_null() & ~series.is_in(column.words)
    if not strange.any():
        return series
    number = words(cells.plain(series.str.to_lowercase().cast(pl.Float64, strict=False)))
    return number.zip_with(strange & number.is_in(column.words), series).alias(series.name)
