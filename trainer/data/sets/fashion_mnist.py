"""Fashion-MNIST (Xiao et al., 2017), in the format of MNIST."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.config.keys import key
from trainer.data.sets.mnist import MNIST

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class FashionMNIST(MNIST):
    """Zalando's articles of clothing, 28x28, 60,000 to train and 10,000 to test."""

    name: str = key("fashion_mnist", "registry name")


CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip


def load(config: FashionMNIST, track: "Track[object]") -> "Dataset":
    """60,000 training and 10,000 test images of 1x28x28."""
    from trainer.data.mnist import of_kind

    return of_kind(config, "FashionMNIST", CLASSES, (0.2860,), (0.3530,))
