"""A table: numbers and words in columns, one of them the target."""

import codecs
import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainer.data.cache import check_room
from trainer.data.dividing import divide
from trainer.data.sets.csv import CSV
from trainer.data.splits import Dataset, Split, Track
from trainer.system.errors import DataError, did_you_mean
from trainer.system.paths import expanded, quoted, regular
from trainer.system.shapes import reads_as_number

# A target of more different whole numbers is a quantity, and not classes.
MANY = 20
# A column of more different words holds names or texts, and is no feature.
WORDS = 1000
# If at most this share of the cells, or of the different cells, are words, they are mistakes in a column of numbers.
FEW = 0.2
FEWEST = 3  # rows: one to train, one to validate and one to test
LARGEST = torch.finfo(torch.float32).max
TEXT_TIMES = 10  # as much memory as its file takes a table that is read, or more
FEATURES = 100_000  # a checkpoint describes each by name, mean and deviation
COPIES = 4  # of the features, at most, while they are cut into splits and standardised


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
    numbers = {name: _numbers(cells) for name, cells in columns.items()}
    for name, cells in columns.items():
        if numbers[name] is None and (name != config.target or config.task != "classification"):
            _no_word_among_numbers(path, name, list(rows), cells)
    target = columns.pop(config.target)
    if not columns:
        raise DataError(f"{path} has no column beside the target '{config.target}'")
    targets, classes = _target(path, config, target, numbers[config.target])
    names, features = _features(path, columns, numbers, len(rows))
    everything = Split(features, targets)
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
        if path.is_dir():
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
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} cannot be read as CSV: {reason}", "columns separated by commas, quotes around cells that hold one"
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
        twice = next(name for name, times in Counter(header).items() if times > 1)
        raise DataError(f"{path} has two columns '{twice}'", "give each column a name of its own")
    for number, row in table.items():
        if len(row) != len(header):
            raise DataError(f"{path}, row {number}: {len(row)} cells, but the header has {len(header)}")
        for name, cell in zip(header, row, strict=True):
            if cell == "":
                raise DataError(f"{path}, row {number}: column '{name}' is empty", "fill it or remove the row")
            if reads_as_number(cell) and not abs(float(cell)) <= LARGEST:
                found = f"{float(cell)}, which no model can compute with"
                raise DataError(f"{path}, row {number}: column '{name}' is {found}", "change it or remove the row")
    if len(table) < FEWEST:
        rows = "one row" if len(table) == 1 else f"{len(table)} rows"
        raise DataError(f"{path} has {rows}, and training, validation and test need one each", "add some")
    return header, table


def _text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark; other encodings cannot be recognised for sure."""
    with open(path, "rb", opener=regular) as file:
        size = os.fstat(file.fileno()).st_size
        check_room(TEXT_TIMES * size, f"the cells of {path}", "use a smaller table, or free some memory")
        content = file.read()
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


def _no_word_among_numbers(path: Path, name: str, rows: Sequence[int], cells: Sequence[str]) -> None:
    """Refuse a word in a column of numbers, because each different number would become a feature."""
    words = [(row, cell) for row, cell in zip(rows, cells, strict=True) if not reads_as_number(cell)]
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
    if not all(map(reads_as_number, cells)):
        return None
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def _features(
    path: Path, columns: Mapping[str, Sequence[str]], numbers: Mapping[str, Tensor | None], rows: int
) -> tuple[list[str], Tensor]:
    """Names and values (N, F) of the features: of a column of numbers one, of a column of words one for each word."""
    words = {name: sorted(set(cells)) for name, cells in columns.items() if numbers[name] is None}
    for name, different in words.items():
        if len(different) > WORDS:
            raise DataError(
                f"{path}: column '{name}' has {len(different):,} different words",
                "remove it from the table, or make groups of them",
            )
    count = len(columns) - len(words) + sum(map(len, words.values()))
    _check_size(path, count, rows, words)
    names: list[str] = []
    features = torch.zeros(rows, count, dtype=torch.float64)
    for name, cells in columns.items():
        first, values = len(names), numbers[name]
        if values is not None:
            names.append(name)
            features[:, first] = values
        else:
            names += (f"{name}={word}" for word in words[name])
            places = {word: first + i for i, word in enumerate(words[name])}
            features[torch.arange(rows), torch.tensor([places[cell] for cell in cells])] = 1
    return names, features


def _check_size(path: Path, count: int, rows: int, words: Mapping[str, Sequence[str]]) -> None:
    """Refuse a table that becomes more features than can be used, before they are made."""
    becomes, hint = f"{path} becomes {count:,} features", "use fewer columns or rows"
    if words:
        most = max(words, key=lambda name: len(words[name]))
        hint = f"remove columns of words, or make groups of them: '{most}' has {len(words[most]):,} different ones"
    if count > FEATURES:
        raise DataError(f"{becomes}, and at most {FEATURES:,} can be used", hint)
    check_room(COPIES * rows * count * 8, f"{becomes} of {rows:,} rows, which", hint)


def _target(
    path: Path, config: CSV, cells: Sequence[str], numbers: Tensor | None
) -> tuple[Tensor, tuple[str, ...] | None]:
    """Values (N, 1) and None, or class indices (N,) and the names of the classes."""
    if numbers is None:
        if config.task == "regression":
            raise DataError(
                f"{path}: the target '{config.target}' has words, and data.task=regression",
                "use data.task=classification",
            )
        classes = sorted(set(cells))
        places = {name: i for i, name in enumerate(classes)}
        targets = torch.tensor([places[cell] for cell in cells])
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
