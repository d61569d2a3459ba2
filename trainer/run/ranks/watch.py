"""Which rank is to blame for the end of all, and what has to be done until the last one is gone. It starts nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.run.ranks.ended import Ended, by_death

GRACE = 20.0  # seconds that rank 0 has for its end, once another has failed
OTHERS = 2.0  # seconds in which all that have lost the same rank say so


class Watch:
    """What is known of `size` ranks, which wait for one another for `timeout` seconds."""

    def __init__(self, size: int, timeout: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.size, self.timeout, self.clock = size, timeout, clock
        self.ended: dict[int, Ended] = {}  # how each has ended
        self.spoke: set[int] = set()  # those that have said so themselves
        self._waits: set[int] = set()  # those that have said that they wait for another
        self.gone: set[int] = set()  # those whose processes are over
        self.killed: set[int] = set()  # those that were ended for the sake of others
        self.met = False  # whether rank 0 has met the others
        self.directory: Path | None = None  # of the run
        self._asked = False  # whether rank 0 waits to hear why it has lost another
        self._lost_since: float | None = None
        self._deadline: float | None = None

    def hears(self, rank: int, word: Any) -> None:
        """A rank says how it has ended, where the run lies, or that it has met or lost the others."""
        if isinstance(word, Ended):
            self.ended[rank] = word
            self.spoke.add(rank)
        elif rank == 0 and isinstance(word, Path):
            self.directory = word
        elif rank == 0 and word == "met":
            self.met = True
        elif rank == 0 and word == "lost":
            self._asked = True
            self._waits.add(rank)
        if self._lost_since is None and (self._asked or any(ended.lost for ended in self.ended.values())):
            self._lost_since = self.clock()

    def is_gone(self, rank: int, code: int) -> None:
        """The process of a rank is over."""
        self.gone.add(rank)
        self.ended.setdefault(rank, by_death(rank, code))

    @property
    def over(self) -> bool:
        """Whether all are."""
        return len(self.gone) == self.size

    def blamed(self) -> int | None:
        """The rank that has failed by itself, the first of several; None: none has."""
        failed = [rank for rank, ended in self.ended.items() if ended.code and not ended.lost]
        return min((rank for rank in failed if rank not in self.killed), default=None)

    @property
    def failed(self) -> bool:
        """Whether all have to end: one has failed, or was lost and will not say why."""
        waited = self._lost_since is not None and self.clock() >= self._lost_since + OTHERS
        return self.blamed() is not None or waited

    def due(self) -> list[int]:
        """The ranks to be killed now: once all have to end, those that have no files are not waited for.

        Rank 0 is, for `GRACE` seconds, unless it still waits for the others to come.
        """
        if not self.failed and 0 not in self.ended:
            return []
        if self._deadline is None:
            self._deadline = self.clock() + GRACE
        late = self.clock() >= self._deadline or (self.failed and not self.met)
        found = [rank for rank in range(self.size) if rank not in self.gone and (rank or late)]
        self.killed.update(rank for rank in found if rank not in self.ended)
        return found

    def answer(self) -> str | None:
        """What rank 0 is to be told now, where it has asked why it has lost another; None: nothing yet."""
        if not self._asked or not self.failed:
            return None
        self._asked = False
        return self.why()

    def why(self) -> str:
        """Why all have to end, in one line; "" where nobody knows."""
        blamed = self.blamed()
        if blamed is not None:
            return self.ended[blamed].by(blamed)
        silent = [rank for rank in range(self.size) if rank not in self.spoke | self._waits]
        if not silent or self.timeout is None:
            return ""
        who = f"rank {silent[0]}" if len(silent) == 1 else f"ranks {', '.join(map(str, silent))}"
        return f"{who} did not answer for {self.timeout:g} s (rank_timeout)"
