"""Bars that show how far something is: on a terminal by rich, in a notebook as a line that is replaced."""

import html
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from trainer.system.shown import printable


class Bar(Protocol):
    """A bar that is drawn when it is told to."""

    def draw(self, before: str, done: int, total: int, after: Sequence[str]) -> None:
        """Draw it between a text and figures, of which the first are worth most: a narrow terminal has not all."""

    def remove(self) -> None:
        """Take it away."""


class TerminalBar:
    """A line below what is printed."""

    SHORTEST = 18  # characters of a bar that can still be read, with the spinner and the spaces

    def __init__(self, console: Console, ascii_only: bool) -> None:
        spinner = SpinnerColumn("line" if ascii_only else "dots")
        texts = TextColumn("{task.description}"), TextColumn("{task.fields[figures]}")
        columns = spinner, texts[0], BarColumn(), MofNCompleteColumn(), texts[1]
        self._console = console
        self._progress = Progress(*columns, console=console, auto_refresh=False, transient=True)
        self._progress.start()
        self._task = self._progress.add_task("", visible=False, figures="")

    def draw(self, before: str, done: int, total: int, after: Sequence[str]) -> None:
        room, figures = self._console.width - len(before) - len(f"{total}/{total}") - self.SHORTEST, ""
        for figure in after:
            if len(longer := f"{figures}  {figure}") <= room:
                figures = longer
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
