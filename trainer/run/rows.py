"""The rows of a metrics.jsonl, which may be a stranger's."""

import math
from pathlib import Path
from typing import Any

from trainer.system.errors import RunError
from trainer.system.inside import content, parsed
from trainer.system.shapes import is_number, optional, table

NAME = "metrics.jsonl"
LONGEST = 2**27  # bytes of a file that is read: about eight hundred thousand rows
_is_row = table(optional(is_number))


def whole_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows in the file, and the bytes that they take: what follows, as a power failure may leave it, is no row.

    Raises:
        OSError: the file is not there, or is none.
        RunError: the file is longer than any that trainer writes.
    """
    rows: list[dict[str, Any]] = []
    length = 0
    try:
        lines = content(path, LONGEST).splitlines(keepends=True)
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}", "move it away to begin another") from error
    for line in lines:
        try:
            rows.append(_row(parsed(line)))
        except ValueError:
            break
        length += len(line)
    return rows, length


def _row(found: Any) -> dict[str, Any]:
    """A row of the file, whose entries are numbers; null stands for one that is not finite."""
    if not _is_row(found) or not all(is_number(found.get(name)) for name in ("epoch", "step", "lr")):
        raise ValueError("no row")
    return {name: math.nan if value is None else value for name, value in found.items()}
