"""The ranked table as a terminal has room for it: what is worth most is kept, and a line says what is not shown."""

import textwrap
from collections.abc import Sequence

from trainer.compare.ranking import REPEATS
from trainer.show import grid
from trainer.show.values import is_number
from trainer.system.shown import counted, shortened

CELL = 24  # the most letters of a name where there is little room; numbers are never shortened
STATUS = 20  # at least so many letters of how a job ended, if it failed
LEAST_ROWS = 6
WORTH = ("rank", "objective", "keys", "status", "repeats", "job", "test", "best epoch", "seconds")  # of `_kinds`

Rows = Sequence[Sequence[str]]


def fitted(
    header: Sequence[str], rows: Rows, room: int, most: int, ascii_only: bool = False
) -> tuple[list[str], list[list[str]], str]:
    """Header and rows that fit into `room` letters and `most` lines, and a sentence on what is left out, or "".

    Of too many rows the best are kept, and some that have no rank.
    """
    kinds = _kinds(header)
    dots = "..." if ascii_only else "…"
    all_well = all(row[-1] == "completed" for row in rows)
    taken, more = _rows(rows, most)
    last = len(header) - 1
    cells = [[_cut(cell, dots) if place < last else cell for place, cell in enumerate(row)] for row in (header, *taken)]
    widths = {str(place): max(len(row[place]) for row in cells) for place in range(last + 1)}
    widths[str(last)] = min(widths[str(last)], STATUS)

    def worth(place: int) -> tuple[bool, int]:
        return kinds[place] == "status" and all_well, WORTH.index(kinds[place])

    order = [str(place) for place in sorted(range(last + 1), key=worth)]
    if sum(widths.values()) + grid.BETWEEN * last > room:
        cells[0] = _short(cells[0], kinds)
        widths = {str(place): max(len(row[place]) for row in cells) for place in range(last)} | {
            str(last): widths[str(last)]
        }
    chosen = [int(name) for name in grid.fitting(widths, order, room, least=2)]
    if last in chosen:
        used = sum(widths[str(place)] + grid.BETWEEN for place in chosen if place != last)
        for row in cells:
            row[last] = textwrap.shorten(row[last], max(STATUS, room - used), placeholder=dots)  # between two words
    lost = [header[place] for place in range(last + 1) if place not in chosen and not (place == last and all_well)]
    head, *body = [[row[place] for place in chosen] for row in cells]
    said = [f"{counted(more, 'row')} more"] if more else []
    return head, body, "; ".join([*said, _lost(lost)] if lost else said)


def _kinds(header: Sequence[str]) -> list[str]:
    """What each column of a sweep's table is."""
    keys = ["repeats" if name in (*REPEATS, *REPEATS.values()) else "keys" for name in header[2:-5]]
    return [*header[:2], *keys, "objective", *header[-4:]]


def _short(header: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """The header with `lr` for `optim.lr`, where no other column is called so."""
    last = [name.rpartition(".")[2] if kind == "keys" else name for name, kind in zip(header, kinds, strict=True)]
    return [short if last.count(short) == 1 else name for name, short in zip(header, last, strict=True)]


def _rows(rows: Rows, most: int) -> tuple[Rows, int]:
    """The rows to show, and how many there are beside them."""
    most = max(LEAST_ROWS, most)
    if len(rows) <= most:
        return rows, 0
    unranked = [row for row in rows if row[0] == "-"][: most // 3]
    best = [row for row in rows if row[0] != "-"][: most - len(unranked)]
    return [*best, *unranked], len(rows) - len(best) - len(unranked)


def _cut(cell: str, dots: str) -> str:
    return cell if is_number(cell) else shortened(cell, CELL, dots)


def _lost(names: Sequence[str]) -> str:
    few = ", ".join(shortened(name, CELL) for name in names[:4])
    return f"not shown: {few}{f' and {len(names) - 4} more' if len(names) > 4 else ''}"
