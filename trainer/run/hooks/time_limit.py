"""Stop in time, so that the test and the files come within the limit, too."""

from collections.abc import Callable

from trainer.engine.loop import Hook
from trainer.engine.schedule import Schedule
from trainer.engine.state import State

FIRST_STEPS = 10  # and this share of the time, before it is said how many steps will fit
FIRST_SHARE = 0.05
MARGIN = 0.95  # of the steps that would fit: the pace is not the same throughout


class TimeLimit(Hook):
    """Sets `state.stop` after so many `minutes`, less the seconds that `closing` says are still needed then.

    `seconds` are those that the run has taken so far, also before it was resumed; `closing` is given those of a step.
    A schedule that spans the whole training is laid out anew over the steps that will fit, once that can be told, and
    the training then ends with it. The checkpoint holds that length, with the schedule.
    """

    def __init__(
        self,
        minutes: float,
        seconds: Callable[[], float],
        closing: Callable[[float], float],
        schedule: Schedule,
        say: Callable[[str], None],
    ) -> None:
        self.minutes, self.limit, self.seconds, self.closing = minutes, 60 * minutes, seconds, closing
        self.schedule, self.say = schedule, say
        self.begun, self.first = 0.0, 0

    def on_start(self, state: State) -> None:
        self.begun, self.first = self.seconds(), state.step
        if state.step:
            self._stop_if_due(state, 0.0)

    def on_step(self, state: State) -> None:
        taken = state.step - self.first
        pace = (self.seconds() - self.begun) / taken  # seconds per step
        if self.schedule.laid_out is None and self.schedule.ends_after is not None and taken >= FIRST_STEPS:
            self._lay_out(state, pace)
        self._stop_if_due(state, pace)

    def _lay_out(self, state: State, pace: float) -> None:
        now = self.seconds()
        if now - self.begun < FIRST_SHARE * self.limit:
            return
        left = self.limit - now - self.closing(pace)
        total = min(self.schedule.total, state.step + max(1, int(MARGIN * left / pace)))
        self.schedule.lay_out(total, state.step - 1)  # the schedule hears of this step next
        self.say(f"  max_minutes={self.minutes:g}: about {total:,} steps fit; the schedule is laid out over them")

    def _stop_if_due(self, state: State, pace: float) -> None:
        at_end = state.step >= (self.schedule.laid_out or state.step + 1)
        if at_end or self.seconds() + self.closing(pace) >= self.limit:
            state.cut = True
            state.stop = state.stop or f"max_minutes={self.minutes:g} are over"
