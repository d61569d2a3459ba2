"""Bars that show how far something is: on a terminal by rich, in a notebook as a line that is replaced."""

import html
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from trainer.system.shown import printable

LONGEST, SHORTEST = 40, 10  # characters of a bar
# What stands beside it: a spinner, a slash, spaces between them, and three columns that stay free. A terminal writes ^C
# where the line ends, and a line that it has wrapped for that could not be taken away.
BESIDE = 9


def bar_width(room: int) -> int:
    """The width of a bar in so much room."""
    return max(SHORTEST, min(LONGEST, room))


class Bar(Protocol):
    """A bar that is drawn when it is told to."""

    def draw(self, before: str, done: int, total: int, after: Sequence[str]) -> None:
        """Draw it between a text and figures, of which the first are worth most: a narrow terminal has not all."""

    def remove(self) -> None:
        """Take it away."""


class TerminalBar:
    """A line below what is printed."""

    def __init__(self, console: Console, ascii_only: bool) -> None:
        spinner = SpinnerColumn("line" if ascii_only else "dots")
        texts = TextColumn("{task.description}"), TextColumn("{task.fields[figures]}")
        self._console, self._bar = console, BarColumn()
        columns = spinner, texts[0], self._bar, MofNCompleteColumn(), texts[1]
        self._progress = Progress(*columns, console=console, auto_refresh=False, transient=True)
        self._progress.start()
        self._task = self._progress.add_task("", visible=False, figures="")

    def draw(self, before: str, done: int, total: int, after: Sequence[str]) -> None:
        room, figures = self._console.width - len(before) - 2 * len(str(total)) - BESIDE, ""
        for figure in after:
            if len(longer := f"{figures}  {figure}") <= room - SHORTEST:
                figures = longer
        self._bar.bar_width = bar_width(room - len(figures))
        figures = figures.strip()
        self._progress.update(
            self._task, description=before, completed=done, total=total, visible=True, figures=figures
        )
        self._progress.refresh()

    def remove(self) -> None:
        self._progress.stop()


class NotebookBar:
    """A line that keeps its place in the output of a cell; rich would need ipywidgets for one."""

    def __init__(self) -> None:
        from IPython.display import display  # a notebook has it

        self._display: Any = display
        self._handle: Any = None

    def draw(self, before: str, done: int, total: int, after: Sequence[str]) -> None:
        words = f"{printable(before)}  {done:,}/{total:,}", printable("  ".join(after))
        first, then = map(html.escape, words)
        bar = f'<pre>{first} <progress value="{done}" max="{total}"></progress> {then}</pre>'
        self._show({"text/plain": "  ".join(words).rstrip(), "text/html": bar})

    def remove(self) -> None:
        if self._handle is not None:
            self._show({"text/plain": "", "text/html": ""})

    def _show(self, data: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
