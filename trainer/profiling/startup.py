"""How long a training takes to begin: Python, imports, reading the data, building the model."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trainer.show.report import Report
from trainer.system.workers import born


class Listening(Report):
    """A screen that shows nothing but what is said in a line of its own, and that by `say`, if it is given.

    It keeps what is said to be done within it, with the seconds that it took.
    """

    def __init__(self, say: Callable[[str, str], None] | None = None) -> None:
        super().__init__(quiet=True)
        self._say = say
        self.done: list[tuple[str, float]] = []

    @property
    def seconds(self) -> float:
        """Of all that was done."""
        return sum(seconds for _, seconds in self.done)

    def say(self, text: str = "", style: str = "") -> None:
        if self._say is not None and text:
            self._say(text, style)

    @contextmanager
    def doing(self, text: str, long: bool = False) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.done.append((text, time.perf_counter() - begun))


def age() -> float | None:
    """Seconds since this process was started; None where the system does not say."""
    started = born(os.getpid())
    if started is None:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
