"""Batches in an order that is a pure function of (seed, epoch): gathered, augmented and normalised on the device."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import repeat

import torch
from torch import Tensor

from trainer.data.augment import Augmenter
from trainer.data.resident import Resident
from trainer.data.splits import Split
from trainer.data.streamed import Streamed

Raw = tuple[Tensor | slice | None, ...]  # a batch before it is `ready`
Batch = tuple[Tensor, Tensor]


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A generator that is a pure function of its arguments, apart for each purpose."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


class Batches:
    """The batches of a split, as (inputs, targets) on the device.

    The samples lie on the device; or, with a number of `workers` (0: none but this process), are streamed to it.
    Images stay uint8 until they are a batch, and become (B, C, H, W) floats in channels-last memory. Iterating
    goes through the split in order, without augmentation; `epoch` in the random order of (seed, epoch).
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
        workers: int | None = None,
    ) -> None:
        self.total = len(split)
        self.batch_size = min(batch_size or self.total, self.total)
        self.device, self.dtype, self.augment, self.seed = device, dtype, augment, seed
        self.is_image = len(split.shape) == 3
        wide_mean = torch.tensor(mean or [0.0], dtype=torch.float64)
        wide_std = torch.tensor(std or [1.0], dtype=torch.float64)
        if self.is_image:
            scale = 255.0 if split.dtype == torch.uint8 else 1.0
            self.mean = (wide_mean * scale).to(dtype).to(device)
            self.inverse_std = (1 / (wide_std * scale)).to(dtype).to(device)
            form = _channels_last
        else:
            form = partial(_standardised, mean=wide_mean, std=wide_std, dtype=dtype)
        if split.targets.is_floating_point():
            split = Split(split.samples, split.targets.to(dtype), split.rows)
        self.source = Resident(split, form, device) if workers is None else Streamed(split, form, device, workers)

    def reseeded(self, seed: int) -> "Batches":
        """The same samples, where they are, in the order of another seed."""
        other = copy.copy(self)
        other.seed = seed
        return other

    def __len__(self) -> int:
        return -(-self.total // self.batch_size)

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch has: all the same but for the last."""
        return [min(self.batch_size, self.total - i) for i in range(0, self.total, self.batch_size)]

    def __iter__(self) -> Iterator[Batch]:
        batches = [slice(i, i + self.batch_size) for i in range(0, self.total, self.batch_size)]
        for raw in self.source.fetch(batches):
            inputs, targets = self.source.samples(raw)
            yield self._normalised(inputs), targets

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch number `epoch` from batch `start` on."""
        return map(self.ready, self.drawn(epoch, start))

    def drawn(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        """The batches of an epoch as `ready` takes them: which samples, and how each is to be changed."""
        if self.batch_size == self.total and self.augment is None:  # order is no matter
            batches: Sequence[Tensor | slice] = [slice(None)]
        else:
            order = torch.randperm(self.total, generator=generator(self.seed, epoch, "order"))
            batches = torch.split(order.to(self.source.order_device), self.batch_size)
        changes: Iterator[Tensor | None] = repeat(None)
        if self.augment is not None:
            drawn = self.augment.draw(self.total, generator(self.seed, epoch, "augment")).to(self.device)
            changes = iter(torch.split(drawn, self.batch_size)[start:])
        for raw in self.source.fetch(batches[start:]):
            yield *raw, next(changes)

    def close(self) -> None:
        """End what reads batches; the next iteration would start it again."""
        self.source.close()

    def ready(self, raw: Raw) -> Batch:
        """The inputs as the model takes them, and the targets."""
        *rows, changes = raw
        inputs, targets = self.source.samples(tuple(rows))
        if self.augment is not None:
            assert isinstance(changes, Tensor)
            inputs = self.augment.apply(inputs, changes)
        return self._normalised(inputs), targets

    def _normalised(self, inputs: Tensor) -> Tensor:
        if not self.is_image:
            return inputs
        normalised = inputs.to(self.dtype).sub(self.mean).mul(self.inverse_std)
        return normalised.permute(0, 3, 1, 2)


def _channels_last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1).contiguous()


def _standardised(table: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
    return ((table.double() - mean) / std).to(dtype)
