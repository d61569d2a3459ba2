"""What a person sees of a command: it is run in a terminal of some size, or in a pipe.

    python -m tests.screens --columns 60,80,120 -- trainer train epochs=2

prints the screen of each width, as it is when the command has ended, and after `--at SECONDS` as it was then.
"""

import argparse
import codecs
import fcntl
import os
import pty
import re
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

_TOKEN = re.compile(
    r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b.|([\r\n\b\x07])|([^\x1b\r\n\b\x07]+)", re.DOTALL
)
_BEGUN = re.compile(r"\x1b(\[[0-9;?]*)?$")
_OURS = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "PYTHONPATH")


class Terminal:
    """A terminal that remembers what has scrolled away; it knows the codes that rich sends, and no others."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self.columns, self.lines = columns, lines
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self.colours = 0  # how many codes have set one
        self._rest = ""  # the beginning of a code, whose end is still to come

    def feed(self, text: str) -> None:
        """Show what a program has written."""
        text = self._rest + text
        cut = _BEGUN.search(text)
        text, self._rest = (text[: cut.start()], text[cut.start() :]) if cut is not None else (text, "")
        for match in _TOKEN.finditer(text):
            parameters, code, control, letters = match.groups()
            if letters is not None:
                for letter in letters:
                    self._put(letter)
            elif control == "\n":
                self._down()
            elif control == "\r":
                self.column = 0
            elif control == "\b":
                self.column = max(0, self.column - 1)
            elif code is not None:
                self._steer(parameters, code)

    def text(self) -> str:
        """All that has been shown, one line for each row of the terminal."""
        return "\n".join("".join(row).rstrip() for row in self.rows).rstrip()

    def _put(self, letter: str) -> None:
        width = 0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if self.column + width > self.columns:
            self._down()
            self.column = 0
        row = self.rows[self.row]
        row += [" "] * (self.column + width - len(row))
        if width == 0:
            row[self.column - 1] += letter
            return
        row[self.column : self.column + width] = [letter] + [""] * (width - 1)
        self.column += width

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def _steer(self, parameters: str, code: str) -> None:
        numbers = [int(number) for number in parameters.lstrip("?").split(";") if number]
        first = numbers[0] if numbers else 0
        if code == "A":
            self.row = max(0, len(self.rows) - self.lines, self.row - max(1, first))
        elif code == "B":
            self.row = min(len(self.rows) - 1, self.row + max(1, first))
        elif code == "G":
            self.column = max(0, first - 1)
        elif code == "K":
            row = self.rows[self.row]
            self.rows[self.row] = {0: row[: self.column], 1: [" "] * self.column + row[self.column :], 2: []}[first]
        elif code == "m":
            self.colours += any(30 <= number <= 38 or 90 <= number <= 97 for number in numbers)
        elif code not in "hl":
            raise ValueError(f"a terminal of the tests does not know ESC [ {parameters} {code}")


@dataclass
class Seen:
    """What a command has shown, and how long and how much CPU it took until the first byte and in all."""

    terminal: Terminal
    raw: str = ""
    code: int = 0
    first: tuple[float, float] | None = None  # seconds and CPU seconds until the first byte
    whole: tuple[float, float] = (0.0, 0.0)
    moments: list[tuple[float, str]] = field(default_factory=list)  # the screen at the times that were asked for
    gap: float = 0.0  # the longest time without a byte

    @property
    def text(self) -> str:
        """The screen when the command had ended."""
        return self.terminal.text()


def shown(
    command: Sequence[str],
    columns: int = 80,
    lines: int = 24,
    environment: Mapping[str, str] | None = None,
    at: Sequence[float] = (),
    directory: Path | None = None,
    timeout: float = 120,
) -> Seen:
    """Run a command in a terminal, and return what it shows.

    Raises:
        TimeoutError: It takes longer than the `timeout`, and has been killed.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    begun = time.monotonic()
    child = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=directory,
        env=inherited | {"TERM": "xterm-256color"} | dict(environment or {}),
        start_new_session=True,
    )
    os.close(slave)
    decoded = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    seen, written = Seen(Terminal(columns, lines)), [begun]
    left = sorted(at)
    try:
        while True:
            now = time.monotonic() - begun
            if now > timeout:
                raise TimeoutError(f"{' '.join(command)}: longer than {timeout} s")
            while left and now >= left[0]:
                seen.moments.append((left.pop(0), seen.text))
            if not select.select([master], [], [], 0.02)[0]:
                continue
            try:
                found = os.read(master, 65536)
            except OSError:  # as a terminal of Linux says that nobody writes any more
                found = b""
            if not found:
                break
            written.append(time.monotonic())
            if seen.first is None:
                seen.first = written[-1] - begun, _cpu(child.pid)
            text = decoded(found)
            seen.raw += text
            seen.terminal.feed(text)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seen.code = child.wait(timeout=10)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seen.whole = time.monotonic() - begun, cpu
        seen.gap = max(b - a for a, b in pairwise([*written, time.monotonic()]))
    finally:
        os.close(master)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return seen


def _cpu(process: int) -> float:
    """CPU seconds that a process has used so far, by nanoseconds of its threads; by ticks where the system has none."""
    try:
        threads = [*Path(f"/proc/{process}/task").iterdir()]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the screens of a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", default="80")
    parser.add_argument("--lines", type=int, default=24)
    parser.add_argument("--at", default="")
    parser.add_argument("--raw", action="store_true", help="print the codes, too")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    at = [float(seconds) for seconds in given.at.split(",") if seconds]
    for columns in map(int, given.columns.split(",")):
        seen = shown(given.command, columns, given.lines, at=at)
        for seconds, text in seen.moments:
            print(f"--- {columns} columns, after {seconds:g} s\n{text}")
        (first, its), (whole, cpu) = seen.first or (0, 0), seen.whole
        print(f"--- {columns} columns, exit code {seen.code}: first byte after {first:.2f} s (CPU {its:.2f} s),")
        print(f"    all after {whole:.2f} s (CPU {cpu:.2f} s), longest silence {seen.gap:.2f} s")
        print(repr(seen.raw) if given.raw else seen.text)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
