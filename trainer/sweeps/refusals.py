"""A cluster that does not take the next job now: when to ask it again, and when to give up."""

import time

from trainer.show.report import Report
from trainer.system.errors import ConfigError

PATIENCE = 900.0  # seconds for which a cluster that takes no job, and has none, is asked again
SOONEST, LATEST = 2.0, 60.0  # seconds until a busy one is asked again, twice as many each time
PROBING = 60.0  # seconds after which one with a limit is asked whether it takes one more than that


class RefusedError(ConfigError):
    """The cluster does not take a job: it is `busy`, or has a limit, or something is wrong with the job."""

    def __init__(self, message: str, hint: str = "", busy: bool = False) -> None:
        super().__init__(message, hint)
        self.busy = busy


class Refusals:
    """Decides whether the next job may be handed over.

    A busy cluster has a while to recover. One with a limit is offered a job when another has ended, and now and then
    one more than that, since limits are often shared with others. Before it has taken any job, a refusal that does
    not come from being busy is a mistake of the settings.
    """

    def __init__(self, screen: Report) -> None:
        self.screen = screen
        self.taken = False  # whether the cluster has ever taken a job
        self.limit: int | None = None
        self.since: float | None = None  # when it began to refuse jobs while it had none
        self.next_try = 0.0
        self._pause = SOONEST
        self._said: set[str] = set()

    def allow(self, under_way: int, places: int) -> bool:
        """Whether to hand over one more job beside those `under_way`."""
        now = time.monotonic()
        if under_way >= places or (self.limit is None and now < self.next_try):
            return False
        return self.limit is None or under_way < self.limit or now >= self.next_try

    def note(self, error: RefusedError, under_way: int) -> None:
        """Take note that a job was refused beside so many.

        Raises:
            RefusedError: It is not worth trying again.
        """
        now = time.monotonic()
        self.since = None if under_way else self.since or now
        if not under_way and (not (error.busy or self.taken) or now > (self.since or now) + PATIENCE):
            raise error
        if error.busy or not under_way:
            self.next_try, self._pause = now + self._pause, min(LATEST, 2 * self._pause)
            then = "trying again"
        else:
            self.limit, self.next_try = under_way, now + PROBING
            then = "trying again when another job has ended"
        if error.message not in self._said:
            self._said.add(error.message)
            self.screen.warn(f"{error.message}; {then}")

    def over(self) -> None:
        """Take note that a job was taken."""
        self.taken, self.since, self._pause = True, None, SOONEST
        now = time.monotonic()
        if self.limit is not None and now >= self.next_try:
            self.limit, self.next_try = self.limit + 1, now + PROBING
