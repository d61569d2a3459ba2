"""A table: numbers and words in columns, one of them the target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.config.data import Cached, Rows
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Table(Rows, Cached):
    """A table with a target column, read as people have it: numbers are standardised, words one-hot encoded."""

    classifies: ClassVar[bool | None] = None
    adapts: ClassVar[bool] = True
    name: str = key("table", "registry name")
    path: str = key(MISSING, "the file: .csv, .tsv, .txt, .data or .parquet", runtime=True, text=True, often=True)
    target: str = key(MISSING, "the target column: its name, or its number (-1: the last)", text=True, often=True)
    task: str = key(
        "auto",
        "auto: classification where the target is words or few small whole numbers",
        choices=("auto", "classification", "regression"),
        often=True,
    )
    test_path: str | None = key(None, "a file of its own for testing", runtime=True, text=True, often=True)
    val_path: str | None = key(None, "a file of its own for validation", runtime=True, text=True)
    split: str | None = key(None, "a column that says of each row: train, val or test", text=True)
    group: str | None = key(None, "a column of groups (patients, customers): none is in two splits", text=True)
    time: str | None = key(
        None, "a column of dates or numbers: the last rows are the test, those before validate", text=True
    )
    columns: list[str] | None = key(None, "use only these columns as features", text=True, often=True)
    drop: list[str] | None = key(None, "leave these columns out", text=True, often=True)
    categories: list[str] | None = key(None, "columns whose values are categories, also if they are numbers", text=True)


def load(config: Table, track: "Track[object]", trained: Mapping[str, Any] | None = None) -> "Dataset":
    """Read it; `trainer.data.table` says how, and what is cleaned up."""
    from trainer.data.table import loading

    return loading.load(config, track, trained)
