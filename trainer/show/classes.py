"""The table of a data set's classes on the screen: whole up to a length that somebody reads."""

from collections.abc import Callable, Sequence

from trainer.show.report import Report

MANY = 1000  # classes from which on a few are shown
FEW = 20

Row = Sequence[str]


def show(screen: Report, header: Row, rows: Sequence[Row], order: Callable[[int], float], first: str) -> None:
    """Show a row for each class; of very many those that `order` puts `first`, which says in words which these are."""
    if len(rows) <= MANY:
        screen.table(header, rows)
        return
    shown = sorted(range(len(rows)), key=order)[:FEW]
    screen.table(header, [rows[number] for number in shown])
    screen.say(f"... and {len(rows) - FEW:,} more; these are {first}")
