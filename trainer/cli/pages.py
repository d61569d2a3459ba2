"""A page of help, as wide as the terminal: headings, paragraphs, and rows of a name and what it means."""

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence

from trainer.system.colours import painted
from trainer.system.shown import printable

WIDEST = 120  # columns: longer lines are hard to read
NARROWEST = 40
_PIPE = 80  # columns where there is no terminal
_WORD = re.compile(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+")  # of a command


def width() -> int:
    """The columns of the terminal ($COLUMNS goes first), within what can be read; 80 in a pipe."""
    return min(max(shutil.get_terminal_size((_PIPE, 24)).columns, NARROWEST), WIDEST)


class Page:
    """A page that is made from its top to its end."""

    def __init__(self) -> None:
        self._width = width()
        self._lines: list[str] = []

    def __str__(self) -> str:
        return "\n".join(self._lines).strip("\n")

    def heading(self, text: str) -> None:
        """A heading, after an empty line."""
        self._lines += ["", *(painted(line, "heading") for line in self._wrapped(text, "", ""))]

    def space(self) -> None:
        """An empty line."""
        self._lines.append("")

    def text(self, text: str, indent: str = "  ") -> None:
        """A paragraph."""
        self._lines += self._wrapped(text, indent, indent)

    def code(self, lines: Sequence[str]) -> None:
        """Commands; what stands after one by three spaces and more is a remark on it, below it where it is narrow.

        A command that is too long is broken as a shell takes it.
        """
        fits = all(len(line) + 2 <= self._width for line in lines)
        for line in lines:
            command, _, remark = line.partition("   ")
            self._lines += [f"  {printable(line)}"] if fits else self._broken(printable(command))
            if remark and not fits:
                self.text(remark.strip(), "      ")

    def _broken(self, command: str) -> list[str]:
        lines = [" "]
        for word in _WORD.findall(command):
            if len(lines[-1]) + len(word) + 3 > self._width and lines[-1].strip():
                lines[-1] += " \\"
                lines.append("   ")
            lines[-1] += f" {word}"
        return lines

    def rows(self, rows: Iterable[tuple[str, str]], most: int | None = None, column: int = 0) -> None:
        """Names, and beside each, at a `column` at the least, what it means, in at most so many lines.

        The meaning stands below a name that is too long; without a name it goes on with what stands above.
        """
        rows = [(printable(name), meaning) for name, meaning in rows]
        widest = max((len(name) + 4 for name, _ in rows), default=0)
        column = min(max(widest, column), self._width * 2 // 5 if column else self._width // 2)
        for name, meaning in rows:
            indent = " " * column
            beside = self._wrapped(meaning, indent, indent, most if name else None) if meaning else []
            if name and beside and len(name) + 4 <= column:
                beside[0] = f"  {painted(name, 'name')}{indent[2 + len(name) :]}{beside[0].lstrip()}"
            else:
                self._lines += [f"  {painted(line, 'name')}" for line in textwrap.wrap(name, self._width - 2)]
            self._lines += beside

    def listed(self, label: str, names: Iterable[str]) -> None:
        """A label and many names after it."""
        self._lines += self._wrapped(f"{label} {', '.join(names)}".strip(), "  ", "      ")

    def _wrapped(self, text: str, first: str, then: str, most: int | None = None) -> list[str]:
        return textwrap.wrap(
            printable(text),
            self._width,
            initial_indent=first,
            subsequent_indent=then,
            break_on_hyphens=False,
            max_lines=most,
            placeholder=" ...",
        )
