"""A table: numbers and words in columns, one of them the target."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainer import schema
from trainer.data.splits import Dataset, Split, Track, divide
from trainer.errors import DataError, did_you_mean
from trainer.paths import expanded

# From how many different whole numbers on a target counts as a quantity and not as classes.
MANY = 20
# A column of more different words is a name or a text, and no feature.
WORDS = 1000


def load(config: schema.CSV, track: Track[object]) -> Dataset:
    """Columns of numbers as they are, columns of words one-hot; a random part is the test split.

    Raises:
        DataError: no such file, no such target, an empty cell, a table too small to split.
    """
    path = expanded(config.path)
    header, rows = _read(path)
    if config.target not in header:
        raise DataError(f"{path} has no column '{config.target}'", did_you_mean(config.target, header))
    columns = dict(zip(header, zip(*rows.values(), strict=True), strict=True))
    target = columns.pop(config.target)
    if not columns:
        raise DataError(f"{path} has no column beside the target '{config.target}'")
    features: list[Tensor] = []
    names: list[str] = []
    for name, cells in columns.items():
        encoded = _encode(name, cells)
        names += encoded
        features += encoded.values()
    targets, classes = _target(path, config, target)
    everything = Split(torch.stack(features, dim=1), targets)
    train, test = divide(len(rows), config.test_fraction, config.split_seed, "data.test_fraction")
    return Dataset(
        "csv",
        train=everything.take(train),
        test=everything.take(test),
        classes=classes,
        standardise=True,
        columns=tuple(names),
    )


def _read(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The header, and the rows by their number in the file (the header's is 1)."""
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"data.path={path} is not a file")
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = {i: [cell.strip() for cell in row] for i, row in enumerate(csv.reader(file), start=1) if row}
    except FileNotFoundError as error:
        raise DataError(
            f"data.path={path}: no such file", "a table with a header line, columns separated by commas"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as CSV: {error}", "save it as UTF-8, columns separated by commas"
        ) from error
    if len(table) < 2:
        raise DataError(f"{path} has no rows", "a header line and then one line per sample")
    header = table.pop(min(table))
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path} has two columns '{twice}'", "give each column a name of its own")
    for number, row in table.items():
        if len(row) != len(header):
            raise DataError(f"{path}, row {number}: {len(row)} cells, but the header has {len(header)}")
        for name, cell in zip(header, row, strict=True):
            if cell == "" or (_is_number(cell) and not math.isfinite(float(cell))):
                found = str(float(cell)) if cell else "empty"
                raise DataError(f"{path}, row {number}: column '{name}' is {found}", "fill it or remove the row")
    return header, table


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: Sequence[str]) -> Tensor | None:
    """A column of numbers, or None if there is a word in it."""
    if not all(map(_is_number, cells)):
        return None
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def _encode(name: str, cells: Sequence[str]) -> dict[str, Tensor]:
    """A column of numbers as one feature, a column of words as one feature per word."""
    numbers = _numbers(cells)
    if numbers is not None:
        return {name: numbers}
    words = {word: i for i, word in enumerate(sorted(set(cells)))}
    if len(words) > WORDS:
        raise DataError(
            f"column '{name}' has {len(words):,} different words", "remove it from the table, or make groups of them"
        )
    index = torch.tensor([words[cell] for cell in cells])
    one_hot = torch.nn.functional.one_hot(index, len(words)).double()
    return {f"{name}={word}": one_hot[:, i] for word, i in words.items()}


def _target(path: Path, config: schema.CSV, cells: Sequence[str]) -> tuple[Tensor, tuple[str, ...] | None]:
    """Values (N, 1) and None, or class indices (N,) and the names of the classes."""
    numbers = _numbers(cells)
    if numbers is None:
        if config.task == "regression":
            raise DataError(
                f"{path}: the target '{config.target}' has words, and data.task=regression",
                "use data.task=classification",
            )
        classes = sorted(set(cells))
        targets = torch.tensor([classes.index(cell) for cell in cells])
    else:
        values, targets = torch.unique(numbers, return_inverse=True)
        few = len(values) <= MANY and bool((values == values.round()).all())
        if config.task == "regression" or (config.task == "auto" and not few):
            return numbers[:, None], None
        classes = [str(int(value)) if value.is_integer() else str(value) for value in values.tolist()]
    if len(classes) < 2:
        raise DataError(f"{path}: the target '{config.target}' is '{classes[0]}' in every row")
    return targets, tuple(classes)
