"""metrics.jsonl: one JSON object per evaluated stretch of training."""

import json
import math
import os
from pathlib import Path

from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.run.directory import finite
from trainer.system.atomic import storing

_encoded = json.JSONEncoder(allow_nan=False).encode  # made once, for tiny epochs


class MetricsLog(Hook):
    """Appends rows to the file at `path`, and keeps all of its rows for the curves.

    Raises (as every method does):
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storing(path):
            self._file = path.open("a", encoding="utf-8", buffering=1 << 16)
            self.rows = _whole_rows(path)

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self.rows.append(row)
        try:
            line = _encoded(row)
        except ValueError:  # JSON has no numbers that are not finite
            line = json.dumps(finite(row))
        with storing(self.path):
            self._file.write(line + "\n")
            if row.get("seconds", 1.0) > 0.1:  # rows of tiny epochs wait in the buffer
                self._file.flush()

    def flush(self) -> tuple[str, int]:
        """Bring every row to the disk; return the name of the file and its length in bytes."""
        with storing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            return self.path.name, os.fstat(self._file.fileno()).st_size

    def on_end(self, state: State) -> None:
        self.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        with storing(self.path):
            self._file.close()


def _whole_rows(path: Path) -> list[Row]:
    """The rows in the file; an unfinished row at its end, which a power failure may leave, is cut off."""
    rows: list[Row] = []
    length = 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            rows.append(json.loads(line, object_hook=_floats))
        except ValueError:
            break
        length += len(line)
    os.truncate(path, length)
    return rows


def _floats(row: dict[str, float | None]) -> Row:
    return {name: math.nan if value is None else value for name, value in row.items()}
