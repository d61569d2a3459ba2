"""What is said of a folder as it lies: a line for each thing that was cleaned up, or is worth knowing."""

import os
from pathlib import Path

from trainer.system.errors import DataError


class Notes:
    """The lines so far. With `strict` nothing is cleaned up: the first thing that would be is refused.

    They name files and folders as they are seen from `top`.
    """

    def __init__(self, top: Path, strict: bool) -> None:
        self.top, self.strict = top, strict
        self.lines: list[str] = []

    def name(self, path: str | Path) -> str:
        """A file or folder in a line."""
        return os.path.relpath(path, self.top) if Path(path) != self.top else f"{self.top.name or path}"

    def clean(self, line: str, hint: str) -> None:
        """Something was read otherwise than it lies there; `hint` is what to do to the files where that may not be.

        Raises:
            DataError: It may not be.
        """
        if self.strict:
            raise DataError(f"{line} (data.strict=true)", hint)
        self.lines.append(line)

    def say(self, line: str) -> None:
        """Something is worth knowing."""
        self.lines.append(line)


def few(names: list[str], most: int = 3) -> str:
    """The first few of many names, and how many there are."""
    return ", ".join(names[:most]) + (f", ... ({len(names):,})" if len(names) > most else "")
