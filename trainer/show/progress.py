"""How far something is, and what is being done: bars and spinners that disappear, and plain lines elsewhere."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from rich.console import Console
from rich.errors import LiveError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text

from trainer.show.bars import BESIDE, NotebookBar, bar_width

T = TypeVar("T")
Size = Callable[[T], int]
BAR_SECONDS = 0.2  # between two drawings of a bar in a notebook


class Spinner:
    """A line on a terminal that says what is being done, from `patience` seconds on until it is stopped."""

    def __init__(self, console: Console, text: str, ascii_only: bool, patience: float) -> None:
        line = Text(text, no_wrap=True, overflow="ellipsis")
        self._status = Status(line, console=console, spinner="line" if ascii_only else "dots", spinner_style="cyan")
        self._lock, self._begun, self._over = threading.Lock(), False, False
        self._timer = threading.Timer(patience, self._begin)
        self._timer.daemon = True
        self._timer.start()

    def _begin(self) -> None:
        with self._lock:
            if not self._over:
                with suppress(LiveError):  # there is a bar, which has the line
                    self._status.start()
                    self._begun = True

    def stop(self) -> None:
        """Take the line away, if it is there."""
        self._timer.cancel()
        with self._lock:
            if self._begun and not self._over:
                self._status.stop()
            self._over = True


def on_a_terminal(
    console: Console, items: Iterable[T], total: int | None, doing: str, patience: float, size: Size[T]
) -> Iterator[T]:
    """Yield `items` beside a bar that is shown after some `patience`."""
    said = TextColumn("{task.description}", markup=False)
    count = len(str(total)) if total is not None else 8
    width = bar_width(console.width - len(doing) - 2 * count - len("0:00:00") - BESIDE)
    columns = (said, BarColumn(width), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, refresh_per_second=5)
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


def in_a_notebook(items: Iterable[T], total: int | None, doing: str, patience: float, size: Size[T]) -> Iterator[T]:
    """The same with a bar in the output of a cell."""
    bar, drawn, done = NotebookBar(), time.monotonic() + patience, 0
    try:
        for item in items:
            if time.monotonic() >= drawn:
                drawn = time.monotonic() + BAR_SECONDS
                bar.draw(doing, done, max(done, 1) if total is None else total, ())
            yield item
            done += size(item)
    finally:
        bar.remove()


def in_lines(
    say: Callable[[str], None], items: Iterable[T], total: int | None, doing: str, many: int, size: Size[T]
) -> Iterator[T]:
    """The same in a pipe: a line for `many` items; of an unknown total, one whenever twice as many are done."""
    if total is not None:
        if total >= many:
            say(f"{doing}: {total:,}")
        yield from items
        return
    done, next_line = 0, many
    for item in items:
        yield item
        done += size(item)
        if done >= next_line:
            say(f"{doing}: {done:,} so far")
            next_line = 2 * done
