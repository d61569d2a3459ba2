"""Fashion-MNIST (Xiao et al., 2017) through torchvision."""

from trainer import schema
from trainer.data.mnist import from_torchvision
from trainer.data.splits import Dataset, Track

CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip


def load(config: schema.Downloaded, track: Track[object]) -> Dataset:
    """60,000 training and 10,000 test images of 1x28x28."""
    return from_torchvision(config, "FashionMNIST", CLASSES, (0.2860,), (0.3530,))
