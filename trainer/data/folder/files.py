"""Images that stay in their files, and are decoded whenever they are wanted."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.data.folder.decoding import each
from trainer.data.image import Way, read_image


class Files:
    """Images that are decoded from their files whenever they are indexed, as (N, C, H, W) uint8."""

    def __init__(self, paths: Sequence[str], way: Way) -> None:
        self.paths, self.way = paths, way
        self.dtype = torch.uint8

    @property
    def shape(self) -> torch.Size:
        height, width, channels = self.way.shape
        return torch.Size((len(self.paths), channels, height, width))

    def __getitem__(self, index: Any) -> Tensor:
        numbers = range(len(self.paths))[index] if isinstance(index, slice) else index.tolist()
        images = np.empty((len(numbers), *self.way.shape), np.uint8)
        read = partial(read_image, way=self.way)
        for place, image in enumerate(each([self.paths[n] for n in numbers], read, math.prod(self.way.shape))):
            images[place] = image
        return torch.from_numpy(images).permute(0, 3, 1, 2)
