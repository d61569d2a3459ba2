"""How a table is written down: what separates its columns, and whether its first line names them."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.system.shapes import reads_as_number

_SEPARATORS = "\t;|,"  # of two that fit equally, the one that is rarer within cells goes first
_LINES = 300  # of the file's beginning, by which its layout is recognised
_AGREE = 0.8  # the share of lines that have the same number of cells
_BLANKS = re.compile(r'"[^"\n]*"|[^\s"]\S*')
_TYPES = frozenset(
    [
        "int",
        "integer",
        "int32",
        "int64",
        "long",
        "float",
        "float32",
        "float64",
        "double",
        "real",
        "numeric",
        "number",
        "num",
        "string",
        "str",
        "text",
        "char",
        "varchar",
        "object",
        "cat",
        "category",
        "categorical",
        "factor",
        "bool",
        "boolean",
        "logical",
        "date",
        "datetime",
        "time",
        "timestamp",
        "class",
        "label",
        "id",
    ]
)
_SUM = re.compile(
    r"\s*(grand\s+)?(sub)?(total|sum|summe|gesamt|totals|somme|totale|average|mean|source|note|notes)\b", re.I
)

Target = str | frozenset[str]  # what the user calls the target of a table; or the names that its columns may have


@dataclass(frozen=True)
class Layout:
    """The separator of cells; `runs` of it count as one."""

    separator: str
    runs: bool = False

    def __str__(self) -> str:
        return {"\t": "tabs", " ": "runs of blanks"}.get(self.separator, f"'{self.separator}'")


def recognised(sample: str) -> Layout:
    """The layout of a text by its first lines, which `sample` holds."""
    lines = [line for line in sample.split("\n") if line.strip() and not line.startswith("#")][:_LINES]
    if lines and re.fullmatch(r"sep=[;,|\t]\s*", lines[0]):  # what Excel reads
        return Layout(lines[0][4])
    found = {separator: _agreement(_split(lines, separator)) for separator in _SEPARATORS}
    fitting = [s for s in _SEPARATORS if found[s][0] >= _AGREE and found[s][1] > 1]
    best = max(fitting, key=lambda s: found[s][0], default=None)
    aligned, width = _agreement([blanks(line) for line in lines])
    if aligned == 1 and width > 1 and (best is None or (best == "\t" and width > found[best][1] and _aligned(lines))):
        return Layout(" ", runs=True)
    doubled, width = _agreement([re.split(r"\t+", line) for line in lines])
    if doubled >= _AGREE and width > 1 and doubled > (found[best][0] if best else 0):
        return Layout("\t", runs=True)
    if best is None:  # perhaps a footer, or lines above the table, among few lines
        best = max(_SEPARATORS, key=lambda s: found[s][0] * (found[s][1] > 1))
        best = best if found[best][1] > 1 else ","
    return Layout(best)


def _split(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader([f"{line}\n" for line in lines], delimiter=separator))
    except csv.Error:
        return []


def _agreement(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """The share of rows that have the most frequent number of cells, and that number."""
    widths = Counter(map(len, rows))
    if not widths:
        return 0.0, 0
    width, count = widths.most_common(1)[0]
    return count / len(rows), width


def _aligned(lines: Sequence[str]) -> bool:
    """Whether columns are aligned by several blanks, as in a table that is not separated by tabs alone."""
    return sum(bool(re.search(r"\S {2,}\S", line)) for line in lines) > len(lines) / 2


def names_columns(first: Sequence[str], body: Sequence[Sequence[str]], target: Target) -> bool:
    """Whether the `first` row of a table names the columns: it has the target's name, or differs from the `body`."""
    if not isinstance(target, str):
        if target & set(first):
            return True
        target = "-1"
    if not re.fullmatch(r"-?\d+", target):
        return target in first or not any(map(_numeric, first)) or not _like(first, body)
    if _counting(first):
        return True
    if any(map(_numeric, first)):
        return False
    columns = list(zip(*body, strict=False))
    if any(sum(map(_numeric, cells)) > len(cells) / 2 for cells in columns):
        return True
    again = sum(name in cells for name, cells in zip(first, columns, strict=False) if name)
    return again == 0


def _numeric(cell: str) -> bool:
    return reads_as_number(cell.replace(",", "."))


def _like(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether the first row has numbers just where the others have them."""
    return all([*map(_numeric, first)] == [*map(_numeric, row)] for row in body[:20])


def _counting(first: Sequence[str]) -> bool:
    """Whether the cells are 0, 1, 2, ..., as programs name columns that have no names; the first may be empty."""
    cells = list(first[1:] if first and not first[0] else first)
    return len(cells) > 1 and cells in ([str(i) for i in range(len(cells))], [str(i + 1) for i in range(len(cells))])


def names_types(row: Sequence[str]) -> bool:
    """Whether a row says what the columns hold, like `INT;STRING;CAT`."""
    cells = [cell.lower() for cell in row if cell]
    return len(cells) > 1 and all(cell in _TYPES for cell in cells)


def sums_up(row: Sequence[str]) -> bool:
    """Whether a row at the end of a table is no sample: a total, a source, a note."""
    filled = [cell for cell in row if cell]
    return bool(filled) and bool(_SUM.match(filled[0])) and (len(filled) < len(row) or len(row) > 2)


def blanks(line: str) -> list[str]:
    """The cells of a line that runs of blanks separate; quotes hold a cell of several words together."""
    return [cell[1:-1] if cell[0] == cell[-1] == '"' and len(cell) > 1 else cell for cell in _BLANKS.findall(line)]
