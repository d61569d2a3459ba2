"""The table of epochs on the screen, and the progress bar below it."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from rich.text import Text

from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.state import Plan, Row, State
from trainer.show.bars import Bar
from trainer.show.epochs import Epochs
from trainer.show.report import Report
from trainer.show.values import duration


class Screen(Hook):
    """Shows a bar while an epoch runs, and a line when it is done; the log of the report has all lines.

    Of more than `ALL_LINES` epochs about `PARTS` are shown, more of slow ones, and the last and the best in any case.
    `columns` are the metrics in the table, `samples` the samples of each step of an epoch, `best` is the value of the
    objective that a resumed training has reached before, and what is `compiled` takes its time before the first step.
    """

    BAR_SECONDS = 0.2
    LINE_SECONDS = 10.0  # so long a person waits for the next line
    ALL_LINES = 50  # up to so many epochs have a line each
    PARTS = 20
    HEADER_LINES = 25  # at least so many lines are below a header until it is repeated

    def __init__(
        self,
        report: Report,
        columns: Sequence[str],
        samples: Sequence[int],
        plan: Plan,
        objective: Objective,
        best: float | None = None,
        compiled: bool = False,
    ) -> None:
        self.report, self.samples, self.epochs, self.compiled = report, samples, plan.epochs, compiled
        self.total_steps = plan.total_steps(len(samples))
        dots = "..." if report.ascii_only else "…"
        self.table = Epochs(columns, objective.name, self.epochs, self.total_steps, dots)
        self.objective = Objective(objective.name, objective.direction)
        self.objective.best = best
        self._every = 1 if self.epochs <= self.ALL_LINES else self.epochs // self.PARTS
        self._columns = self._all = self.table.fitting(None)
        self._below = 0  # lines since the header; 0: there is none
        self._unlogged: list[str] = [self.table.header(self._all)]
        self._last: Row | None = None  # the last row of an epoch, and the best, until they are shown
        self._best: Row | None = None
        self._bar: Bar | None = None
        self._bar_drawn = self._line_drawn = self._start = 0.0
        self._start_step = 0
        self._doing = ExitStack()

    def on_start(self, state: State) -> None:
        self._start, self._start_step = time.monotonic(), state.step
        self._line_drawn = self._start
        if not self.report.live:  # in a notebook a bar leaves an empty line behind: only what takes a while has one
            self._bar_drawn = self._start
        if self.compiled:  # until the first bar
            self._doing.enter_context(self.report.doing("compiling the model", long=True))

    def on_step(self, state: State) -> None:
        now = time.monotonic()
        if now - self._bar_drawn >= self.BAR_SECONDS and self.report.has_bars:
            self._bar_drawn = now
            self._draw(state, (state.step - self._start_step) / max(now - self._start, 1e-9))

    def on_evaluation(self, state: State, row: Row) -> None:
        mark = "*" if self.report.ascii_only else "·"
        self._unlogged.append(self.table.line(row, self._all, mark))
        self._show(row, mark)

    def on_epoch(self, state: State, row: Row) -> None:
        self._unlogged.append(self.table.line(row, self._all))
        better, self._last = self.objective.improved(row), row
        if better:
            self._best = row
        now = time.monotonic()
        if state.epoch % self._every == 0 or state.epoch == 1 or now - self._line_drawn >= self.LINE_SECONDS:
            self._line_drawn = now
            self._show(row, better=better)

    def on_end(self, state: State) -> None:
        if self._last is not None:
            self._show(self._last, better=self._last is self._best)
        if self._best is not None and self._every > 1:
            self._show(self._best, mark="+", better=True)
            self.report.show(Text(f"+ the best epoch, by {self.objective.name}", style="dim"))
        self.close()

    def close(self) -> None:
        """Remove the bar, and write what is left to the log."""
        self._log()
        self._doing.close()
        if self._bar is not None:
            self._bar.remove()
            self._bar = None

    def _draw(self, state: State, rate: float) -> None:
        """Draw the bar of the epoch that runs at `rate` steps per second."""
        if self._bar is None:
            self._bar = self.report.bar()
        left = duration((self.total_steps - state.step) / rate)
        figures = f"{left} left", f"loss {float(state.loss):.4f}", f"{rate * self.samples[0]:,.0f} samples/s"
        self._bar.draw(f"epoch {state.epoch + 1}/{self.epochs}", state.batch, len(self.samples), figures)

    def _show(self, row: Row, mark: str = " ", better: bool = False) -> None:
        """Show a row, below a header where none can be seen; `better` than all before it stands out."""
        self._log()
        if row is self._last:
            self._last = None
        if row is self._best:
            self._best = None
        columns = self.table.fitting(self.report.room)
        if self._below == 0 or columns != self._columns or self._below >= self._page:
            self._columns, self._below = columns, 0
            self.report.show(Text(self.table.header(columns), style="dim"))
        self._below += 1
        cells = self.table.cells(row, columns, mark)
        line = Text("  ").join(
            Text(cell, style="bold green" if better and name == self.objective.name else "")
            for name, cell in zip(columns, cells, strict=True)
        )
        line.rstrip()
        self.report.show(line)

    @property
    def _page(self) -> float:
        """Lines after which the header has scrolled away; where nothing scrolls it never does."""
        return max(self.HEADER_LINES, self.report.console.height - 4) if self.report.live else float("inf")

    def _log(self) -> None:
        self.report.log(*self._unlogged)
        self._unlogged.clear()
