"""What Slurm has of a user's jobs: asked in one call for all of them, at most so often, whatever their number."""

import subprocess
import time
from collections.abc import Iterator, Sequence

FRESH = 15.0  # seconds for which what squeue said is not asked again
AT_ONCE = 500  # jobs that one call names
PATIENCE = 60.0  # seconds for one call: the controller's own limit is less


class Queue:
    """The jobs that wait or run. A controller that has no time for an answer is asked again later.

    `options` are passed to each command: `--clusters=NAME` for jobs of another cluster.
    """

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = options
        self.names: dict[str, str] = {}  # of the jobs in the queue, by their ids
        self.asked = -float("inf")  # when squeue last answered
        self._tried = -float("inf")

    def look(self, every: float = FRESH) -> bool:
        """Ask squeue, unless it was asked less than so many seconds ago; whether its last call was answered."""
        if time.monotonic() < self._tried + every:
            return self._tried <= self.asked
        self._tried = time.monotonic()
        said = self._said("squeue", "--noheader", "--me", "--format=%i %j")
        if said is None:
            return False
        pairs = (line.partition(" ") for line in said.splitlines())
        self.names = {job: name for job, _, name in pairs if job[:1].isdigit()}
        self.asked = self._tried
        return True

    def has_left(self, job: str, submitted: float) -> bool:
        """Whether a job that was `submitted` then was no longer in the queue when squeue last answered."""
        return self.asked > submitted and job not in self.names

    def states(self, jobs: Sequence[str]) -> dict[str, str]:
        """How jobs ended in Slurm's words, like `OUT_OF_MEMORY`, as far as its accounting knows them."""
        found: dict[str, str] = {}
        for some in _parts(jobs):
            said = self._said("sacct", "--noheader", "--parsable2", "--format=JobID,State", "-j", ",".join(some))
            rows = (line.split("|") for line in (said or "").splitlines())
            found |= {row[0]: row[1] for row in rows if len(row) > 1 and row[0] in some}
        return found

    def cancel(self, jobs: Sequence[str]) -> list[str]:
        """Take jobs out of the queue, and tell those that run to stop; the jobs that could not be told."""
        return [job for some in _parts(jobs) if self._said("scancel", *some) is None for job in some]

    def _said(self, command: str, *words: str) -> str | None:
        """What a command of Slurm's prints; None if the controller does not answer."""
        try:
            asked = subprocess.run(
                [command, *self.options, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return asked.stdout if asked.returncode == 0 else None


def _parts(jobs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (jobs[begin : begin + AT_ONCE] for begin in range(0, len(jobs), AT_ONCE))
