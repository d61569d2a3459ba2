"""How a rank has ended, in words that go from one process to another."""

import signal
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from trainer.system import circumstances, signals
from trainer.system.errors import (
    InterruptedRunError,
    LostRankError,
    TrainerError,
    TrainingFailedError,
    UserError,
    interrupted,
    named,
)
from trainer.system.shown import printable

MEMORY = "perhaps for want of memory: try a smaller data.batch_size, or fewer devices"


@dataclass
class Ended:
    """The exit code of a rank, and what it says; `result` is what rank 0 has come to."""

    code: int
    message: str = ""
    hint: str = ""
    lost: bool = False  # whether it ended because another rank was lost
    trace: str = ""  # of an error that is no mistake of the user's
    result: Any = None

    def by(self, rank: int) -> str:
        """What it says; of another rank than 0 with its number."""
        return f"rank {rank}: {self.message}" if rank and not self.message.startswith("rank ") else self.message

    def raised(self, rank: int) -> TrainerError:
        """The error to be shown, once."""
        if self.trace:
            for line in self.trace.splitlines():
                print(printable(line), file=sys.stderr)
        message = self.by(rank)
        if self.code > 128:
            return InterruptedRunError(self.code - 128, message, self.hint)
        return (UserError if self.code == UserError.exit_code else TrainingFailedError)(message, self.hint)


def by_error(error: BaseException) -> Ended:
    """How a rank ends that `error` has reached the top of."""
    if isinstance(error, KeyboardInterrupt):
        error = interrupted(error)
    elif isinstance(error, Exception) and not isinstance(error, TrainerError):
        behind = signals.interruption(error)
        error = interrupted(behind) if behind is not None else circumstances.explained(error) or error
    if isinstance(error, TrainerError):
        return Ended(error.exit_code, error.message, error.hint, isinstance(error, LostRankError))
    return Ended(1, named(error), trace="".join(traceback.format_exception(error)))


def by_death(rank: int, code: int) -> Ended:
    """How a rank has ended that has said nothing, by the exit code of its process."""
    if code < 0:
        hint = MEMORY if -code == signal.SIGKILL else ""
        return Ended(1, f"rank {rank} was killed by {signal.Signals(-code).name}", hint)
    return Ended(1, f"rank {rank} ended with exit code {code}")
