"""What a person sees: rich text on a terminal, plain lines in a pipe or file, and the same lines in train.log."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trainer.show import grid, progress
from trainer.show.bars import Bar, NotebookBar, TerminalBar
from trainer.show.log import Log
from trainer.show.progress import Spinner
from trainer.system.shown import LONGEST, printable, shortened

T = TypeVar("T")
Facts = Sequence[tuple[str, str]]  # label and text


def _one(item: object) -> int:
    return 1


class Report:
    """The screen of a command; `log_to` gives it a copy in a file."""

    PANEL_WIDTH = 40  # a narrower terminal has no room for a box
    CELL = 100  # the most letters of a table's cell: a name may have any length, and it makes a whole column wide
    LAST_CELL = 1000  # the same in the last column, after which nothing comes
    DOING = 60  # the most letters beside a bar
    MANY = 100_000  # samples whose evaluation is said in a pipe
    PATIENCE = 0.5  # seconds after which a person is told what is being done

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet  # nothing is shown, only logged
        self.console = Console(highlight=False, file=sys.stdout)
        if self.console.width < 1:  # COLUMNS=0: rich would show nothing at all
            self.console.width = 80
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal and not quiet
        self.has_bars = self.live or (self.console.is_jupyter and not quiet)
        self._log: Log | None = None
        self._before: list[str] = []
        self._doing: list[str] = []  # and what each is a part of
        self._spinner: Spinner | None = None
        self._heading = ""

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal cannot show other characters than those of ASCII."""
        return not self.console.encoding.startswith("utf")

    @property
    def room(self) -> int | None:
        """The characters that fit on a line of a terminal; None elsewhere, where lines may have any length."""
        return self.console.width if self.console.is_terminal and not self.quiet else None

    def log_to(self, path: Path) -> None:
        """Copy everything to a file, also what was said before. If that fails, go on without it after a warning."""
        self._log = Log(path)
        self._log.write(*self._before)

    def close(self) -> None:
        """Close the file of `log_to`."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        text = printable(text)
        self.log(text)
        self._show(Text(text, style=style), text)

    def log(self, *lines: str) -> None:
        """Write lines to the file of `log_to` alone."""
        if self._log is None:
            self._before += lines
        else:
            self._log.write(*lines)

    def show(self, text: str | Text) -> None:
        """Show a line that the file has already, or has more of."""
        line = Text(text) if isinstance(text, str) else text
        self._show(line, line.plain)

    def heading(self, title: str, said: str) -> None:
        """Print the first line of what a command shows, unless it has just been printed."""
        title, said = printable(title), printable(said)
        line = f"{title}  {said}"
        if line != self._heading:
            self._heading = line
            self.log(line)
            whole = grid.wrapped(said, self.room, len(title) + 2)
            self.show(Text.assemble((title, "bold cyan"), f"  {whole}"))

    def take_over(self, heading: tuple[str, str], lines: Sequence[str]) -> None:
        """Know the first line and others, which another process has printed already."""
        self._heading = "  ".join(printable(part) for part in heading)
        self.log(self._heading, *map(printable, lines))

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.say(f"warning: {shortened(text, LONGEST, '...')}", style="bold red")

    def facts(self, title: str, facts: Facts, style: str = "bold") -> None:
        """Print labelled lines, under a title if there is one."""
        facts = [(printable(label), printable(text)) for label, text in facts]
        width = max((len(label) for label, _ in facts), default=0)
        if title:
            self.say(title, style)
        for label, text in facts:
            line = f"  {label:<{width}}  {text}"
            self.log(line)
            whole = grid.wrapped(text, self.room, width + 4)
            self.show(Text.assemble("  ", (f"{label:<{width}}", "dim"), f"  {whole}"))

    def commands(self, commands: Sequence[str], title: str = "next") -> None:
        """Print commands to be copied, each on one line that no box and no break of ours interrupts.

        They are to be quoted for a shell, by `trainer.system.paths`.
        """
        self.say(title, style="bold")
        for command in commands:
            self.say(f"  {command}", style="cyan")

    def panel(self, title: str, facts: Facts, style: str = "green") -> None:
        """Print the closing summary: a box on a terminal, labelled lines elsewhere and where it would break a word."""
        title, facts = printable(title), [(printable(label), printable(text)) for label, text in facts]
        words = max((cell_len(word) for _, text in facts for word in text.split(" ")), default=0)
        beside = max((len(label) for label, _ in facts), default=0) + 6
        if not self.live or self.console.width < max(self.PANEL_WIDTH, beside + words):
            self.facts(title, facts, f"bold {style}")
            return
        self.log(title)
        for label, text in facts:
            self.log(f"  {label}  {text}")
        lines = Table.grid(padding=(0, 2))
        lines.add_column(style="dim", no_wrap=True)
        lines.add_column(overflow="fold")
        for label, text in facts:
            lines.add_row(Text(label), Text(text))  # in what is no `Text`, rich looks for markup and for :smile:
        self._show(Panel(lines, title=Text(title), title_align="left", border_style=style, expand=False), "")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
        """Print a table: its first column is aligned to the left, columns of numbers are aligned to the right."""
        most = [*[self.CELL] * (len(header) - 1), self.LAST_CELL]
        header, *rows = [[*map(self._shortened, row, most)] for row in (header, *rows)]
        if title:
            self.say(title, style="bold")
        lines, left_out = grid.laid_out(header, rows), list[str]()
        self.log(*lines)
        if self.room is not None and max(map(len, lines)) > self.room:
            header, rows, left_out = grid.narrowed(header, rows, self.room, "..." if self.ascii_only else "…")
            lines = grid.laid_out(header, rows)
        for number, line in enumerate(lines):
            self.show(Text(line, style="dim" if number == 0 else ""))
        if left_out:
            self.show(Text(f"for lack of room not shown: {', '.join(left_out)}", style="dim"))

    @contextmanager
    def doing(self, text: str, long: bool = False) -> Iterator[None]:
        """Say what is being done within the block, if it takes over half a second: a spinner on a terminal.

        In a pipe and in a notebook only what is known to take `long` is said, in a line of its own before it begins. A
        bar that begins within the block takes the place of the spinner, and so does what is being done within it.
        """
        if not self.live:
            if long:
                self.say(text, style="dim")
            yield
            return
        self._doing.append(self._shortened(text, self.DOING))
        self._spin()
        try:
            yield
        finally:
            self._doing.pop()
            self._spin()

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
        if self.live:
            self._stop_spinning()
            yield from progress.on_a_terminal(self.console, items, total, doing, patience, size)
            self._spin()
        elif self.has_bars:
            yield from progress.in_a_notebook(items, total, doing, patience, size)
        else:
            yield from progress.in_lines(self.say, items, total, doing, many, size)

    def evaluating(self, batches: Iterable[tuple[T, T]], samples: int, split: str) -> Iterator[tuple[T, T]]:
        """`track` the batches of a split, (inputs, targets), that a model is evaluated on."""
        doing, patience = f"evaluating the {split} split", self.PATIENCE
        return self.track(batches, samples, doing, self.MANY, patience, lambda batch: len(cast(Sized, batch[1])))

    def bar(self) -> Bar:
        """A bar, where it `has_bars`: on a terminal, and in a notebook."""
        self._stop_spinning()
        return TerminalBar(self.console, self.ascii_only) if self.live else NotebookBar()

    def _spin(self) -> None:
        """Let the spinner say what is being done now, if anything is."""
        self._stop_spinning()
        if self._doing:
            self._spinner = Spinner(self.console, self._doing[-1], self.ascii_only, self.PATIENCE)

    def _stop_spinning(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def _shortened(self, text: str, most: int) -> str:
        return shortened(text, most, "..." if self.ascii_only else "…")

    def _show(self, rich: RenderableType, plain: str) -> None:
        if self.live:
            self.console.print(rich, soft_wrap=isinstance(rich, Text))
        elif not self.quiet:
            print(plain, flush=True)
