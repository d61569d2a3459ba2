"""The part of each batch that one of several ranks computes, and what has to be read for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.batches import Batch, Batches, Indices


@dataclass(frozen=True, slots=True)
class Part:
    """The samples of a batch that are a rank's: `rows` of the `whole` that the batch has on all ranks together.

    A rank that has none of them, as of a last batch of one sample, gets one sample's inputs without a target: it runs
    the model as the others do, which wait for its sums, and what comes out counts nothing.
    """

    inputs: Tensor
    targets: Tensor
    rows: slice
    whole: int


class PartBatches:
    """The batches of a training set as one of several ranks takes them: a `Part` of each, and all else as without them.

    `part` gives the rows of a batch of so many samples that are the rank's. Where samples are mixed, each with the one
    before it in the batch, that is read, too; where a batch is changed as a whole, all of it is.
    """

    def __init__(self, batches: Batches, part: Callable[[int], slice]) -> None:
        self.batches, self.part = batches, part
        self.mixes = batches.mixer is not None
        self.whole = batches.augment is not None and batches.augment.changes_batches

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch of an epoch has, on all ranks together."""
        return self.batches.sizes

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Part]:
        """The parts of the batches of an epoch from number `start` on."""
        read = map(self.batches.inputs, self.batches.raw(epoch, start, self._read))
        return map(self._own, read, self.sizes[start:])

    def _read(self, count: int) -> Indices:
        """The places in a batch of `count` samples that are read."""
        own = self.part(count)
        if self.whole:
            return slice(0, count)
        if own.start == own.stop:
            return slice(0, 1)
        return torch.arange(own.start - 1, own.stop) % count if self.mixes else own

    def _own(self, batch: Batch, count: int) -> Part:
        """The rank's part of what was read of a batch of `count` samples."""
        inputs, targets = batch
        rows = self.part(count)
        if rows.start == rows.stop:
            return Part(inputs[:1], targets[:0], rows, count)
        own = rows if self.whole else slice(int(self.mixes), None)
        return Part(inputs[own], targets[own], rows, count)
