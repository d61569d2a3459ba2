"""Images in one folder per class, as people have them on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.config.data import Pictures
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Folder(Pictures):
    """Images in one folder per class, below `train/`, `test/` and `val/`, or in a single tree that is split."""

    adapts: ClassVar[bool] = True
    name: str = key("folder", "registry name")
    path: str = key(MISSING, "the folder", runtime=True, text=True, often=True)


def load(config: Folder, track: "Track[object]", trained: Mapping[str, Any] | None = None) -> "Dataset":
    """Read it; `trainer.data.folder` says how, and what is refused."""
    from trainer.data.folder import classes

    return classes.load(config, track, trained)
