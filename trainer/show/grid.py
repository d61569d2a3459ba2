"""A table as lines of text: its columns side by side, numbers aligned to the right."""

from collections.abc import Iterable, Sequence

from trainer.show.values import is_number


def laid_out(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, the first of which is its header.

    The first column is aligned to the left, and each other whose cells are numbers to the right.
    """
    grid = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    right = [i > 0 and all(is_number(row[i]) for row in grid[1:]) for i in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in grid
    ]
