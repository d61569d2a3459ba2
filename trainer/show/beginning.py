"""How a command begins: its first line, before torch is imported, for that takes longer than a person likes to wait."""

from collections.abc import Iterator
from contextlib import contextmanager

from trainer.show.report import Report
from trainer.system.torch_first import import_torch


@contextmanager
def beginning(title: str, asked: str) -> Iterator[Report]:
    """Show what a command is at, as far as it was `asked` for; within the block torch is there, and is built on."""
    screen = Report()
    screen.heading(title, asked)
    with screen.doing("starting torch"):
        import_torch()
        yield screen
