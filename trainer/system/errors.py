"""The errors that end a command. Each has a line that says what is wrong, and may have one that says what to do."""

import signal
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from trainer.system.shown import shortened

MOST = 100  # names in a row: a table may have any number of columns


class TrainerError(Exception):
    """An error that `cli.main` shows as `error: MESSAGE` and an indented HINT instead of a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(TrainerError):
    """The user's input is wrong; nothing was started and nothing was lost."""

    exit_code = 2


class ConfigError(UserError):
    """A key, a value or a combination that cannot work."""


class MissingKeyError(ConfigError):
    """A `key` without a value, which has to be given."""

    def __init__(self, key: str, doc: str) -> None:
        self.key = key
        super().__init__(f"{key}= is missing", f"give {key}=...: {doc}")


class UnknownKeyError(ConfigError):
    """A misspelt key, with which every job of a sweep would fail: `key` in full, beside the keys `siblings`."""

    def __init__(self, key: str, siblings: Iterable[str]) -> None:
        self.key, self.siblings = key, sorted(set(siblings))
        super().__init__(f"{key}: no such key", did_you_mean(key.rpartition(".")[2], self.siblings))


class DataError(UserError):
    """Data that are missing, unreadable or not what the config says."""


class CheckpointError(UserError):
    """A file that is no checkpoint, or is a checkpoint of another model."""


class FormatError(CheckpointError):
    """A checkpoint that a trainer of another version wrote: it is whole, and must not be taken for damaged."""


class DeviceError(UserError):
    """A device or precision that this machine does not have."""


class RunError(UserError):
    """A run directory that is missing or cannot be written."""


class TrainingFailedError(TrainerError):
    """Training itself went wrong: a loss that is not finite, a failed job of a sweep."""


class DivergedError(TrainingFailedError):
    """A loss or a weight that is not finite; `batch` is the number of the step in its epoch."""

    def __init__(self, message: str, hint: str = "", batch: int | None = None, step: int = 0) -> None:
        super().__init__(message, hint)
        self.batch, self.step = batch, step


class LostRankError(TrainingFailedError):
    """Another of the processes that train together has ended, or does not answer: it says itself why, if it can."""

    def __init__(self, sign: str) -> None:
        super().__init__(f"another rank has ended, or does not answer: {sign}")


class UnprovedError(TrainerError):
    """An exported file that does not answer as the trained model does."""


class UnequalError(TrainerError):
    """Two things that should be the same are not: a training that was repeated, say."""


class UnfitError(TrainerError):
    """A training that something is wrong with, as `trainer check` found: its data, its model, this machine."""


class StorageError(TrainerError):
    """A file that cannot be written: a full disk, a directory that went away."""


class InterruptedRunError(TrainerError):
    """A signal asked the run to stop, and it did so with a checkpoint written."""

    def __init__(self, signum: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signum


class TerminatedError(KeyboardInterrupt):
    """SIGTERM or SIGHUP has arrived. It is no `Exception`, because libraries catch those and continue."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by {signal.Signals(signum).name}")
        self.signum = signum


class StoppedError(BaseException):
    """An evaluation, or waiting for a batch, was given up because the training was interrupted.

    It is no `Exception`, because what reads batches catches those.
    """


def interrupted(error: KeyboardInterrupt) -> InterruptedRunError:
    """The error for a signal that ended a command outside of a training."""
    signum = error.signum if isinstance(error, TerminatedError) else int(signal.SIGINT)
    return InterruptedRunError(signum, str(error) or "interrupted")


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something, or the name of its class where none does."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def named(error: BaseException) -> str:
    """An error by its class and the first line of its message: `ValueError: too small`."""
    line = first_line(error)
    return line if line == type(error).__name__ else f"{type(error).__name__}: {line}"


def listed(names: Sequence[str]) -> str:
    """Names or numbers in a row; the first of very many, and the beginning and end of long ones."""
    more = f", and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return ", ".join(shortened(name, 60, "...") for name in names[:MOST]) + more


def did_you_mean(word: str, options: Iterable[str], otherwise: str = "") -> str:
    """ "did you mean 'lenet'?" where something is close to `word`, else what is given, or the list of options."""
    names = sorted(set(options))
    lower = {name.lower(): name for name in reversed(names)} | {name: name for name in names}
    close = get_close_matches(word, names, n=1, cutoff=0.6) or get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{shortened(lower[close[0]], 200, '...')}'?"
    return otherwise or (f"choose from: {listed(names)}" if names else "")
