"""A table's file, read into columns of text: whatever separates them, and whatever stands around them."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from trainer.data.cache import check_room
from trainer.data.table import layout
from trainer.data.table.layout import Layout
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.sheet import Sheet
from trainer.data.table.text import decoded
from trainer.system.errors import DataError
from trainer.system.paths import regular

FEATURES = 100_000  # a checkpoint describes each by name, mean and deviation
_TEXT_TIMES = 10  # as much memory as its file takes a table that is read, or more
_SAMPLE = 2**18  # characters by which a layout is recognised
_PARQUET = b"PAR1"
_TRAILING = 3  # rows at the end that may be a total or notes

Row = tuple[int, list[str]]  # its number in the file, and its cells


def read(path: Path, target: str, notes: Notes) -> Sheet:
    """Read a table; `target` is what the user calls its target, by which a header line is recognised.

    Raises:
        DataError: There is no such file, it is no table, or its rows do not fit each other.
    """
    content = _content(path)
    if content[:4] == _PARQUET:
        return _parquet(path, content)
    text = decoded(content, notes)
    del content
    found = layout.recognised(text[:_SAMPLE])
    rows = _rows(path, text, found)
    rows = _without_empty(rows, notes)
    header, rows = _header(path, rows, target, found, notes)
    return _sheet(path, header, rows, notes)


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise DataError(f"data.path={path} is not a file")
        with open(path, "rb", opener=regular) as file:
            size = os.fstat(file.fileno()).st_size
            check_room(_TEXT_TIMES * size, f"the cells of {path}", "use a smaller table, or free some memory")
            return file.read()
    except FileNotFoundError as error:
        raise DataError(f"data.path={path}: no such file", "a table: .csv, .tsv, .txt, .data or .parquet") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _parquet(path: Path, content: bytes) -> Sheet:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    return Sheet(path, {s.name: s for s in frame.get_columns()}, np.arange(1, len(frame) + 1))


def _rows(path: Path, text: str, found: Layout) -> list[Row]:
    """All rows with their cells, whose blanks are stripped; lines without anything are left out."""
    if found.runs and found.separator == " ":
        lines = ((line.strip()) for line in text.split("\n"))
        cut = (layout.blanks(line) for line in lines)
        return [(number, cells) for number, cells in enumerate(cut, start=1) if cells]
    # Strict, because otherwise a quote that is never closed takes the rest of the file into one cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=found.separator, strict=True)
    try:
        rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(reader, start=1) if row]
    except csv.Error as error:
        raise DataError(
            f"{path} cannot be read as a table: {error}", "one line per row, quotes around cells that hold a separator"
        ) from error
    if found.runs:
        rows = [(number, [cell for cell in row if cell]) for number, row in rows]
    return rows


def _without_empty(rows: list[Row], notes: Notes) -> list[Row]:
    kept = [row for row in rows if any(row[1])]
    if len(kept) < len(rows):
        notes.clean(f"left out {_count(len(rows) - len(kept), 'row')} of nothing but separators", "remove them")
    return kept


def _header(
    path: Path, rows: list[Row], target: str, found: Layout, notes: Notes
) -> tuple[list[str] | None, list[Row]]:
    """The names of the columns, if the file has any, and the rows below."""
    width = Counter(len(row) for _, row in rows).most_common(1)[0][0] if rows else 0
    above = 0
    while (
        above + 2 < len(rows) and width > 1 and sum(map(bool, rows[above][1])) == 1 and len(rows[above][1]) < width - 1
    ):
        above += 1
    if above:
        notes.clean(f"left out {_count(above, 'line')} above the table", "remove them")
        rows = rows[above:]
    body = [row for _, row in rows[1:1001]]
    if rows and not layout.names_columns(rows[0][1], body, target):
        notes.clean(f"no header line: the columns are numbered from 1 to {width}", "write one")
        return None, rows
    if not rows or (len(rows) < 2):
        raise DataError(f"{path} has no rows", "a header line and then one line per sample")
    header, rows = rows[0][1], rows[1:]
    if layout.names_types(rows[0][1]):
        notes.clean(f"left out row {rows[0][0]}, which names types", "remove it")
        rows = rows[1:]
    return header, rows


def _sheet(path: Path, header: list[str] | None, rows: list[Row], notes: Notes) -> Sheet:
    """The columns of rows that fit their header, or each other; what does not fit at their end is left out."""
    width = Counter(len(row) for _, row in rows).most_common(1)[0][0] if rows else len(header or [])
    rows = _without_footer(rows, width, notes)
    names = header if header is not None else [str(i + 1) for i in range(width)]
    if header is not None and width != len(header):
        names = _fitted(path, header, width, rows, notes)
    for number, row in rows:
        if len(row) > len(names) and not any(row[len(names) :]):
            del row[len(names) :]
        if len(row) != len(names):
            whose = "the header" if header is not None else "most rows"
            raise DataError(
                f"{path}, row {number}: {len(row)} cells, but {whose} {'has' if header else 'have'} {len(names)}",
                "correct it, or put quotes around a cell that holds a separator",
            )
    if len(names) > FEATURES:
        raise DataError(f"{path} has {len(names):,} columns, and at most {FEATURES:,} can be used", "use fewer")
    columns = zip(*(row for _, row in rows), strict=True) if rows else ([] for _ in names)
    unique, nameless = _unique(names, notes)
    series = {name: pl.Series(name, cells, dtype=pl.String) for name, cells in zip(unique, columns, strict=True)}
    return Sheet(path, series, np.array([number for number, _ in rows]), header is not None, nameless)


def _without_footer(rows: list[Row], width: int, notes: Notes) -> list[Row]:
    """The rows without those at the end that are a total, a source or a note."""
    end = len(rows)
    while end > max(1, len(rows) - _TRAILING):
        row = rows[end - 1][1]
        if not layout.sums_up(row) and not (len(row) == 1 < width):
            break
        end -= 1
    for number, row in rows[end:]:
        notes.clean(f"left out row {number} at the end, {quoted(row[0] or ' '.join(row))}", "remove it")
    return rows[:end]


def _fitted(path: Path, header: list[str], width: int, rows: list[Row], notes: Notes) -> list[str]:
    """The header for rows of another number of cells, where one of the two ends in empty ones or rows have names."""
    filled = len(header)
    while filled and not header[filled - 1]:
        filled -= 1
    if filled <= width < len(header):
        notes.clean("the header has an empty name at its end, and the rows have no cell there", "remove it")
        return header[:width]
    beyond = max(width - len(header), 0)
    if beyond and all(not any(row[len(header) :]) for _, row in rows):
        notes.clean("left out an empty column at the end of each line", "remove it")
        return header
    if beyond == 1:
        return ["", *header]  # R names rows, and gives the column of their names none
    return header


def _unique(names: Sequence[str], notes: Notes) -> tuple[list[str], frozenset[str]]:
    """Names that are all different, for those that occur twice are numbered; and which the file did not give."""
    taken, found, nameless, twice = set(names), [], set(), []
    seen: Counter[str] = Counter()
    for place, name in enumerate(names, start=1):
        seen[name] += 1
        if not name:
            name = f"column {place}"
            nameless.add(name)
        elif seen[name] > 1:
            twice.append(name)
            number = seen[name]
            while f"{name}.{number}" in taken:
                number += 1
            seen[name] = number
            name = f"{name}.{number}"
        taken.add(name)
        found.append(name)
    if twice:
        first = twice[0]
        notes.clean(
            f"{_count(len(twice), 'column')} of the same name as another: {named(sorted(set(twice)))}, "
            f"numbered {quoted(f'{first}.2')} and so on",
            "give each column a name of its own",
        )
    return found, frozenset(nameless)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("s" if number != 1 else "")
