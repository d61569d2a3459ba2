"""CIFAR-10 (Krizhevsky, 2009) through torchvision."""

from typing import Any

import numpy as np

from trainer import schema
from trainer.data.cache import Allocate
from trainer.data.download import kept, opened
from trainer.data.splits import Dataset, Track

FOLDER = "cifar-10-batches-py"
HALF = (0.5, 0.5, 0.5)


def load(config: schema.Downloaded, track: Track[object]) -> Dataset:
    """50,000 training and 10,000 test images of 3x32x32."""

    def open_both(root: str, download: bool) -> tuple[Any, Any]:
        from torchvision import datasets  # late: it takes longer to import than the files to read

        train, test = (datasets.CIFAR10(root, train=train, download=download) for train in (True, False))
        return train, test

    def make(allocate: Allocate) -> dict[str, Any]:
        train, test = opened(config, FOLDER, open_both)
        for name, part in (("train", train), ("test", test)):
            allocate(name, part.data.shape, "uint8")[:] = part.data  # (N, H, W, C)
            allocate(f"{name}-targets", (len(part.targets),), "int64")[:] = np.array(part.targets)
        return {"classes": train.classes}

    found = kept(config, FOLDER, open_both, make)
    classes = tuple(found.facts["classes"])
    return Dataset("cifar10", found.split("train"), found.split("test"), None, classes, HALF, HALF, cache=found.note)
