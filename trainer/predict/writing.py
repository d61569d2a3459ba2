"""The file of predictions: written block by block, and whole or not at all."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import polars as pl

from trainer.predict.columns import are_of_predictions
from trainer.system.atomic import replacing
from trainer.system.cells import inert
from trainer.system.errors import ConfigError
from trainer.system.paths import expanded, regular

KINDS = (".csv", ".parquet", ".jsonl")
_BEGINNING = 2**20  # bytes of a file in which its first line must end
Write = Callable[[pl.DataFrame], None]


def place(out: str, inputs: Sequence[str]) -> Path:
    """Where predictions are to be written; what is there may only be predictions.

    Raises:
        ConfigError: The name says no known kind of file, there is no such folder, or something else is there.
    """
    path = expanded(out)
    if path.suffix.lower() not in KINDS:
        raise ConfigError(f"out={out}: a table of predictions is .csv, .parquet or .jsonl", "out=predictions.csv")
    if path.is_dir():
        raise ConfigError(f"out={out} is a folder", f"give a file in it: out={path / 'predictions.csv'}")
    if not path.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {path.parent}", "make it first")
    if path.exists() and any(os.path.exists(name) and os.path.samefile(path, name) for name in inputs):
        raise ConfigError(f"out={out} is an input, too", "give another file")
    path = path.parent.resolve() / path.name
    if os.path.lexists(path) and not _is_of_predictions(path):
        raise ConfigError(
            f"{path.name} is there, and is no table of predictions, so it is not replaced", "give another: out=FILE.csv"
        )
    return path


def _is_of_predictions(path: Path) -> bool:
    """Whether a file, by its beginning, is a table of predictions."""
    try:
        with open(path, "rb", opener=regular) as file:
            if path.suffix.lower() == ".parquet":
                return are_of_predictions([*pl.read_parquet_schema(file)])
            line = file.readline(_BEGINNING)
        if path.suffix.lower() == ".jsonl":
            found = json.loads(line)
            return isinstance(found, dict) and are_of_predictions(list(found))
        return are_of_predictions(pl.read_csv(line, n_rows=0, infer_schema=False).columns)
    except (OSError, ValueError, RecursionError, pl.exceptions.PolarsError):
        return False


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Gives what writes blocks of rows, all of the same columns; the file is there when the block has ended.

    Raises:
        StorageError: It cannot be written.
    """
    kind = path.suffix.lower()
    with replacing(path) as file:
        if kind == ".jsonl":
            yield lambda block: block.write_ndjson(file)
        elif kind == ".csv":
            yield _Csv(file, _inert)
        else:
            yield from _parquet(path, file)


class _Csv:
    """Writes blocks below one header."""

    def __init__(self, file: IO[bytes], as_text: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self.file, self.as_text = file, as_text
        self.first: pl.DataFrame | None = None

    def __call__(self, block: pl.DataFrame) -> None:
        self.as_text(block).write_csv(self.file, include_header=self.first is None)
        if self.first is None:
            self.first = block.clear()


def _parquet(path: Path, file: IO[bytes]) -> Iterator[Write]:
    """polars writes a Parquet file at once: the rows are kept on the disk until then, and flow through memory."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part") as kept:
        rows = _Csv(kept, lambda block: block)
        yield rows
        kept.flush()
        assert rows.first is not None, "there is no table without rows"
        pl.scan_csv(kept.name, schema=rows.first.schema, glob=False).sink_parquet(file)


def _inert(block: pl.DataFrame) -> pl.DataFrame:
    """The rows with texts, and names of columns, that no spreadsheet or terminal obeys: files are a stranger's."""
    columns = []
    for series in block.get_columns():
        if series.dtype == pl.String:
            other = {text: safe for text in series.unique() if (safe := inert(text)) != text}
            series = series.replace(other) if other else series
        columns.append(series.alias(str(inert(series.name))))
    return pl.DataFrame(columns)
