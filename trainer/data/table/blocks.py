"""A large table in text, read block by block: never is more than a block of its text in memory."""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from trainer.data.cache import check_room
from trainer.data.table import cells, layout, rows
from trainer.data.table.layout import Layout, Target
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


def read(path: Path, file: IO[bytes], target: Target, notes: Notes, text: bool) -> Sheet | None:
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


@dataclass(frozen=True)
class Beginning:
    """What the beginning of a table says of it: the names of its columns, how many lines stand above its rows, how
    cells are separated, and which columns look like `numbers`. See `Sheet` for the rest.
    """

    names: list[str]
    header: bool
    nameless: frozenset[str]
    skipped: int
    found: Layout
    numbers: frozenset[str]


def beginning(path: Path, file: IO[bytes], target: Target, notes: Notes) -> Beginning:
    """Recognise a table by its beginning.

    Raises:
        Irregular: It cannot be read in blocks.
        DataError: It is no text.
    """
    file.seek(0)
    sample = file.read(_SAMPLE)
    sample = sample[: _end(sample)]
    if b"\0" in sample or b"\r" in sample.replace(b"\r\n", b"") or not sample.strip():
        raise Irregular
    text = decoded(sample, Notes(path, strict=False))
    found = layout.recognised(text)
    if found.runs:
        raise Irregular
    parsed = [*rows.parsed(path, text, found)]
    if len(parsed) < _FEWEST:
        raise Irregular
    header, body = rows.headed(path, rows.without_empty(parsed, notes), target, notes)
    width, skipped = rows.usual_width(body), body[0][0] - 1
    if (header is not None and len(header) != width) or any("\n" in cell for cell in header or []):
        raise Irregular
    names, nameless = rows.unique(header or [str(i + 1) for i in range(width)], notes)
    first = [row for _, row in body if len(row) == width]
    numbers = frozenset(name for place, name in enumerate(names) if _numeric([row[place] for row in first]))
    return Beginning(names, header is not None, nameless, skipped, found, numbers)


def frames(
    file: IO[bytes], begins: Beginning, texts: set[str], demoted: set[str], notes: Notes
) -> Iterator[pl.DataFrame]:
    """The rows of a table, block by block: columns of text and of numbers; as `_frame` changes `texts` and `demoted`.

    Raises:
        Irregular, polars.exceptions.PolarsError: It cannot be read in blocks.
    """
    for block in _bodies(file, begins.skipped, notes):
        yield _frame(block, begins.names, begins.found, texts, demoted)


def _read(path: Path, file: IO[bytes], target: Target, notes: Notes, text: bool) -> Sheet:
    begins = beginning(path, file, target, notes)
    names = begins.names
    texts = set(names) if text else set(names) - begins.numbers
    columns: dict[str, list[pl.Series]] = {name: [] for name in names}
    demoted: set[str] = set()
    for frame in frames(file, begins, texts, demoted, notes):
        for name in names:
            columns[name].append(frame[name])
    if demoted:  # a word has been met in a column of numbers: its cells are wanted as they are written
        for name in demoted:
            columns[name] = []
        for frame in frames(file, begins, set(names), set(), Notes(path, strict=False)):
            for name in demoted:
                columns[name].append(frame[name])
    whole = {name: pl.concat(columns.pop(name)) for name in names}
    height = len(whole[names[0]])
    sheet = Sheet(
        path, whole, np.arange(begins.skipped + 1, begins.skipped + 1 + height), begins.header, begins.nameless
    )
    return tidied(sheet, notes)


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


def parts(path: Path, file: IO[bytes], target: Target, notes: Notes, numbers: Container[str]) -> Iterator[Sheet]:
    """Read a large table part by part, in constant memory; only columns of `numbers` become such.

    It is gone through once before the first part is given, for what is unusual shows at any line of it.

    Raises:
        Irregular, polars.exceptions.PolarsError: It has to be read row by row.
    """
    begins = beginning(path, file, target, notes)
    texts = {name for name in begins.names if name not in begins.numbers or name not in numbers}
    height = sum(len(frame) for frame in frames(file, begins, texts, set(), notes))
    return _parts(path, file, begins, texts, height, notes)


def _parts(
    path: Path, file: IO[bytes], begins: Beginning, texts: set[str], height: int, notes: Notes
) -> Iterator[Sheet]:
    passed, empty = 0, 0
    for frame in frames(file, begins, texts, set(), Notes(path, strict=False)):
        lines = np.arange(len(frame)) + passed + begins.skipped + 1
        passed += len(frame)
        columns = {series.name: series for series in frame.get_columns()}
        sheet = Sheet(path, columns, lines, begins.header, begins.nameless)
        ends = passed == height
        tidy = tidied(sheet, notes if ends else Notes(path, strict=False), ends)
        empty += 0 if ends else len(sheet) - len(tidy)
        if len(tidy):
            yield tidy
    rows.say_empty(empty, notes)


def tidied(sheet: Sheet, notes: Notes, ends: bool = True) -> Sheet:
    """The sheet without empty rows and, where the table `ends` with it, without what stands there."""
    columns, height = sheet.columns, len(sheet)
    empty = np.ones(height, dtype=bool)
    for series in columns.values():
        empty &= (series.is_null() if series.dtype != pl.String else series.is_null() | (series == "")).to_numpy()
    end = height
    while ends and end > height - rows.TRAILING:
        row = ["" if (value := series[end - 1]) is None else str(value) for series in columns.values()]
        if empty[end - 1] or not layout.sums_up(row):
            break
        rows.say_footer(int(sheet.lines[end - 1]), row, notes)
        end -= 1
    rows.say_empty(int(empty.sum()), notes)
    if end == height and not empty.any():
        return sheet
    return sheet.take(np.flatnonzero(~empty[:end]))
