"""Cells of tables that are written for others to open."""

from trainer.system.shapes import reads_as_number
from trainer.system.shown import printable

_FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # what a formula begins with, in wide letters, too


def inert(cell: object) -> object:
    """A cell in which a spreadsheet finds no formula, and a terminal nothing to obey: who shows one may be anybody."""
    if not isinstance(cell, str):
        return cell
    text = "\n".join(map(printable, cell.split("\n")))
    begins = cell.lstrip(" ")[:1]
    return f"'{text}" if begins in _FORMULA and begins and not reads_as_number(cell) else text
