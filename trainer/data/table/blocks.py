"""A large table in text, read block by block: never is more than a block of its text in memory."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from trainer.data.cache import check_room
from trainer.data.table import cells, layout, rows
from trainer.data.table.layout import Layout
from trainer.data.table.notes import Notes
from trainer.data.table.sheet import Sheet
from trainer.data.table.text import decoded

_BLOCK = 2**22  # bytes; so many and more a line may have
_FEWEST = 4  # rows in the sample by which a table is recognised
_LONGEST = 16 * _BLOCK  # bytes in which a block must end outside of quotes
_TIMES = 3  # as much memory as its file takes a table that is read, at most
_SAMPLE = 2**18  # bytes by which layout and columns are recognised
_NULLS = sorted({form for w in cells.NEVER_CLASSES if w for form in (w, w.upper(), w.capitalize(), "NaN", "NaT")})
_BLANK = re.compile(rb"\n(?:\r?\n)+")  # lines without anything, which polars would take for empty rows
_PACKED = (b"x\x01", b"x^", b"\x1f\x8b")  # how compressed data begin, which polars would unpack


class Irregular(Exception):  # noqa: N818  # no error: the table is then read another way
    """The table is not of a kind that can be read in blocks."""


def read(path: Path, file: IO[bytes], target: str, notes: Notes, text: bool) -> Sheet | None:
    """Read a large table, all columns as `text` if that is wanted.

    None if it has to be read row by row, which finds out what is unusual about it.

    Raises:
        DataError: It is no text, or memory does not hold it.
    """
    size = file.seek(0, 2)
    check_room(_TIMES * size, f"the cells of {path}", "use a smaller table, or free some memory")
    try:
        return _read(path, file, target, notes, text)
    except (Irregular, pl.exceptions.PolarsError):
        return None


def _read(path: Path, file: IO[bytes], target: str, notes: Notes, text: bool) -> Sheet:
    file.seek(0)
    sample = file.read(_SAMPLE)
    sample = sample[: _end(sample)]
    if b"\0" in sample or b"\r" in sample.replace(b"\r\n", b"") or not sample.strip():
        raise Irregular
    beginning = decoded(sample, Notes(path, strict=False))
    found = layout.recognised(beginning)
    if found.runs:
        raise Irregular
    parsed = [*rows.parsed(path, beginning, found)]
    if len(parsed) < _FEWEST:
        raise Irregular
    header, body = rows.headed(path, rows.without_empty(parsed, notes), target, notes)
    width, skipped = rows.usual_width(body), body[0][0] - 1
    if (header is not None and len(header) != width) or any("\n" in cell for cell in header or []):
        raise Irregular
    names, nameless = rows.unique(header or [str(i + 1) for i in range(width)], notes)
    first = [row for _, row in body if len(row) == width]
    texts = {name for place, name in enumerate(names) if text or not _numeric([row[place] for row in first])}
    columns: dict[str, list[pl.Series]] = {name: [] for name in names}
    demoted: set[str] = set()
    for block in _bodies(file, skipped, notes):
        frame = _frame(block, names, found, texts, demoted)
        for name in names:
            columns[name].append(frame[name])
    if demoted:  # a word has been met in a column of numbers: its cells are wanted as they are written
        for name in demoted:
            columns[name] = []
        for block in _bodies(file, skipped, Notes(path, strict=False)):
            frame = _frame(block, names, found, set(names), set())
            for name in demoted:
                columns[name].append(frame[name])
    whole = {name: pl.concat(columns.pop(name)) for name in names}
    return _tidied(path, whole, skipped, header is not None, nameless, notes)


def _numeric(column: list[str]) -> bool:
    text = cells.tidy(pl.Series(column, dtype=pl.String))
    return cells.plain(text.cast(pl.Float64, strict=False)).null_count() == text.null_count() < len(text)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file in blocks, each of which ends where a line does, and not within quotes."""
    file.seek(0)
    rest = b""
    while chunk := file.read(_BLOCK):
        rest += chunk
        end = _end(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > _LONGEST:
            raise Irregular
    if rest:
        yield rest


def _end(data: bytes) -> int:
    """Where the last line that is whole, and not within quotes, ends; 0 if there is none among the last thousand."""
    end, quotes = data.rfind(b"\n") + 1, data.count(b'"')
    quotes -= data.count(b'"', end)
    for _ in range(1000):
        if not end or quotes % 2 == 0:
            return end
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return 0


def _bodies(file: IO[bytes], skipped: int, notes: Notes) -> Iterator[bytes]:
    """The blocks below the first `skipped` lines, in UTF-8."""
    for number, block in enumerate(_blocks(file)):
        if number == 0:
            block = block.split(b"\n", skipped)[skipped]
        if not block.isascii():
            block = decoded(block, notes).encode()
        if block[:2] in _PACKED or b"\0" in block:
            raise Irregular
        block = block.strip(b"\r\n") + b"\n"
        if b'"' not in block:
            block = _BLANK.sub(b"\n", block)
        if block.strip():
            yield block


def _frame(block: bytes, names: list[str], found: Layout, texts: set[str], demoted: set[str]) -> pl.DataFrame:
    """The columns of a block; one of numbers that has a word in it is added to the columns of text and `demoted`."""
    kinds = {name: pl.String if name in texts else pl.Float64 for name in names}
    try:
        frame = _parsed(block, kinds, found)
    except pl.exceptions.ComputeError:
        frame = _parsed(block, dict.fromkeys(names, pl.String), found)
        for name in set(names) - texts:
            text = cells.tidy(frame[name].str.strip_chars())
            values = text.cast(pl.Float64, strict=False)
            if values.null_count() > text.null_count():
                texts.add(name)
                demoted.add(name)
            else:
                frame = frame.with_columns(values.alias(name))
    if b'"' not in block:
        cut = np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == ord(found.separator))
        if cut != len(frame) * (len(names) - 1):
            raise Irregular  # there are rows that are too short, which polars fills up
    stripped = [s.str.strip_chars() if s.dtype == pl.String else cells.plain(s) for s in frame.get_columns()]
    return pl.DataFrame(stripped)


def _parsed(block: bytes, kinds: Mapping[str, type[pl.DataType]], found: Layout) -> pl.DataFrame:
    return pl.read_csv(
        block,
        has_header=False,
        schema=dict(kinds),
        separator=found.separator,
        null_values=_NULLS,
        glob=False,
    )


def _tidied(
    path: Path, columns: dict[str, pl.Series], skipped: int, header: bool, nameless: frozenset[str], notes: Notes
) -> Sheet:
    """The sheet without empty rows and without what stands at the end."""
    height = len(next(iter(columns.values())))
    sheet = Sheet(path, columns, np.arange(skipped + 1, skipped + 1 + height), header, nameless)
    empty = np.ones(height, dtype=bool)
    for series in columns.values():
        empty &= (series.is_null() if series.dtype != pl.String else series.is_null() | (series == "")).to_numpy()
    end = height
    while end > height - rows.TRAILING:
        row = ["" if (value := series[end - 1]) is None else str(value) for series in columns.values()]
        if empty[end - 1] or not layout.sums_up(row):
            break
        rows.say_footer(int(sheet.lines[end - 1]), row, notes)
        end -= 1
    rows.say_empty(int(empty.sum()), notes)
    if end == height and not empty.any():
        return sheet
    return sheet.take(np.flatnonzero(~empty[:end]))
