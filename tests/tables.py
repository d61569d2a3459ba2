"""Small tables, written and loaded."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainer import data
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset


def write(path: Path, header: Sequence[object], rows: Iterable[Sequence[object]], **options: Any) -> Path:
    """A table with a header line, as Python's csv module writes it with `options`."""
    encoding = options.pop("encoding", "utf-8")
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, **options).writerows([header, *rows])
    return path


def load(path: Path, target: str = "y", **keys: Any) -> Dataset:
    """The data set of a table, without a validation split unless the keys say so."""
    return data.load(Table(path=str(path), target=target, **({"val_fraction": 0.0} | keys)))


def of_column(path: Path, cells: Sequence[object], **keys: Any) -> Dataset:
    """The data set of a table with one column `a` of these cells, and a quantity `y` as the target."""
    return load(write(path, ["a", "y"], [[cell, f"{i}.5"] for i, cell in enumerate(cells)]), **keys)


def plan(found: Dataset) -> dict[str, dict[str, Any]]:
    """The plan's columns by their names."""
    assert found.plan is not None
    return {column["name"]: column for column in found.plan}


def dropped(found: Dataset) -> dict[str, str]:
    """The columns that are dropped, with the reason."""
    return {name: column["reason"] for name, column in plan(found).items() if column["kind"] == "dropped"}
