"""What a person sees: rich text on a terminal, plain lines in a pipe or file, and the same lines in train.log."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeVar

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from trainer.engine.measures import measure
from trainer.show.bars import Bar, NotebookBar, TerminalBar
from trainer.system.inside import unlinked
from trainer.system.shown import LONGEST, printable, shortened
from trainer.system.streams import warn

T = TypeVar("T")
Facts = Sequence[tuple[str, str]]  # label and text
_NONE: Mapping[str, Any] = MappingProxyType({})


def _one(item: object) -> int:
    return 1


class Report:
    """The screen of a command; `log_to` gives it a copy in a file."""

    PANEL_WIDTH = 40  # a narrower terminal has no room for a box
    CELL = 100  # the most letters of a table's cell: a name may have any length, and it makes a whole column wide
    LAST_CELL = 1000  # the same in the last column, after which nothing comes
    BAR_SECONDS = 0.2  # between two drawings of a bar in a notebook
    DOING = 60  # the most letters beside a bar

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet  # nothing is shown, only logged
        self.console = Console(highlight=False, file=sys.stdout)
        if self.console.width < 1:  # COLUMNS=0: rich would show nothing at all
            self.console.width = 80
        self.live = self.console.is_terminal and not quiet
        self.has_bars = self.live or (self.console.is_jupyter and not quiet)
        self._log: _Log | None = None
        self._before: list[str] = []

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal cannot show other characters than those of ASCII."""
        return not self.console.encoding.startswith("utf")

    def log_to(self, path: Path) -> None:
        """Copy everything to a file, also what was said before. If that fails, go on without it after a warning."""
        self._log = _Log(path)
        self._log.write(*self._before)

    def close(self) -> None:
        """Close the file of `log_to`."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        text = printable(text)
        self._record(text)
        self._show(Text(text, style=style), text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.say(f"warning: {shortened(text, LONGEST, '...')}", style="bold red")

    def facts(self, title: str, facts: Facts) -> None:
        """Print labelled lines under a title."""
        facts = [(printable(label), printable(text)) for label, text in facts]
        width = max((len(label) for label, _ in facts), default=0)
        self.say(title, style="bold")
        for label, text in facts:
            line = f"  {label:<{width}}  {text}"
            self._record(line)
            self._show(Text.assemble("  ", (f"{label:<{width}}", "dim"), f"  {text}"), line)

    def panel(self, title: str, facts: Facts, style: str = "green") -> None:
        """Print the closing summary: a box on a terminal, labelled lines elsewhere."""
        if not self.live or self.console.width < self.PANEL_WIDTH:
            self.facts(title, facts)
            return
        title, facts = printable(title), [(printable(label), printable(text)) for label, text in facts]
        self._record(title)
        for label, text in facts:
            self._record(f"  {label}  {text}")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for label, text in facts:
            grid.add_row(Text(label), Text(text))  # in what is no `Text`, rich looks for markup and for :smile:
        self._show(Panel(grid, title=Text(title), title_align="left", border_style=style, expand=False), "")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
        """Print a table: its first column is aligned to the left, columns of numbers are aligned to the right."""
        most = [*[self.CELL] * (len(header) - 1), self.LAST_CELL]
        header, *rows = [[*map(self._shortened, row, most)] for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        right = [i > 0 and all(_is_number(row[i]) for row in rows) for i in range(len(header))]
        lines = [
            "  ".join(
                cell.rjust(width) if flush else cell.ljust(width)
                for cell, width, flush in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in [header, *rows]
        ]
        if title:
            self.say(title, style="bold")
        for number, line in enumerate(lines):
            self.say(line, style="dim" if number == 0 else "")

    def track(
        self,
        items: Iterable[T],
        total: int | None,
        doing: str,
        many: int = 5000,
        patience: float = 0.0,
        size: Callable[[T], int] = _one,
    ) -> Iterator[T]:
        """Yield `items` and show the progress: a bar on a terminal, after some `patience`; else a line for `many`.

        An item may stand for several, its `size`. Where the `total` is not known, the bar has no end, and without a
        terminal there is a line whenever twice as many are done.
        """
        doing = self._shortened(doing, self.DOING)
        if self.has_bars and not self.live:
            yield from self._tracked_in_a_notebook(items, total, doing, patience, size)
            return
        if not self.live:
            yield from self._told(items, total, doing, many, size)
            return
        said = TextColumn("{task.description}", markup=False)
        columns = (said, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        progress = Progress(*columns, console=self.console, transient=True, refresh_per_second=5)
        task, begun = progress.add_task(doing, total=total), time.monotonic()
        try:
            for item in items:
                if not progress.live.is_started and time.monotonic() - begun >= patience:
                    progress.start()
                yield item
                progress.advance(task, size(item))
        finally:
            if progress.live.is_started:
                progress.stop()

    def bar(self) -> Bar:
        """A bar, where it `has_bars`: on a terminal, and in a notebook."""
        return TerminalBar(self.console, self.ascii_only) if self.live else NotebookBar()

    def _tracked_in_a_notebook(
        self, items: Iterable[T], total: int | None, doing: str, patience: float, size: Callable[[T], int]
    ) -> Iterator[T]:
        bar, drawn, done = self.bar(), time.monotonic() + patience, 0
        try:
            for item in items:
                if time.monotonic() >= drawn:
                    drawn = time.monotonic() + self.BAR_SECONDS
                    bar.draw(doing, done, max(done, 1) if total is None else total, "")
                yield item
                done += size(item)
        finally:
            bar.remove()

    def _told(
        self, items: Iterable[T], total: int | None, doing: str, many: int, size: Callable[[T], int]
    ) -> Iterator[T]:
        if total is not None:
            if total >= many:
                self.say(f"{doing}: {total:,}")
            yield from items
            return
        done, next_line = 0, many
        for item in items:
            yield item
            done += size(item)
            if done >= next_line:
                self.say(f"{doing}: {done:,} so far")
                next_line = 2 * done

    def _shortened(self, text: str, most: int) -> str:
        return shortened(text, most, "..." if self.ascii_only else "…")

    def _show(self, rich: RenderableType, plain: str) -> None:
        if self.live:
            self.console.print(rich, soft_wrap=isinstance(rich, Text))
        elif not self.quiet:
            print(plain, flush=True)

    def _record(self, line: str) -> None:
        if self._log is None:
            self._before.append(line)
        else:
            self._log.write(line)


class _Log:
    """A file of lines. When it cannot be written, it warns once and takes no more: no training ends for its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        try:
            self._file = open(path, "a", encoding="utf-8", errors="backslashreplace", opener=unlinked)  # noqa: SIM115
        except OSError as error:
            self._give_up(error)

    def write(self, *lines: str) -> None:
        if self._file is None:
            return
        try:
            self._file.writelines(f"{line}\n" for line in lines)
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:  # some network file systems write only when a file is closed
            self._file = None
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # closing tries again to write what could not be written
                file.close()
        warn(f"cannot write {self.path}: {error.strerror}; what follows is only shown here")


def duration(seconds: float) -> str:
    """`4.2 s`, `3:05` or `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def metric(name: str, value: float) -> str:
    """A metric as people read it: shares in percent."""
    return f"{100 * value:.2f}%" if measure(name).percent else f"{value:.4g}"


def metrics(values: Mapping[str, float], spans: Mapping[str, Sequence[float]] = _NONE) -> str:
    """Several metrics in one line, without the split before their names; those with `spans`, with these."""
    each = []
    for name, value in values.items():
        interval = f" ({span(name, spans[name])})" if name in spans else ""
        each.append(f"{name.split('/')[-1]} {metric(name, value)}{interval}")
    return ", ".join(each)


def span(name: str, ends: Sequence[float]) -> str:
    """An interval of a metric: `96.55% to 97.24%`."""
    return " to ".join(metric(name, end) for end in ends)


def _is_number(text: str) -> bool:
    number = r"[-+]?[\d.,]+(e[-+]?\d+)?%?"
    return re.fullmatch(rf"{number}( (±|\+-) {number})?|-?|nan", text) is not None
