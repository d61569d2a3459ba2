"""The table of epochs on the screen, and the progress bar below it."""

import time
from collections.abc import Sequence

from trainer.engine.loop import Hook
from trainer.engine.state import Plan, Row, State
from trainer.show.report import EpochTable, Report


class Screen(Hook):
    """Shows a bar while an epoch runs, and a line when it is done. Of many short epochs, a line a second is shown."""

    BAR_SECONDS = 0.2
    LINE_SECONDS = 1.0
    ALL_LINES = 50  # up to so many epochs have a line each

    def __init__(self, report: Report, columns: Sequence[str], samples: Sequence[int], plan: Plan) -> None:
        self.table = EpochTable(report, columns, plan.epochs)
        self.samples, self.epochs = samples, plan.epochs
        self.total_steps = min(plan.epochs * len(samples), plan.max_steps or plan.epochs * len(samples))
        self._bar_drawn = self._line_drawn = 0.0
        self._start = 0.0
        self._start_step = 0

    def on_start(self, state: State) -> None:
        self._start, self._start_step = time.monotonic(), state.step

    def on_step(self, state: State) -> None:
        now = time.monotonic()
        if now - self._bar_drawn < self.BAR_SECONDS or not self.table.live:
            return
        self._bar_drawn = now
        rate = (state.step - self._start_step) / max(now - self._start, 1e-9)
        left = self.total_steps - state.step
        self.table.progress(
            epoch=state.epoch + 1,
            done=state.batch,
            total=len(self.samples),
            rate=rate * self.samples[0],
            seconds_left=left / rate,
            loss=float(state.loss),
        )

    def on_evaluation(self, state: State, row: Row) -> None:
        self.table.line(row, within=True)

    def on_epoch(self, state: State, row: Row) -> None:
        now = time.monotonic()
        last = state.epoch == self.epochs or bool(state.stop)
        if self.epochs <= self.ALL_LINES or last or now - self._line_drawn >= self.LINE_SECONDS:
            self._line_drawn = now
            self.table.line(row)

    def on_end(self, state: State) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        self.table.close()
