"""A table as lines of text: columns side by side, numbers to the right, and only what there is room for."""

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len

from trainer.show.values import is_number
from trainer.system.shown import shortened

BETWEEN = 2  # spaces between two columns
SHORTEST = 12  # characters of a text in a narrow table
FIRST = 28  # in its first column, which says what a row is of


def laid_out(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, the first of which is its header.

    The first column is aligned to the left, and each other whose cells are numbers to the right.
    """
    grid = [header, *rows]
    widths = _widths(grid)
    right = _numbers(grid)
    return [(" " * BETWEEN).join(map(_padded, row, widths, right)).rstrip() for row in grid]


def narrowed(
    header: Sequence[str], rows: Sequence[Sequence[str]], room: int, dots: str
) -> tuple[list[str], list[list[str]], list[str]]:
    """The header and the rows of a table that is at most so wide, and the names of the columns that are left out.

    Texts, such as paths and names, are shortened first, the longest most; then the last columns are left out. A number
    is shown whole or not at all.
    """
    grid = [list(header), *map(list, rows)]
    widths, numbers = _widths(grid), _numbers(grid)
    shortest = [FIRST, *[SHORTEST] * (len(widths) - 1)]
    least = [w if number else min(w, s) for w, number, s in zip(widths, numbers, shortest, strict=True)]
    taken = next((n for n in range(len(widths), 1, -1) if _together(least[:n]) <= room), 1)
    widths = widths[:taken]
    while _together(widths) > room:
        longest = max((i for i in range(taken) if widths[i] > least[i]), key=lambda i: widths[i], default=None)
        if longest is None:  # a terminal as narrow as that
            break
        widths[longest] -= 1
    cut = [[_cut(cell, width, dots) for cell, width in zip(row, widths, strict=False)] for row in grid]
    return cut[0], cut[1:], list(header[taken:])


def _widths(grid: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(*grid, strict=True)]


def _numbers(grid: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each column is one of numbers, which the first is not."""
    return [i > 0 and all(is_number(row[i]) for row in grid[1:]) for i in range(len(grid[0]))]


def _padded(cell: str, width: int, right: bool) -> str:
    """A cell as wide as its column; a letter of Chinese, say, is as wide as two others."""
    blank = " " * (width - cell_len(cell))
    return blank + cell if right else cell + blank


def _cut(cell: str, width: int, dots: str) -> str:
    most = width
    while cell_len(cut := shortened(cell, most, dots)) > width and most > len(dots):
        most -= 1
    return cut


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + BETWEEN * (len(widths) - 1)


def wrapped(text: str, room: int | None, indent: int) -> str:
    """`text` after so many characters of its first line, in further lines below it where there is no more `room`.

    A word that is longer than a line, such as a path, stays whole: a terminal breaks it so that it can be copied.
    """
    if room is None or indent + cell_len(text) <= room or room < 2 * indent:
        return text
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if indent + cell_len(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return f"\n{' ' * indent}".join(lines)


def fitting(widths: Mapping[str, int], worth: Sequence[str], room: int | None, least: int = 1) -> list[str]:
    """The columns that fit side by side into so much `room`, in the order of `widths`; without a limit all of them.

    They are taken in the order of their `worth`, those with which the table would be too wide are left out, and the
    first `least` of them are there in any case.
    """
    taken: list[str] = []
    used = -BETWEEN
    for name in dict.fromkeys(worth):
        wider = used + BETWEEN + widths[name]
        if room is None or wider <= room or len(taken) < least:
            taken.append(name)
            used = wider
    return [name for name in widths if name in taken]
