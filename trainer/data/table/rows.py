"""Rows of cells that fit each other: what stands above, below and beside the samples of a table is left out."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.table import layout
from trainer.data.table.layout import Layout, Target
from trainer.data.table.notes import Notes, named, quoted
from trainer.system.errors import DataError
from trainer.system.shown import counted

Row = tuple[int, list[str]]  # its number in the file, and its cells
RAGGED = 0.01  # of the rows, at most, which may have another number of cells, and are left out
TRAILING = 3  # rows at the end that may be a total or notes


def parsed(path: Path, text: str, found: Layout) -> Iterator[Row]:
    """All rows of a text with their cells, whose blanks are stripped; lines without anything are left out.

    Raises:
        DataError: A quote is never closed.
    """
    if found.runs and found.separator == " ":
        for number, line in enumerate(text.split("\n"), start=1):
            if row := layout.blanks(line):
                yield number, row
        return
    # Strict, because otherwise a quote that is never closed takes the rest of the file into one cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=found.separator, strict=True)
    try:
        for number, row in enumerate(reader, start=1):
            if row:
                stripped = map(str.strip, row)
                yield number, list(filter(None, stripped) if found.runs else stripped)
    except csv.Error as error:
        raise DataError(
            f"{path} cannot be read as a table: {error}", "one line per row, quotes around cells that hold a separator"
        ) from error


def without_empty(rows: list[Row], notes: Notes) -> list[Row]:
    """The rows that have anything in them."""
    kept = [row for row in rows if any(row[1])]
    say_empty(len(rows) - len(kept), notes)
    return kept


def say_empty(count: int, notes: Notes) -> None:
    """Note rows without anything in them."""
    if count:
        notes.clean(f"left out {counted(count, 'row')} of nothing but separators", "remove them")


def headed(path: Path, rows: list[Row], target: Target, notes: Notes) -> tuple[list[str] | None, list[Row]]:
    """The names of the columns, if the file has any, and the rows below.

    Raises:
        DataError: There are no rows.
    """
    width = usual_width(rows)
    above = 0
    while above + 2 < len(rows) and _is_above(rows[above][1], width):
        above += 1
    if above:
        notes.clean(f"left out {counted(above, 'line')} above the table", "remove them")
        rows = rows[above:]
    first = _uncommented(rows[0][1], width) if rows else []
    if rows and not layout.names_columns(first, [row for _, row in rows[1:1001]], target):
        notes.clean(f"no header line: the columns are numbered from 1 to {width}", "write one")
        return None, rows
    if len(rows) < 2:
        raise DataError(f"{path} has no rows", "a header line and then one line per sample")
    header, rows = first, rows[1:]
    if layout.names_types(rows[0][1]):
        notes.clean(f"left out row {rows[0][0]}, which names types", "remove it")
        rows = rows[1:]
    return header, rows


def usual_width(rows: Sequence[Row]) -> int:
    """The number of cells that most rows have."""
    return Counter(len(row) for _, row in rows).most_common(1)[0][0] if rows else 0


def _is_above(row: Sequence[str], width: int) -> bool:
    """Whether a row is a title (one cell alone, with too few beside it for a header), or says something of the file."""
    said = row[0].startswith("#") and len(_uncommented(row, width)) != width
    title = width > 2 and sum(map(bool, row)) == 1 and len(row) < width - 1
    return said or title or (row[0].lower().startswith("sep=") and not any(row[1:]))


def _uncommented(row: Sequence[str], width: int) -> list[str]:
    """A row that may name columns, without the mark of a comment before it."""
    if row[0] == "#" and len(row) == width + 1:
        return list(row[1:])
    return [row[0].removeprefix("# "), *row[1:]]


def fitted(path: Path, header: list[str] | None, rows: list[Row], notes: Notes) -> tuple[list[str], list[Row]]:
    """Names of the columns and rows of as many cells; what does not fit at the end of the table is left out.

    Raises:
        DataError: More than one row in a hundred has too few or too many cells.
    """
    width = usual_width(rows)
    rows = _without_footer(rows, width, notes)
    names = header if header is not None else [str(i + 1) for i in range(width)]
    if header is not None and width != len(header):
        names = _names_for(header, width, rows, notes)
    for _, row in rows:
        if len(row) > len(names) and not any(row[len(names) :]):
            del row[len(names) :]
    ragged = [(number, row) for number, row in rows if len(row) != len(names)]
    if not ragged:
        return names, rows
    number, row = ragged[0]
    whose = "the header has" if header is not None else "most rows have"
    hint = "correct it, or put quotes around a cell that holds a separator"
    if len(ragged) > RAGGED * len(rows):
        raise DataError(f"{path}, row {number}: {counted(len(row), 'cell')}, but {whose} {len(names)}", hint)
    notes.unfit |= {number: f"it has {counted(len(row), 'cell')}, but {whose} {len(names)}" for number, row in ragged}
    notes.clean(f"left out {counted(len(ragged), 'row')} of too few or too many cells, first row {number}", hint)
    return names, [(number, row) for number, row in rows if len(row) == len(names)]


def _without_footer(rows: list[Row], width: int, notes: Notes) -> list[Row]:
    """The rows without those at the end that are a total, a source or a note."""
    end = len(rows)
    while end > max(1, len(rows) - TRAILING):
        row = rows[end - 1][1]
        if not layout.sums_up(row) and not (len(row) == 1 < width):
            break
        end -= 1
    for number, row in rows[end:]:
        say_footer(number, row, notes)
    return rows[:end]


def say_footer(number: int, row: Sequence[str], notes: Notes) -> None:
    """Note a row at the end that is no sample."""
    notes.clean(f"left out row {number} at the end, {quoted(next(filter(None, row)))}", "remove it")


def _names_for(header: list[str], width: int, rows: Sequence[Row], notes: Notes) -> list[str]:
    """The header for rows of another number of cells, where one of the two ends in empty ones or rows have names."""
    filled = len(header)
    while filled and not header[filled - 1]:
        filled -= 1
    if filled <= width < len(header):
        notes.clean("the header ends in an empty name, which is left out", "remove it")
        return header[:width]
    beyond = width - len(header)
    if beyond > 0 and all(not any(row[len(header) :]) for _, row in rows):
        notes.clean("left out an empty column at the end of each line", "remove it")
        return header
    if beyond == 1:
        return ["", *header]  # R names rows, and gives the column of their names none
    return header


def unique(names: Sequence[str], notes: Notes) -> tuple[list[str], frozenset[str]]:
    """Names that are all different, for those that occur twice are numbered; and which the file did not give."""
    taken, found, twice = set(names), [], []
    nameless = set()
    seen: Counter[str] = Counter()
    for place, name in enumerate(names, start=1):
        base, separator, number = (name, ".", 2) if name else ("column", " ", place)
        seen[name] += 1
        if name and seen[name] == 1:
            found.append(name)
            continue
        number = max(number, seen[name])
        while f"{base}{separator}{number}" in taken:
            number += 1
        seen[name] = number if name else 0
        found.append(f"{base}{separator}{number}")
        taken.add(found[-1])
        if name:
            twice.append(found[-1])
        else:
            nameless.add(found[-1])
    if twice:
        notes.clean(
            f"{counted(len(twice), 'column')} of the same name as another, now {named(twice)}",
            "give each column a name of its own",
        )
    return found, frozenset(nameless)
