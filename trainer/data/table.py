"""A table: numbers and words in columns, one of them the target."""

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainer.data.sets.csv import CSV
from trainer.data.splits import Dataset, Split, Track, divide
from trainer.system.errors import DataError, did_you_mean
from trainer.system.paths import expanded, quoted

# A target of more different whole numbers is a quantity, and not classes.
MANY = 20
# A column of more different words holds names or texts, and is no feature.
WORDS = 1000
# If at most this share of the cells, or of the different cells, are words, they are mistakes in a column of numbers.
FEW = 0.2
FEWEST = 3  # rows: one to train, one to validate and one to test
LARGEST = torch.finfo(torch.float32).max


def load(config: CSV, track: Track[object]) -> Dataset:
    """Load columns of numbers as they are and columns of words one-hot; a random part is the test split.

    Raises:
        DataError: The file or the target is missing, a cell is empty or not a number among numbers, or the table is
            too small to be split.
    """
    path = expanded(config.path)
    header, rows = _read(path)
    if config.target not in header:
        raise DataError(f"{path} has no column '{config.target}'", did_you_mean(config.target, header))
    columns = dict(zip(header, zip(*rows.values(), strict=True), strict=True))
    for name, cells in columns.items():
        if name != config.target or config.task != "classification":
            _no_word_among_numbers(path, name, list(rows), cells)
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
    train, test = divide(len(rows), config.test_fraction, config.split_seed, "data.test_fraction", f" in {path}")
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
        text = _text(path)
        # Strict, because otherwise a quote that is never closed takes the rest of the file into one cell.
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        table = {i: [cell.strip() for cell in row] for i, row in enumerate(lines, start=1) if row}
    except FileNotFoundError as error:
        raise DataError(
            f"data.path={path}: no such file", "a table with a header line, columns separated by commas"
        ) from error
    except (OSError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as CSV: {error}", "columns separated by commas, quotes around cells that hold one"
        ) from error
    if len(table) < 2:
        raise DataError(f"{path} has no rows", "a header line and then one line per sample")
    header = table.pop(min(table))
    if "" in header:
        raise DataError(
            f"{path}: column {header.index('') + 1} has no name",
            "name it; or, if it is pandas' row numbers, leave it out: to_csv(index=False)",
        )
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path} has two columns '{twice}'", "give each column a name of its own")
    for number, row in table.items():
        if len(row) != len(header):
            raise DataError(f"{path}, row {number}: {len(row)} cells, but the header has {len(header)}")
        for name, cell in zip(header, row, strict=True):
            if cell == "":
                raise DataError(f"{path}, row {number}: column '{name}' is empty", "fill it or remove the row")
            if _is_number(cell) and not abs(float(cell)) <= LARGEST:
                found = f"{float(cell)}, which no model can compute with"
                raise DataError(f"{path}, row {number}: column '{name}' is {found}", "change it or remove the row")
    if len(table) < FEWEST:
        rows = "one row" if len(table) == 1 else f"{len(table)} rows"
        raise DataError(f"{path} has {rows}, and training, validation and test need one each", "add some")
    return header, table


def _text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark; other encodings cannot be recognised for sure."""
    content = path.read_bytes()
    sixteen = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if sixteen or b"\0" in content:
        is_not = "UTF-16" if sixteen else "not text: it holds zero bytes"
        raise DataError(f"{path} is {is_not}", "save it as CSV in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise DataError(
            f"{path}, row {row}: byte 0x{byte:02x} is not UTF-8; perhaps the file is Latin-1 or Windows-1252",
            f"save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 {quoted(path.name)}",
        ) from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_2 as 12


def _no_word_among_numbers(path: Path, name: str, rows: Sequence[int], cells: Sequence[str]) -> None:
    """Refuse a word in a column of numbers, because each different number would become a feature."""
    words = [(row, cell) for row, cell in zip(rows, cells, strict=True) if not _is_number(cell)]
    if not words:
        return
    different, different_words = len(set(cells)), len({cell for _, cell in words})
    few = len(words) <= FEW * len(cells) or different_words <= FEW * different
    if few and different_words < different - different_words:  # a column of `0` and many words holds categories
        row, cell = words[0]
        more = f", and {len(words) - 1} more" if len(words) > 1 else ""
        raise DataError(
            f"{path}, row {row}: column '{name}' is '{_shortened(cell)}'{more}, and its other cells are numbers",
            "write a number (12.5, not 12,5) or remove the row; if these are categories, begin each with a letter",
        )


def _shortened(cell: str) -> str:
    return cell if len(cell) <= 30 else f"{cell[:29]}…"


def _numbers(cells: Sequence[str]) -> Tensor | None:
    """A column of numbers, or None if there is a word in it."""
    if not all(map(_is_number, cells)):
        return None
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def _encode(path: Path, name: str, cells: Sequence[str]) -> dict[str, Tensor]:
    """A column of numbers as one feature, a column of words as one feature per word."""
    numbers = _numbers(cells)
    if numbers is not None:
        return {name: numbers}
    words = {word: i for i, word in enumerate(sorted(set(cells)))}
    if len(words) > WORDS:
        raise DataError(
            f"{path}: column '{name}' has {len(words):,} different words",
            "remove it from the table, or make groups of them",
        )
    index = torch.tensor([words[cell] for cell in cells])
    one_hot = torch.nn.functional.one_hot(index, len(words)).double()
    return {f"{name}={word}": one_hot[:, i] for word, i in words.items()}


def _target(path: Path, config: CSV, cells: Sequence[str]) -> tuple[Tensor, tuple[str, ...] | None]:
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
            if len(values) == 1:
                raise DataError(f"{path}: the target '{config.target}' is {cells[0]} in every row")
            return numbers[:, None], None
        classes = [str(int(value)) if value.is_integer() else str(value) for value in values.tolist()]
    if len(classes) < 2:
        raise DataError(f"{path}: the target '{config.target}' is '{classes[0]}' in every row")
    return targets, tuple(classes)
