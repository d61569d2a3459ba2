"""CIFAR-10 (Krizhevsky, 2009): ten classes of photographs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.config.data import Downloaded
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class CIFAR10(Downloaded):
    """Ten classes of colour photographs, 32x32, 50,000 to train and 10,000 to test."""

    name: str = key("cifar10", "registry name")
    features: int | None = key(3072, "values per sample", minimum=1, private=True)
    outputs: int | None = key(10, "classes", minimum=1, private=True)
    num_classes: int | None = key(10, "classes", minimum=2, private=True)
    channels: int | None = key(3, "channels of the images", minimum=1, private=True)
    size: int | None = key(32, "side of the square images", minimum=1, private=True)


def load(config: CIFAR10, track: "Track[object]") -> "Dataset":
    """Read it; `trainer.data.cifar` says how, and what is refused."""
    from trainer.data import cifar

    return cifar.load(config, track)
