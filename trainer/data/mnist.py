"""MNIST (LeCun et al., 1998) through torchvision."""

from pathlib import Path
from typing import Any

from torch import Tensor

from trainer import schema
from trainer.data.download import opened
from trainer.data.splits import Dataset, Split, Track
from trainer.errors import DataError


def load(config: schema.Downloaded, track: Track[object]) -> Dataset:
    """60,000 training and 10,000 test images of 1x28x28."""
    classes = tuple(map(str, range(10)))
    return from_torchvision(config, "MNIST", classes, (0.1307,), (0.3081,))


def from_torchvision(
    config: schema.Downloaded, kind: str, classes: tuple[str, ...], mean: tuple[float], std: tuple[float]
) -> Dataset:
    """A data set in MNIST's format: `kind` names torchvision's class and its folder below the root."""
    from torchvision import datasets  # late: it takes longer to import than the files to read

    reader = getattr(datasets, kind)

    def open_both(root: str, download: bool) -> tuple[Any, Any]:
        train, test = (reader(root, train=train, download=download) for train in (True, False))
        return train, test

    parts = [_split(part.data, part.targets) for part in opened(config, kind, open_both)]
    for part in parts:
        images, labels = len(part.inputs), part.targets
        if not 0 < images == len(labels) or int(labels.max()) >= len(classes):
            highest = f" up to {int(labels.max())}" if len(labels) else ""
            where = Path(config.root) / kind
            raise DataError(
                f"{config.name} in {where} is damaged: {images} images, {len(labels)} labels{highest}",
                "remove that folder to download it again",
            )
    return Dataset(config.name, parts[0], parts[1], None, classes, mean, std)


def _split(images: Tensor, labels: Tensor) -> Split:
    return Split(images.unsqueeze(1), labels.long())
