"""scikit-learn's handwritten digits: bundled, so that everything can be tried without a download."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.config.data import Cached
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.cache_entry import Allocate
    from trainer.data.splits import Dataset, Track


@dataclass
class Digits(Cached):
    """scikit-learn's 1,797 handwritten digits, 8x8, scaled up; bundled, no download."""

    name: str = key("digits", "registry name")
    size: int | None = key(28, "side the 8x8 images are scaled up to", minimum=8)


def load(config: Digits, track: "Track[object]") -> "Dataset":
    """1,797 images of 8x8, scaled up to `size`; a fifth of each class, always the same, is the test split."""
    from importlib.metadata import version

    import torch
    import torch.nn.functional as F

    from trainer.data.cache import check_room, stored
    from trainer.data.cache_entry import Declared
    from trainer.data.splits import Dataset

    size = config.size or 28

    def make(allocate: "Allocate") -> dict[str, Any]:
        from sklearn.datasets import load_digits  # late: importing it takes a second
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        check_room(len(labels) * size * size * 4)  # as floats, for a moment
        small = torch.from_numpy(images).float().view(-1, 1, 8, 8) * (255 / 16)
        large = F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False).round()[:, 0, :, :, None]
        train, test = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=0)
        for name, rows in (("train", train), ("test", test)):
            allocate(name, (len(rows), size, size, 1), "uint8")[:] = large[rows].numpy()
            allocate(f"{name}-targets", (len(rows),), "int64")[:] = labels[rows]
        return {}

    classes = tuple(map(str, range(10)))
    source, shape = f"scikit-learn {version('scikit-learn')}", (size, size, 1)
    declared = Declared({"train": (None, *shape), "test": (None, *shape)}, len(classes))
    found = stored(config.cache, "digits", {"size": size}, source, make, declared, config.cache_limit)
    return Dataset(
        "digits", found.split("train"), found.split("test"), classes=classes, standardise=True, cache=found.note
    )
