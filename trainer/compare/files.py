"""A listing as a file: .csv, .jsonl or .parquet, by its name."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainer.run.records import finite
from trainer.system.atomic import replacing
from trainer.system.cells import inert
from trainer.system.errors import ConfigError

Rows = Sequence[dict[str, Any]]


def write(path: Path, rows: Rows) -> None:
    """Write rows that have the same columns.

    Raises:
        ConfigError: The name has none of the endings.
        StorageError: The file cannot be written.
    """
    written = _WRITERS[ending(path)](rows)
    with replacing(path) as file:
        file.write(written)


def ending(path: Path) -> str:
    """The ending of a file's name that says how it is written.

    Raises:
        ConfigError: It is not one of them.
    """
    found = path.suffix.lower()
    if found not in _WRITERS:
        raise ConfigError(f"runs.out={path}: a listing is written to .csv, .jsonl or .parquet", "runs.out=runs.csv")
    return found


def _csv(rows: Rows) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    if rows:
        writer.writerow([inert(column) for column in rows[0]])
    for row in rows:
        writer.writerow([inert(_cell(value)) for value in row.values()])  # None becomes an empty cell
    return file.getvalue().encode()


def _jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(finite(row)) + "\n" for row in rows).encode()


def _parquet(rows: Rows) -> bytes:
    import polars  # late: the import takes a while

    columns = list(rows[0]) if rows else []
    values = {column: [row[column] for row in rows] for column in columns}
    file = io.BytesIO()
    polars.DataFrame({column: _of_one_kind(cells) for column, cells in values.items()}).write_parquet(file)
    return file.getvalue()


def _of_one_kind(cells: list[Any]) -> list[Any]:
    """Cells as a column has them: numbers, truth values, or texts if there is anything else."""
    there = [cell for cell in cells if cell is not None]
    if all(isinstance(cell, bool) for cell in there):
        return cells
    if all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in there):
        whole = all(isinstance(cell, int) for cell in there)
        return cells if whole else [None if cell is None else float(cell) for cell in cells]
    return [None if cell is None else str(_cell(cell)) for cell in cells]


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


_WRITERS: dict[str, Callable[[Rows], bytes]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
