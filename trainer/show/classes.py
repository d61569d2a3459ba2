"""The table of a data set's classes on the screen: whole up to a length that somebody reads."""

from collections.abc import Callable, Sequence

from trainer.engine.metrics import Evaluation
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


def accuracies(screen: Report, names: Sequence[str], evaluation: Evaluation) -> None:
    """Show for each class how many samples it has, and how many of them are found."""
    counts, shares = evaluation.counts, evaluation.per_class
    rows = [
        (name, str(count), f"{100 * share:.2f}%" if count else "-")
        for name, count, share in zip(names, counts, shares, strict=True)
    ]
    header = ("class", "samples", "accuracy")
    show(screen, header, rows, lambda n: shares[n] if counts[n] else 2, "those of the lowest accuracy")
