"""Fashion-MNIST (Xiao et al., 2017), in the format of MNIST."""

from trainer.config import schema
from trainer.data.sets.mnist import of_kind
from trainer.data.splits import Dataset, Track

CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip


def load(config: schema.Downloaded, track: Track[object]) -> Dataset:
    """60,000 training and 10,000 test images of 1x28x28."""
    return of_kind(config, "FashionMNIST", CLASSES, (0.2860,), (0.3530,))
