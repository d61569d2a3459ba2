"""metrics.jsonl: one JSON object per evaluated stretch of training."""

import json
from pathlib import Path

from trainer.loop import Hook, Row, State
from trainer.runs import finite


class MetricsLog(Hook):
    """Appends each row, and keeps them for the curves."""

    def __init__(self, path: Path) -> None:
        self.rows: list[Row] = []
        self._file = path.open("a", encoding="utf-8", buffering=1 << 16)

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self.rows.append(row)
        try:
            line = json.dumps(row, allow_nan=False)
        except ValueError:  # JSON has no word for what is not finite
            line = json.dumps(finite(row))
        self._file.write(line + "\n")
        if row.get("seconds", 1.0) > 0.1:  # tiny epochs fill the buffer instead
            self._file.flush()

    def on_end(self, state: State) -> None:
        self.close()

    def close(self) -> None:
        """Write what is buffered; the log takes no more rows."""
        self._file.close()
