"""Some samples of a split as rows of numbers, for models that tell in a moment what there is to learn."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.data.folder.files import Files
from trainer.data.splits import Split

SIDE = 8  # images are scaled down to so many pixels a side
DRAWN = 0  # seed of what is drawn: the same command finds the same
DECODED = 1000  # files that are decoded for a look
WHOLE = 2**31  # bytes of a split that a look goes through; of a larger one it takes some samples


@dataclass(frozen=True)
class Samples:
    """Rows (n, F) of float64, and their targets: classes (n,) or values (n, columns)."""

    rows: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def read(split: Split, most: int) -> Split:
    """At most so many samples of a split, drawn at random, in memory; all of a small one, in order."""
    if len(split) > most:
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(DRAWN))[:most]
        split = split.take(order.sort().values)
    return Split(split.inputs, split.targets)


def bounded(split: Split) -> Split:
    """The split; of a very large one, or of one whose files are decoded each time, some samples drawn at random."""
    if isinstance(split.samples, Files):
        return read(split, DECODED)
    if split.nbytes <= WHOLE:
        return split
    return read(split, max(1, WHOLE * len(split) // split.nbytes))


def rows_of(split: Split) -> Samples:
    """The samples of a split in memory as rows: features as they are, images scaled down."""
    inputs = split.inputs
    if inputs.dim() == 4:
        inputs = small(inputs, SIDE)
    return Samples(inputs.double().flatten(1).numpy(), split.targets.numpy())


def small(images: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W) scaled down to so many pixels a side."""
    size = min(side, images.shape[2]), min(side, images.shape[3])
    return torch.cat([functional.adaptive_avg_pool2d(part.float(), size) for part in torch.split(images, 100)])
