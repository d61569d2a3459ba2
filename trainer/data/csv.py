"""A table: numbers and words in columns, one of them the target."""

import csv
import math
from pathlib import Path

import torch
from torch import Tensor

from trainer import schema
from trainer.data.splits import Dataset, Split, Track, divide
from trainer.errors import DataError, did_you_mean

# From how many different whole numbers on a target counts as a quantity and not as classes.
MANY = 20


def load(config: schema.CSV, track: Track[object]) -> Dataset:
    """Columns of numbers as they are, columns of words one-hot; a random part is the test split.

    Raises:
        DataError: no such file, no such target, an empty cell, a table too small to split.
    """
    path = Path(config.path).expanduser()
    header, rows = _read(path)
    if config.target not in header:
        raise DataError(f"{path} has no column '{config.target}'", did_you_mean(config.target, header))
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    target = columns.pop(config.target)
    if not columns:
        raise DataError(f"{path} has no column beside the target '{config.target}'")
    features: list[Tensor] = []
    names: list[str] = []
    for name, cells in columns.items():
        encoded = _encode(path, name, cells)
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


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
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
    header, rows = table[0], table[1:]
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path} has two columns '{twice}'", "give each column a name of its own")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}, row {number}: {len(row)} cells, but the header has {len(header)}")
        if "" in row:
            raise DataError(
                f"{path}, row {number}: column '{header[row.index('')]}' is empty",
                "fill it or remove the row",
            )
    return header, rows


def _numbers(cells: tuple[str, ...]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def _finite(path: Path, name: str, numbers: list[float]) -> Tensor:
    wrong = next((i for i, number in enumerate(numbers) if not math.isfinite(number)), None)
    if wrong is not None:
        raise DataError(f"{path}, row {wrong + 2}: column '{name}' is {numbers[wrong]}", "fill it or remove the row")
    return torch.tensor(numbers, dtype=torch.float64)


def _encode(path: Path, name: str, cells: tuple[str, ...]) -> dict[str, Tensor]:
    """A column of numbers as one feature, a column of words as one feature per word."""
    numbers = _numbers(cells)
    if numbers is not None:
        return {name: _finite(path, name, numbers)}
    words = sorted(set(cells))
    return {
        f"{name}={word}": torch.tensor([float(cell == word) for cell in cells], dtype=torch.float64) for word in words
    }


def _target(path: Path, config: schema.CSV, cells: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...] | None]:
    numbers = _numbers(cells)
    if numbers is not None:
        values = _finite(path, config.target, numbers)
        few = len(set(numbers)) <= MANY and all(n.is_integer() for n in numbers)
        if config.task == "regression" or (config.task == "auto" and not few):
            return values[:, None], None
    elif config.task == "regression":
        raise DataError(
            f"{path}: the target '{config.target}' has words, and data.task=regression",
            "use data.task=classification",
        )
    classes = sorted(set(cells), key=(float if numbers is not None else str))
    if len(classes) < 2:
        raise DataError(f"{path}: the target '{config.target}' is '{classes[0]}' in every row")
    index = {word: i for i, word in enumerate(classes)}
    return torch.tensor([index[cell] for cell in cells]), tuple(classes)
