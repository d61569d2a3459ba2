"""The plan of a table's columns as a part of a network, so that it travels with the model."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainer.data.table.cells import LARGEST
from trainer.data.table.columns import Boolean, Category, Date, Number
from trainer.export.columns import MISSING, UNKNOWN, Input, matrices, tensors
from trainer.system.shown import counted, shortened

_LATEST = 9.2e12  # seconds since 1970; what is further away is no date that a table can have
_DAY = 86400.0
_FEW = 6  # columns that are named in a line


class Columns(nn.Module):
    """Makes the features (N, F), float32, of the rows of a table, which are at most two matrices.

    "numbers" (N, columns), float64, has those of numbers and dates: NaN where one is missing, dates as seconds since
    the beginning of 1970. "codes" (N, columns), int64, has those of words, by `Input.codes`. The arithmetic is in
    double precision, as where the features of the training were made.
    """

    names: tuple[str, ...]
    free: ClassVar[dict[int, str]] = {0: "batch"}

    plain: Tensor
    booleans: Tensor
    fill: Tensor
    mean: Tensor
    deviation: Tensor
    chosen: Tensor
    asked: Tensor
    order: Tensor

    def __init__(self, inputs: Sequence[Input]) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        self.names = tuple(self.example)
        numeric = [entry.column for entry in inputs if entry.words is None]
        worded = [entry.column for entry in inputs if entry.words is not None]
        self.dates = [(place, column) for place, column in enumerate(numeric) if isinstance(column, Date)]
        scales: list[Number] = []  # of each value
        first: dict[str, int] = {}  # the first value of a column, or the first of its features from a code
        for column in sorted(numeric, key=lambda column: isinstance(column, Date)):
            first[column.name] = len(scales)
            scales += _parts(column) if isinstance(column, Date) else [column] if isinstance(column, Number) else []
        asked: list[tuple[int, int]] = []  # of each feature from a code: the column, and the code that makes it 1
        for place, column in enumerate(worded):
            if isinstance(column, Boolean):
                first[column.name] = len(scales)
                scales.append(Number("", column.fill, 0.0, 1.0))
            elif isinstance(column, Category):
                first[column.name] = len(asked)
                known = [*range(len(column.words)), *[UNKNOWN] * column.rare, *[MISSING] * column.missing]
                asked += [(place, code) for code in known]
        order: list[int] = []  # the place of each feature behind values, marks of missing ones, and those from codes
        for column in (entry.column for entry in inputs):
            marks = 0 if isinstance(column, Category) else column.missing
            start = first[column.name] + (2 * len(scales) if isinstance(column, Category) else 0)
            order += [start + place for place in range(len(column.features) - marks)]
            order += [len(scales) + first[column.name]] * marks
        self._keep("plain", [place for place, column in enumerate(numeric) if isinstance(column, Number)])
        self._keep("booleans", [place for place, column in enumerate(worded) if isinstance(column, Boolean)])
        for name in ("fill", "mean", "deviation"):
            self._keep(name, [getattr(scale, name) for scale in scales], torch.float64)
        self._keep("chosen", [place for place, _ in asked])
        self._keep("asked", [code for _, code in asked])
        self._keep("order", order)

    def _keep(self, name: str, values: Sequence[float], dtype: torch.dtype = torch.int64) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=dtype))

    @property
    def example(self) -> dict[str, Tensor]:
        """Some rows in which everything is missing."""
        return matrices(self.inputs, {}, 3)

    @property
    def said(self) -> str:
        """What the inputs are, in words."""
        return _said(self.inputs, "text", lambda entry: entry.name)

    def forward(self, table: dict[str, Tensor]) -> Tensor:
        values, marked = [], []
        if "numbers" in table:
            numbers = table["numbers"]
            values += [numbers.index_select(1, self.plain)] if len(self.plain) else []
            values += [part for place, column in self.dates for part in _of_date(numbers[:, place, None], column)]
        if "codes" in table:
            codes = table["codes"]
            if len(self.booleans):
                said = codes.index_select(1, self.booleans)
                values.append(torch.where(said >= 0, said.double(), torch.nan))
            if len(self.asked):
                marked.append((codes.index_select(1, self.chosen) == self.asked).float())
        if values:
            given = torch.cat(values, 1)
            missing = ~(given.abs() <= LARGEST)
            scaled = (torch.where(missing, self.fill, given) - self.mean) / self.deviation
            marked = [scaled.clamp(-LARGEST, LARGEST).float(), missing.float(), *marked]
        return torch.cat(marked, 1).index_select(1, self.order)


class ByName(nn.Module):
    """As `Columns`, of an input (N,) for each column, by its key."""

    free = Columns.free

    def __init__(self, inputs: Sequence[Input]) -> None:
        super().__init__()
        self.names = tuple(entry.key for entry in inputs)
        self.inputs, self.columns = tuple(inputs), Columns(inputs)
        self.numbers = [entry.key for entry in inputs if entry.words is None]
        self.codes = [entry.key for entry in inputs if entry.words is not None]

    @property
    def example(self) -> dict[str, Tensor]:
        """Some rows in which everything is missing."""
        return tensors(self.inputs, {}, 3)

    @property
    def said(self) -> str:
        """What the inputs are, in words."""
        return _said(self.inputs, "int64", lambda entry: entry.key)

    def forward(self, table: dict[str, Tensor]) -> Tensor:
        parts = {"numbers": self.numbers, "codes": self.codes}
        found = {name: torch.stack([table[key] for key in keys], 1) for name, keys in parts.items() if keys}
        features: Tensor = self.columns(found)
        return features


def _said(inputs: Sequence[Input], words: str, called: Callable[[Input], str]) -> str:
    few = ", ".join(f"'{shortened(called(e), 40)}' {'float64' if e.words is None else words}" for e in inputs[:_FEW])
    more = f" and {len(inputs) - _FEW:,} more" if len(inputs) > _FEW else ""
    return f"{counted(len(inputs), 'column')} (N,) by name: {few}{more}"


def _parts(column: Date) -> Sequence[Number]:
    """The parts of a date that are features; of a date of which none is, a value that says whether it is missing."""
    return column.parts or (Number("", 0.0, 0.0, 1.0),)


def _of_date(given: Tensor, column: Date) -> list[Tensor]:
    seconds = torch.where(given.abs() <= _LATEST, given, torch.nan)
    return [_part(seconds, part.name) for part in column.parts] or [seconds]


def _part(seconds: Tensor, part: str) -> Tensor:
    """The year, month, weekday (1: Monday) or hour of seconds since 1970; all of them whole numbers, but as floats.

    torch's exporter to ONNX divides whole numbers in single precision, which is too coarse for seconds.
    """
    days = (seconds / _DAY).floor()
    if part == "hour":
        of_day = seconds - days * _DAY
        hour = (of_day / 3600).floor()
        return hour + ((of_day - hour * 3600) / 60).floor() / 60
    if part == "weekday":  # the first of 1970 was a Thursday
        return days + 3 - ((days + 3) / 7).floor() * 7 + 1
    # Hinnant's civil_from_days: years begin in March, so that the day that leap years add is their last.
    since = days + 719468
    era = (since / 146097).floor()
    day = since - era * 146097
    year = ((day - (day / 1460).floor() + (day / 36524).floor() - (day / 146096).floor()) / 365).floor()
    of_year = day - (365 * year + (year / 4).floor() - (year / 100).floor())
    month = ((5 * of_year + 2) / 153).floor()
    month = torch.where(month < 10, month + 3, month - 9)
    return month if part == "month" else year + era * 400 + (month <= 2).double()
