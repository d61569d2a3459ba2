"""A table: numbers and words in columns, one of them the target."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.config.data import Data
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class CSV(Data):
    """A table with a header line and a target column; numbers are standardised, words one-hot encoded."""

    classifies: ClassVar[bool | None] = None
    name: str = key("csv", "registry name")
    path: str = key(MISSING, "the file", runtime=True, text=True)
    target: str = key(MISSING, "name of the target column", text=True)
    task: str = key(
        "auto",
        "auto: classification where the target is words or few whole numbers",
        choices=("auto", "classification", "regression"),
    )
    test_fraction: float = key(0.2, "share held out for testing", above=0, below=1)


def load(config: CSV, track: "Track[object]") -> "Dataset":
    """Read it; `trainer.data.table` says how, and what is refused."""
    from trainer.data import table

    return table.load(config, track)
