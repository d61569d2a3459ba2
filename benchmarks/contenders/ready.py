"""A whole data set as normalised float tensors in memory: what the bare loop, skorch and Keras start from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from benchmarks.contenders.job import Job


@dataclass(frozen=True)
class Ready:
    """Images (N, C, H, W) and class indices (N,)."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor

    def to(self, device: str) -> "Ready":
        """All four on `device`."""
        return Ready(*(part.to(device) for part in (self.train_x, self.train_y, self.test_x, self.test_y)))


def load(job: Job) -> Ready:
    """The job's data; its limit cuts both splits."""
    read = {"mnist": _mnist, "cifar": _cifar}[job.work]
    train_x, train_y = read(job, True)
    test_x, test_y = read(job, False)
    return Ready(train_x, train_y, test_x, test_y)


def _mnist(job: Job, train: bool) -> tuple[Tensor, Tensor]:
    raw = datasets.MNIST(str(job.data), train=train)
    return _normalised(job, raw.data[: job.limit].unsqueeze(1)), raw.targets[: job.limit]


def _cifar(job: Job, train: bool) -> tuple[Tensor, Tensor]:
    raw = datasets.ImageFolder(str(job.data / "cifar10-images" / ("train" if train else "test")))
    chosen = range(len(raw)) if job.limit is None else np.random.default_rng(0).permutation(len(raw))[: job.limit]
    images = np.empty((len(chosen), 32, 32, 3), dtype=np.uint8)
    labels = torch.empty(len(chosen), dtype=torch.long)
    for row, index in enumerate(chosen):
        image, labels[row] = raw[int(index)]
        images[row] = np.asarray(image)
    return _normalised(job, torch.from_numpy(images).permute(0, 3, 1, 2)), labels


def _normalised(job: Job, images: Tensor) -> Tensor:
    """In place, so that the peak of memory is that of the result."""
    values = images.to(torch.float32, memory_format=torch.contiguous_format)
    return values.div_(255).sub_(job.recipe.mean).div_(job.recipe.std)
