"""Images that a table lists, with the class of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.config.data import Pictures
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Images(Pictures):
    """Images that lie anywhere below a folder, and a table with the file and the class of each."""

    adapts: ClassVar[bool] = True
    name: str = key("images", "registry name")
    path: str = key(MISSING, "the table", runtime=True, text=True, often=True)
    image: str | None = key(
        None,
        "column of the files' names, with or without extension; null: the one whose values are files",
        text=True,
        often=True,
    )
    target: str | None = key(
        None,
        "column of the classes; null: the only one left, or the one called label, class, target or category",
        text=True,
        often=True,
    )
    root: str | None = key(None, "folder that the images lie in or below; null: the table's", runtime=True, text=True)
    split: str | None = key(
        None, "column that says train, val or test; null: one that says nothing else, if there is one", text=True
    )


def load(config: Images, track: "Track[object]", trained: Mapping[str, Any] | None = None) -> "Dataset":
    """Read them; `trainer.data.folder.listed` says how, and what is refused."""
    from trainer.data.folder import listed

    return listed.load(config, track, trained)
