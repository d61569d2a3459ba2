"""MNIST (LeCun et al., 1998)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.config.data import Downloaded
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class MNIST(Downloaded):
    """Handwritten digits, 28x28, 60,000 to train and 10,000 to test."""

    name: str = key("mnist", "registry name")
    features: int | None = key(784, "values per sample", minimum=1, private=True)
    outputs: int | None = key(10, "classes", minimum=1, private=True)
    num_classes: int | None = key(10, "classes", minimum=2, private=True)
    channels: int | None = key(1, "channels of the images", minimum=1, private=True)
    size: int | None = key(28, "side of the square images", minimum=1, private=True)


def load(config: MNIST, track: "Track[object]") -> "Dataset":
    """60,000 training and 10,000 test images of 1x28x28."""
    from trainer.data.mnist import of_kind

    classes = tuple(map(str, range(10)))
    return of_kind(config, "MNIST", classes, (0.1307,), (0.3081,))
