"""What is cleaned up in a table, said in a line each, or refused where the user is strict."""

from pathlib import Path

from trainer.system.errors import DataError
from trainer.system.shown import shortened

NAMED = 8  # columns that a line names; of more it gives the number


class Notes:
    """The lines about the table at `path`. With `strict`, what would be cleaned is refused."""

    def __init__(self, path: Path, strict: bool) -> None:
        self.path, self.strict = path, strict
        self.lines: list[str] = []
        self.unfit: dict[int, str] = {}  # the rows that were left out for their number of cells, and why

    def of(self, path: Path) -> "Notes":
        """Notes about another file of the same data, which go into the same lines."""
        other = Notes(path, self.strict)
        other.lines = self.lines
        return other

    def say(self, line: str) -> None:
        """Note what is worth knowing."""
        line = f"{shortened(self.path.name, 40)}: {line}"
        if line not in self.lines:
            self.lines.append(line)

    def clean(self, line: str, hint: str = "correct the file") -> None:
        """Note what was cleaned up.

        Raises:
            DataError: Nothing may be.
        """
        if self.strict:
            raise DataError(f"{self.path}: {line}", f"{hint}; or leave data.strict=true out, and it is cleaned up")
        self.say(line)


def named(names: list[str]) -> str:
    """Columns or words in a row: the first of them, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(quoted(name) for name in names[:NAMED]) + more


def quoted(name: str) -> str:
    """The name of a column, or a cell, as a message has it."""
    return f"'{shortened(name, 40)}'"
