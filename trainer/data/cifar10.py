"""CIFAR-10 (Krizhevsky, 2009) through torchvision."""

from typing import Any

import torch

from trainer import schema
from trainer.data.download import opened
from trainer.data.splits import Dataset, Split, Track

HALF = (0.5, 0.5, 0.5)


def load(config: schema.Downloaded, track: Track[object]) -> Dataset:
    """50,000 training and 10,000 test images of 3x32x32."""
    from torchvision import datasets  # late: it takes longer to import than the files to read

    def open_both(root: str, download: bool) -> tuple[Any, Any]:
        train, test = (datasets.CIFAR10(root, train=train, download=download) for train in (True, False))
        return train, test

    train, test = opened(config, "cifar-10-batches-py", open_both)
    return Dataset("cifar10", _split(train), _split(test), None, tuple(train.classes), HALF, HALF)


def _split(part: Any) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2)  # stored as (N, H, W, C)
    return Split(images, torch.tensor(part.targets))
