"""All samples of a data set, whatever splits they are in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trainer.data.splits import Dataset, Split


def undivided(dataset: Dataset) -> Dataset:
    """The data set with all of its samples in the training split, for who only wants to look at all of them."""
    return replace(dataset, train=whole(dataset), val=None, test=dataset.test.take(slice(0)))


def whole(dataset: Dataset) -> Split:
    """All samples as one split: in their own order where the splits were cut from the same ones."""
    parts = [split for split in (dataset.train, dataset.val, dataset.test) if split is not None and len(split)]
    if len(parts) == 1:
        return parts[0]
    targets, samples = torch.cat([split.targets for split in parts]), parts[0].samples
    known = [split.digests for split in parts if split.digests is not None]
    digests = torch.cat(known) if len(known) == len(parts) else None
    if any(split.samples is not samples for split in parts):
        names = [split.name(number) for split in parts for number in range(len(split))]
        return Split(Joined(parts), targets, digests=digests, names=names)
    rows = torch.cat([torch.arange(len(split)) if split.rows is None else split.rows for split in parts])
    order = rows.argsort()
    digests = digests[order] if digests is not None else None
    return Split(samples, targets[order], rows[order], digests=digests, names=parts[0].names)


class Joined:
    """The inputs of several splits, one after the other, as those of one."""

    def __init__(self, parts: Sequence[Split]) -> None:
        self.parts, self.dtype = parts, parts[0].dtype

    @property
    def shape(self) -> torch.Size:
        return torch.Size((sum(map(len, self.parts)), *self.parts[0].shape))

    def __getitem__(self, index: Any) -> Tensor:
        if isinstance(index, slice):
            index = torch.arange(self.shape[0])[index]
        found, start = torch.empty((len(index), *self.shape[1:]), dtype=self.dtype), 0
        for part in self.parts:
            here = (index >= start) & (index < start + len(part))
            if bool(here.any()):
                found[here] = part[index[here] - start]
            start += len(part)
        return found
