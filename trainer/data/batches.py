"""Batches in an order that is a pure function of (seed, epoch): gathered, augmented and normalised on the device.

A batch goes from indices to raw samples, augmented ones, and the inputs of the model.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat

import torch
from torch import Tensor

from trainer.data.augment import Augmenter
from trainer.data.mixing import Mixer
from trainer.data.resident import Resident
from trainer.data.shuffle import in_windows
from trainer.data.splits import Split, Standardised
from trainer.data.streamed import Streamed
from trainer.data.windows import Windows

Indices = Tensor | slice
Raw = tuple[Tensor | slice | None, ...]  # what `Batches.inputs` makes a batch of
Batch = tuple[Tensor, Tensor]


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A generator that is a pure function of its arguments, apart for each purpose."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def _wide(values: Sequence[float] | None) -> Tensor | None:
    return torch.tensor(values, dtype=torch.float64) if values else None


def moments(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    given: torch.dtype,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """What is taken from the values of images, and what they are multiplied with then; (C,) each, or (1,).

    `mean` and `std` are of values in 0..1, which bytes, one of the types that may be `given`, are 255 times.
    """
    scale = 255.0 if given == torch.uint8 else 1.0
    wide_mean, wide_std = (torch.tensor(v, dtype=torch.float64) for v in (mean or [0.0], std or [1.0]))
    return (wide_mean * scale).to(dtype).to(device), (1 / (wide_std * scale)).to(dtype).to(device)


def scaled(images: Tensor, dtype: torch.dtype, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Images (B, H, W, C) as the inputs of a model (B, C, H, W), as batches make them."""
    taken, factor = moments(mean, std, images.dtype, dtype, images.device)
    return images.to(dtype).sub(taken).mul(factor).permute(0, 3, 1, 2)


class Batches:
    """The batches of a split, as (inputs, targets) on the device.

    The samples lie on the device; or, with a number of `workers` (0: none but this process), are streamed to it.
    Where the mean and deviation of targets are given, the batches' targets are standardised. Images stay uint8 until
    they are a batch, and become (B, C, H, W) floats in channels-last memory. Iterating goes through the split in order,
    without augmentation; `epoch` in the random order of (seed, epoch). With `balanced`, an epoch has as many samples of
    each class, drawn with replacement. Set `drops_last` to leave a smaller last batch out of each epoch.

    With a `window` of so many bytes the samples are read in windows. An epoch shuffles all samples together, or
    those of `shuffled` bytes (`trainer.data.shuffle`), wherever they lie.
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
        target_mean: Sequence[float] | None = None,
        target_std: Sequence[float] | None = None,
        balanced: bool = False,
        mixer: Mixer | None = None,
        window: int | None = None,
        shuffled: int | None = None,
    ) -> None:
        self.total = len(split)
        self.batch_size = min(batch_size or self.total, self.total)
        self.drops_last = False
        self.device, self.dtype, self.augment, self.mixer, self.seed = device, dtype, augment, mixer, seed
        self.is_image = len(split.shape) == 3
        if self.is_image:
            self.moments = moments(mean, std, split.dtype, dtype, device)
        elif mean is not None or split.dtype != dtype or window is None:
            split = replace(split, samples=Standardised(split.samples, _wide(mean), _wide(std), dtype))
        # The numbers of the samples of each class that there is, which a balanced epoch draws from.
        present = torch.unique(split.targets) if balanced else ()
        self.classes = [(split.targets == one).nonzero()[:, 0] for one in present]
        if split.targets.is_floating_point():
            targets = Standardised(split.targets, _wide(target_mean), _wide(target_std), dtype)
            split = replace(split, targets=targets[:])
        self.shuffle = None if shuffled is None else in_windows(split, shuffled, self.batch_size)
        self.source: Resident | Streamed | Windows
        if window is not None:
            self.source = Windows(split, device, self._batches_of(window, split))
        else:
            self.source = Resident(split, device) if workers is None else Streamed(split, device, workers)

    def _batches_of(self, window: int, split: Split) -> int:
        """How many batches a window has; those of the shuffle, where there is one, lie together."""
        if self.shuffle is not None:
            return self.shuffle.window // self.batch_size
        return max(1, window * self.total // max(1, split.nbytes * self.batch_size))

    def reseeded(self, seed: int) -> "Batches":
        """The same samples, where they are, in the order of another seed."""
        other = copy.copy(self)
        other.seed = seed
        return other

    def __len__(self) -> int:
        return -(-self.used // self.batch_size)

    @property
    def depends_on_seed(self) -> bool:
        """Whether the order of the samples matters, or anything else is drawn."""
        drawn = self.augment is not None or self.mixer is not None or bool(self.classes)
        return self.batch_size < self.total or drawn

    @property
    def last(self) -> int:
        """How many samples are left for a last batch that is smaller than the others; 0: there is no such."""
        return self.total % self.batch_size

    @property
    def used(self) -> int:
        """How many samples an epoch has."""
        return self.total - self.last if self.drops_last else self.total

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch of an epoch has: all the same but for the last."""
        return [min(self.batch_size, self.used - i) for i in range(0, self.used, self.batch_size)]

    def __iter__(self) -> Iterator[Batch]:
        return self.every()

    def every(self, number: int = 1, first: int = 0) -> Iterator[Batch]:
        """Every so many-th batch of the split in order, from batch `first` on."""
        indices = [slice(i, i + self.batch_size) for i in range(0, self.total, self.batch_size)]
        for read in self.source.read(indices[first::number]):
            yield self.inputs((*read, None, None))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch number `epoch` from batch `start` on."""
        return map(self.inputs, self.raw(epoch, start))

    def raw(self, epoch: int, start: int = 0, read: Callable[[int], Indices] | None = None) -> Iterator[Raw]:
        """The batches of an epoch as `inputs` takes them: which samples, how each is changed, how all are mixed.

        `read` gives the places in a batch of so many samples that are read of it: all, where there is no such function.
        """

        def places(each: Sequence[Tensor]) -> Sequence[Tensor]:
            whole = each[start:]
            return (
                whole
                if read is None
                else [of[read(count)] for of, count in zip(whole, self.sizes[start:], strict=True)]
            )

        if not self.depends_on_seed:
            indices: Sequence[Indices] = [slice(None) if read is None else read(self.total)][start:]
        else:
            order = self._order(generator(self.seed, epoch, "order"))
            indices = places(torch.split(order.to(self.source.order_device)[: self.used], self.batch_size))
        changes: Iterator[Tensor | None] = repeat(None)
        if self.augment is not None:
            drawn = self.augment.draw(self.total, generator(self.seed, epoch, "augment")).to(self.device)
            changes = iter(places(torch.split(drawn[: self.used], self.batch_size)))
        mixes: Iterator[Tensor | None] = repeat(None)
        if self.mixer is not None:
            rows = self.mixer.draw(len(self), generator(self.seed, epoch, "mix")).to(self.device)
            mixes = iter(torch.split(rows, 1)[start:])
        for found in self.source.read(indices, start):
            yield *found, next(changes), next(mixes)

    def _order(self, drawing: torch.Generator) -> Tensor:
        """The numbers of the samples of an epoch, one after the other."""
        if not self.classes and self.shuffle is not None:
            return self.shuffle.order(drawing)
        if not self.classes:
            return torch.randperm(self.total, generator=drawing)
        each, more = divmod(self.total, len(self.classes))
        larger = torch.randperm(len(self.classes), generator=drawing)[:more].tolist()  # these have a sample more
        drawn = [
            of_one[torch.randint(len(of_one), (each + (number in larger),), generator=drawing)]
            for number, of_one in enumerate(self.classes)
        ]
        if self.shuffle is not None:
            return self.shuffle.order(drawing, torch.cat(drawn))
        return torch.cat(drawn)[torch.randperm(self.total, generator=drawing)]

    def inputs(self, raw: Raw) -> Batch:
        """The inputs of a batch as the model takes them, and the targets; classes that are mixed are probabilities."""
        *read, changes, mix = raw
        samples, targets = self.source.samples(*read)
        if isinstance(changes, Tensor) and self.augment is not None:
            samples = self.augment.apply(samples, changes)
        if self.is_image:
            taken, factor = self.moments
            samples = samples.to(self.dtype).sub(taken).mul(factor)
        if isinstance(mix, Tensor) and self.mixer is not None:
            samples, targets = self.mixer.mix(samples, targets, mix)
        return samples.permute(0, 3, 1, 2) if self.is_image else samples, targets

    def give_up(self) -> None:
        """Stop waiting for a batch.

        Raises:
            StoppedError: One is being waited for.
        """
        self.source.give_up()

    def close(self, at_once: bool = False) -> None:
        """End what reads batches; the next iteration starts it again."""
        self.source.close(at_once)
