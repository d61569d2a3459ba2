"""Batches of a split that lies on the device: gathered, augmented and normalised there."""

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from trainer.data.augment import Augmenter
from trainer.data.splits import Split


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A generator that is a pure function of its arguments, apart for each purpose."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


class Batches:
    """The batches of a split, as (inputs, targets) on the device.

    Images stay uint8 in memory, channels last, and become (B, C, H, W) floats batch by batch; tables are
    normalised once. Iterating goes through the split in order, without augmentation; `epoch` in the
    random order of (seed, epoch).
    """

    def __init__(
        self,
        split: Split,
        batch_size: int | None,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        augment: Augmenter | None = None,
        seed: int = 0,
    ) -> None:
        self.batch_size = min(batch_size or len(split), len(split))
        self.device, self.dtype, self.augment, self.seed = device, dtype, augment, seed
        inputs = split.inputs
        self.is_image = inputs.dim() == 4
        scale = 255.0 if inputs.dtype == torch.uint8 else 1.0
        wide_mean = torch.tensor(mean or [0.0], dtype=torch.float64)
        wide_std = torch.tensor(std or [1.0], dtype=torch.float64)
        self.mean = (wide_mean * scale).to(dtype).to(device)
        self.inverse_std = (1 / (wide_std * scale)).to(dtype).to(device)
        if self.is_image:
            self.inputs = inputs.permute(0, 2, 3, 1).contiguous().to(device)
        else:
            self.inputs = ((inputs.double() - wide_mean) / wide_std).to(dtype).to(device)
        targets = split.targets
        self.targets = (targets.to(dtype) if targets.is_floating_point() else targets).to(device)

    def __len__(self) -> int:
        return -(-len(self.targets) // self.batch_size)

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch has: all the same but for the last."""
        return [min(self.batch_size, len(self.targets) - i) for i in range(0, len(self.targets), self.batch_size)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(len(self)):
            chunk = slice(i * self.batch_size, (i + 1) * self.batch_size)
            yield self._ready(self.inputs[chunk]), self.targets[chunk]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of epoch number `epoch` from batch `start` on."""
        total = len(self.targets)
        drawn = None
        if self.augment is not None:
            drawn = self.augment.draw(total, generator(self.seed, epoch, "augment")).to(self.device)
        if self.batch_size == total and drawn is None:  # order is no matter
            if start == 0:
                yield self._ready(self.inputs), self.targets
            return
        order = torch.randperm(total, generator=generator(self.seed, epoch, "order")).to(self.device)
        for i in range(start, len(self)):
            chunk = slice(i * self.batch_size, (i + 1) * self.batch_size)
            index = order[chunk]
            inputs = self.inputs.index_select(0, index)
            if self.augment is not None and drawn is not None:
                inputs = self.augment.apply(inputs, drawn[chunk])
            yield self._ready(inputs), self.targets.index_select(0, index)

    def _ready(self, inputs: Tensor) -> Tensor:
        if not self.is_image:
            return inputs
        normalised = inputs.to(self.dtype).sub(self.mean).mul(self.inverse_std)
        return normalised.permute(0, 3, 1, 2)  # (B, C, H, W) in channels-last memory
