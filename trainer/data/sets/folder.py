"""Images in one folder per class, as people have them on disk."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.config.data import Cached
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Folder(Cached):
    """Images in one folder per class, below `train/`, `test/` and `val/`, or in a single tree that is split."""

    name: str = key("folder", "registry name")
    path: str = key(MISSING, "the folder", runtime=True)
    size: int | None = key(32, "side of the square images that the model sees", minimum=1)
    resize: int | None = key(
        None,
        "shorter side before the centre crop to `size`; null: images are scaled to the square",
        minimum=1,
    )
    channels: int | None = key(3, "1 (grey) or 3 (colour)", minimum=1, maximum=3)
    mean: list[float] | None = key(None, "per channel, of values in 0..1; null: measured on the training set")
    std: list[float] | None = key(None, "per channel, of values in 0..1; null: measured on the training set")
    preprocess: str | None = key(
        None,
        "weights: take size, resize, mean and std from what the model's pretrained weights were trained with, where "
        "they are not typed",
        choices=("weights",),
        private=True,
    )
    test_fraction: float = key(0.2, "share held out for testing where there is no `test/`", above=0, below=1)


def load(config: Folder, track: "Track[object]") -> "Dataset":
    """Read it; `trainer.data.folder` says how, and what is refused."""
    from trainer.data import folder

    return folder.load(config, track)
