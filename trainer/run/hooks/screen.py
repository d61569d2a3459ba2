"""The table of epochs on the screen, and the progress bar below it."""

import time
from collections.abc import Sequence

from trainer.engine.loop import Hook
from trainer.engine.measures import measure
from trainer.engine.state import Plan, Row, State
from trainer.show.bars import Bar
from trainer.show.report import Report
from trainer.show.values import duration, metric


class Screen(Hook):
    """Shows a bar while an epoch runs, and a line when it is done. Of many short epochs, a line a second is shown.

    `columns` are the metrics in the table, `samples` the samples of each step of an epoch.
    """

    BAR_SECONDS = 0.2
    LINE_SECONDS = 1.0
    ALL_LINES = 50  # up to so many epochs have a line each

    def __init__(self, report: Report, columns: Sequence[str], samples: Sequence[int], plan: Plan) -> None:
        self.report, self.columns = report, columns
        self.samples, self.epochs = samples, plan.epochs
        self.total_steps = plan.total_steps(len(samples))
        self._bar: Bar | None = None
        self._headed = False
        self._bar_drawn = self._line_drawn = 0.0
        self._start = 0.0
        self._start_step = 0

    def on_start(self, state: State) -> None:
        self._start, self._start_step = time.monotonic(), state.step
        if not self.report.live:  # in a notebook a bar leaves an empty line behind: only what takes a while has one
            self._bar_drawn = self._start

    def on_step(self, state: State) -> None:
        now = time.monotonic()
        if now - self._bar_drawn >= self.BAR_SECONDS and self.report.has_bars:
            self._bar_drawn = now
            self._draw(state, (state.step - self._start_step) / max(now - self._start, 1e-9))

    def on_evaluation(self, state: State, row: Row) -> None:
        self._line(row, mark="*" if self.report.ascii_only else "·")

    def on_epoch(self, state: State, row: Row) -> None:
        now = time.monotonic()
        last = state.epoch == self.epochs or bool(state.stop)
        if self.epochs <= self.ALL_LINES or last or now - self._line_drawn >= self.LINE_SECONDS:
            self._line_drawn = now
            self._line(row)

    def on_end(self, state: State) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.remove()
            self._bar = None

    def _draw(self, state: State, rate: float) -> None:
        """Draw the bar of the epoch that runs at `rate` steps per second."""
        if self._bar is None:
            self._bar = self.report.bar()
        left = duration((self.total_steps - state.step) / rate)
        figures = f"{rate * self.samples[0]:,.0f} samples/s  loss {float(state.loss):.4f}  {left} left"
        self._bar.draw(f"epoch {state.epoch + 1}/{self.epochs}", state.batch, len(self.samples), figures)

    def _line(self, row: Row, mark: str = "") -> None:
        """Print a row, below a header if it is the first; `mark` follows the number of the epoch."""
        cells = {"epoch": f"{int(row['epoch'])}{mark}", "step": f"{int(row['step'])}"}
        cells |= {name: _figure(name, row[name]) if name in row else "" for name in self.columns}
        cells["lr"] = f"{row['lr']:.2e}"
        cells["seconds"] = _seconds(row["seconds"]) if "seconds" in row else ""
        cells["samples/s"] = f"{row['samples_per_second']:,.0f}" if "samples_per_second" in row else ""
        if not self._headed:
            self._headed = True
            self.report.say("  ".join(f"{name:>{_width(name)}}" for name in cells), style="dim")
        self.report.say("  ".join(f"{cell:>{_width(name)}}" for name, cell in cells.items()).rstrip())


def _figure(name: str, value: float) -> str:
    """A metric in the table: unlike in `metric`, with as many decimals in each row."""
    if measure(name).percent:
        return metric(name, value)
    return f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:.2e}"


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def _width(name: str) -> int:
    return {"epoch": 6, "step": 7, "seconds": 7, "samples/s": 9}.get(name, max(len(name), 8))
