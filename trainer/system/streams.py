"""The standard streams, made so that everything else can rely on them: open, and able to show any text.

A reader that goes away (`| head`) or a full disk (`> FILE`) never ends a command.
"""

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from trainer.system.colours import painted
from trainer.system.shown import LONGEST, printable, shortened


class Audience:
    """A stream that can always be written to; `lost` is the error since which nothing of it is read any more."""

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self._stream, self._name = stream, name
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:  # everything else is the stream's own
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Discard all that follows. A stream with a name says so once, unless its reader has left."""
        with suppress(OSError):  # the stream may be no file
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        if self.lost is None and self._name and not isinstance(error, BrokenPipeError):
            warn(f"cannot write to {self._name}: {error.strerror}")
        self.lost = self.lost or error


@contextmanager
def prepared() -> Iterator[Audience]:
    """Within the block all three streams are open, and the two for output are `Audience`s; gives standard output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next file that is opened gets this number, and a library prints into a checkpoint, say.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, this one
            if getattr(sys, name) is None:
                mode = "w" if number else "r"
                setattr(sys, name, open(number, mode, errors="backslashreplace", closefd=False))  # noqa: SIM115
    before = sys.stdout, sys.stderr
    output, error = Audience(sys.stdout, "standard output"), Audience(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, error)
    try:
        yield output
    finally:
        output.flush()
        error.flush()
        sys.stdout, sys.stderr = before


def show_traceback(error: BaseException) -> None:
    """Print an error with its traceback to standard error; its message may have a stranger's text in it."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        print(printable(line), file=sys.stderr)


def warn(text: str) -> None:
    """Print a warning to standard error."""
    print(painted("warning:", "error", sys.stderr), shortened(text, LONGEST, "..."), file=sys.stderr)


def note(*lines: str) -> None:
    """Print lines to standard error that are neither what was asked for nor a warning."""
    for line in lines:
        print(f"note: {shortened(line, LONGEST, '...')}", file=sys.stderr)
