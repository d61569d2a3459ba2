"""What an exported model of a table takes: an input for each column that is a feature, and how cells become one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from trainer.data.table import cells
from trainer.data.table.cells import Cells
from trainer.data.table.columns import KINDS, Boolean, Category, Column, Date, Dropped, Number, words

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS = ("logits", "probabilities", "values")  # names that no input may have
MISSING, UNKNOWN = -1, -2  # the codes of a cell without a word, and of a word that the plan does not have
_UNSAFE = re.compile(r"[^\w .()%/-]")  # torch writes names of inputs into code of its own, and runs that


@dataclass(frozen=True)
class Input:
    """An input (N,) for a column of the table.

    `name` is the column's own, as far as a file in ONNX's format can have it, and `key` one that is safe in torch's.
    """

    column: Number | Category | Boolean | Date
    name: str
    key: str

    @property
    def kind(self) -> str:
        return next(kind for kind, cls in KINDS.items() if isinstance(self.column, cls))

    @cached_property
    def words(self) -> tuple[str, ...] | None:
        """The words that have codes, which are their places among them; None: the input is of numbers."""
        return self.column.words if isinstance(self.column, Category | Boolean) else None

    def values(self, given: Cells) -> np.ndarray:
        """Cells of a table as the input of a file in ONNX's format: text, or numbers in double precision.

        A cell without anything is "" or NaN. Dates are seconds since the beginning of 1970.
        """
        if self.words is not None:
            return np.array(words(given).fill_null("").to_list(), dtype=object)
        if isinstance(self.column, Date):
            when = cells.dates(cells.tidy(given), self.column.form)
            return (when.dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()
        if isinstance(given, np.ndarray):
            return given.astype(np.float64, copy=False)
        assert isinstance(self.column, Number)
        return cells.numbers(cells.tidy(given), self.column.comma).values.to_numpy()

    def codes(self, given: Cells) -> np.ndarray:
        """Cells of a table as the input of a file in torch's format: as `values`, but codes (int64) for text."""
        if self.words is None:
            return self.values(given)
        text = words(given)
        if isinstance(self.column, Boolean):
            text = text.str.to_lowercase()
        places = {word: place for place, word in enumerate(self.words)}
        found = text.replace_strict(list(places), list(places.values()), default=UNKNOWN, return_dtype=pl.Int64)
        return found.set(text.is_null(), MISSING).to_numpy()

    def described(self) -> dict[str, Any]:
        """What somebody has to know who fills it in, as plain values."""
        found: dict[str, Any] = {"column": self.column.name, "input": self.name, "key": self.key, "kind": self.kind}
        if self.words is not None:
            found["words"] = list(self.words)
        if isinstance(self.column, Date):
            found["form"] = self.column.form
        return found


def inputs_of(plan: Iterable[Column]) -> tuple[Input, ...]:
    """The inputs that the columns of a plan become, in its order; none is called as an output."""
    names, keys = set(OUTPUTS), set[str]()
    found = []
    for number, column in enumerate(plan, start=1):
        if not isinstance(column, Dropped) and column.features:
            name = column.name.replace("\0", "\ufffd") or f"column {number}"
            found.append(Input(column, _unique(name, names), _unique(_UNSAFE.sub("_", name), keys)))
    return tuple(found)


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it if it is taken already."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} {number}"
    taken.add(found)
    return found


def missing(rows: int) -> Cells:
    """The cells of a column that a table does not have."""
    return pl.repeat(None, rows, dtype=pl.String, eager=True)


def arrays(inputs: Iterable[Input], table: Mapping[str, Cells], rows: int) -> dict[str, np.ndarray]:
    """The rows of a table as the inputs of a file in ONNX's format, by their names."""
    return {entry.name: entry.values(table.get(entry.column.name, missing(rows))) for entry in inputs}


def tensors(inputs: Iterable[Input], table: Mapping[str, Cells], rows: int) -> dict[str, "Tensor"]:
    """The rows of a table as the inputs of a file in torch's format, by their keys."""
    import torch

    found = {entry.key: entry.codes(table.get(entry.column.name, missing(rows))) for entry in inputs}
    return {key: torch.from_numpy(values.copy()) for key, values in found.items()}


def matrices(inputs: Sequence[Input], table: Mapping[str, Cells], rows: int) -> dict[str, "Tensor"]:
    """The rows of a table as `Columns` takes them."""
    import torch

    parts = {"numbers": [e for e in inputs if e.words is None], "codes": [e for e in inputs if e.words is not None]}
    found = {name: tensors(group, table, rows) for name, group in parts.items() if group}
    return {name: torch.stack(list(columns.values()), 1) for name, columns in found.items()}
