"""What a command writes to a terminal, and when: its lines, as they change."""

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import termios
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

TICK = 0.1  # seconds: what changes within one is one change
PAUSE = 0.6  # a longer silence is shown as so long
LONGEST = 9.0  # seconds that a command takes in the picture, however busy the machine is
TYPED = 0.04  # seconds per letter of a command
ROWS = 200  # so high that nothing scrolls

Style = tuple[str, bool, bool]  # colour by name or "#rrggbb", bold, dim
PLAIN: Style = ("", False, False)
Cell = tuple[str, Style]


@dataclass
class Change:
    """A line has become `cells` at this time, in seconds since the beginning."""

    when: float
    row: int
    cells: tuple[Cell, ...]


@dataclass
class Screen:
    """A terminal without end: as much of one as rich's progress bars and tables ask for."""

    columns: int
    changes: list[Change] = field(default_factory=list)
    rows: dict[int, list[Cell]] = field(default_factory=dict)
    row: int = 0
    column: int = 0
    style: Style = PLAIN
    rest: str = ""

    def write(self, text: str) -> None:
        """Take what was written, sequences of control characters among it."""
        text = self.rest + text
        self.rest = ""
        place = 0
        for found in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\].*?(?:\x1b\\|\x07)|[^\x1b]", text, re.DOTALL):
            if found.start() > place:
                break
            place = found.end()
            if found[2] is not None:
                self._control(found[1], found[2])
            elif len(found[0]) == 1:
                self._put(found[0])
        self.rest = text[place:]

    def note(self, when: float) -> None:
        """Keep what has changed since the last time."""
        last = {change.row: change.cells for change in self.changes}
        for row, cells in sorted(self.rows.items()):
            now = tuple(cells)
            while now and not now[-1][0].strip():
                now = now[:-1]
            if now != last.get(row, ()):
                self.changes.append(Change(when, row, now))

    def _put(self, letter: str) -> None:
        if letter == "\n":
            self.row += 1
        elif letter == "\r":
            self.column = 0
        elif letter >= " ":
            if self.column >= self.columns:
                self.row, self.column = self.row + 1, 0
            line = self.rows.setdefault(self.row, [])
            line.extend([(" ", PLAIN)] * (self.column + 1 - len(line)))
            line[self.column] = (letter, self.style)
            self.column += 1

    def _control(self, numbers: str, kind: str) -> None:
        given = [int(number) for number in re.findall(r"\d+", numbers)]
        first = given[0] if given else 0
        if kind == "m":
            self.style = styled(self.style, given or [0])
        elif kind == "A":
            self.row = max(self.row - max(first, 1), 0)
        elif kind == "B":
            self.row += max(first, 1)
        elif kind == "K":
            line = self.rows.get(self.row, [])
            self.rows[self.row] = [] if first == 2 else line[: self.column]


def styled(style: Style, numbers: list[int]) -> Style:
    """The style after a sequence of SGR numbers (ECMA-48)."""
    colour, bold, dim = style
    numbers = list(numbers)
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            colour, bold, dim = PLAIN
        elif number in (1, 2, 22):
            bold, dim = (number == 1, dim) if number != 2 else (bold, True)
            dim = dim and number != 22
        elif number == 39:
            colour = ""
        elif number == 38 and numbers[:1] == [5]:
            colour, numbers = cube(numbers[1]), numbers[2:]
        elif number == 38 and numbers[:1] == [2]:
            red, green, blue, *numbers = numbers[1:]
            colour = f"#{red:02x}{green:02x}{blue:02x}"
        elif 30 <= number <= 37 or 90 <= number <= 97:
            colour = str(number % 10)
    return colour, bold, dim


def cube(number: int) -> str:
    """A colour of the 256: the eight by their number, others of the cube and the greys as `#rrggbb`."""
    if number < 16:
        return str(number % 8)
    if number >= 232:
        return "#" + 3 * f"{8 + 10 * (number - 232):02x}"
    levels = (0, 95, 135, 175, 215, 255)
    return "#" + "".join(f"{levels[(number - 16) // place % 6]:02x}" for place in (36, 6, 1))


def recorded(commands: list[str], folder: Path, environment: dict[str, str], columns: int) -> Screen:
    """Type the commands one after the other in `folder`, whose name is shown as `~`."""
    screen, now = Screen(columns), 0.5
    for command in commands:
        screen.write("\x1b[1;32m$\x1b[0m ")
        for letter in command:
            screen.write(letter)
            screen.note(now)
            now += TYPED
        screen.write("\r\n")
        typed = len(screen.changes)
        ended = _run(command, screen, now + 0.3, folder, environment, columns)
        screen.changes[typed:] = _quickened(screen.changes[typed:], now, min(1.0, LONGEST / (ended - now)))
        now += min(LONGEST, ended - now) + 1.0
    return screen


def _quickened(changes: list[Change], start: float, factor: float) -> list[Change]:
    """The same in less time; of what would be on a line for less than a tick only the last stays."""
    quick = [replace(change, when=start + factor * (change.when - start)) for change in changes]
    later = {row: [c.when for c in quick if c.row == row] for row in {change.row for change in quick}}
    return [c for c in quick if not any(c.when < when < c.when + TICK for when in later[c.row])]


def _run(command: str, screen: Screen, now: float, folder: Path, environment: dict[str, str], columns: int) -> float:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("bash", ["bash", "-c", f"exec {shlex.join(shlex.split(command))}"], _terminal(environment))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    before = time.perf_counter()
    ended = False
    while True:
        if not select.select([terminal], [], [], 0 if ended else TICK)[0]:
            if ended:
                break
            ended = os.waitpid(pid, os.WNOHANG)[0] != 0  # what it has started may keep the terminal open
            continue
        time.sleep(TICK / 2)  # whatever belongs to it
        try:
            said = os.read(terminal, 65536)
        except OSError:  # nobody has it open any more
            os.waitpid(pid, 0)
            break
        after = time.perf_counter()
        now += min(after - before, PAUSE)
        before = after
        screen.write(said.decode("utf-8", "ignore").replace(str(folder), "~"))
        screen.note(now)
    os.close(terminal)
    return now


def _terminal(environment: dict[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment.items()
        if name not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")
    }
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
