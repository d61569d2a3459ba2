"""MNIST (LeCun et al., 1998) through torchvision."""

from pathlib import Path
from typing import Any

from trainer import schema
from trainer.data.cache import Allocate
from trainer.data.download import kept, opened
from trainer.data.splits import Dataset, Track
from trainer.errors import DataError


def load(config: schema.Downloaded, track: Track[object]) -> Dataset:
    """60,000 training and 10,000 test images of 1x28x28."""
    classes = tuple(map(str, range(10)))
    return from_torchvision(config, "MNIST", classes, (0.1307,), (0.3081,))


def from_torchvision(
    config: schema.Downloaded, kind: str, classes: tuple[str, ...], mean: tuple[float], std: tuple[float]
) -> Dataset:
    """A data set in MNIST's format: `kind` names torchvision's class and its folder below the root."""

    def open_both(root: str, download: bool) -> tuple[Any, Any]:
        from torchvision import datasets  # late: it takes longer to import than the files to read

        train, test = (getattr(datasets, kind)(root, train=train, download=download) for train in (True, False))
        return train, test

    def make(allocate: Allocate) -> dict[str, Any]:
        parts = dict(zip(("train", "test"), opened(config, kind, open_both), strict=True))
        for name, part in parts.items():
            _check(len(part.data), part.targets, Path(config.root) / kind)
            allocate(name, (*part.data.shape, 1), "uint8")[:] = part.data.numpy()[..., None]
            allocate(f"{name}-targets", part.targets.shape, "int64")[:] = part.targets.numpy()
        return {}

    def _check(images: int, labels: Any, where: Path) -> None:
        if not 0 < images == len(labels) or int(labels.max()) >= len(classes):
            highest = f" up to {int(labels.max())}" if len(labels) else ""
            raise DataError(
                f"{config.name} in {where} is damaged: {images} images, {len(labels)} labels{highest}",
                "remove that folder to download it again",
            )

    found = kept(config, kind, open_both, make)
    return Dataset(config.name, found.split("train"), found.split("test"), None, classes, mean, std, cache=found.note)
