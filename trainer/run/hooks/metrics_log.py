"""metrics.jsonl: one JSON object per evaluated stretch of training."""

import json
import os
from pathlib import Path

from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.run.records import finite
from trainer.run.rows import whole_rows
from trainer.system.atomic import storing
from trainer.system.inside import unlinked

_encoded = json.JSONEncoder(allow_nan=False).encode  # made once, for tiny epochs


class MetricsLog(Hook):
    """Appends rows to the file at `path`, and keeps all of its rows for the curves.

    Raises (as every method does):
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storing(path):
            self._file = open(path, "a", encoding="utf-8", buffering=1 << 16, opener=unlinked)  # noqa: SIM115
            self.rows, length = whole_rows(path)
            self._file.truncate(length)

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
