"""Samples of the test or validation split that were trained on, too: warned of, or dropped from the training split."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainer.system.errors import DataError

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Split


def handled(dataset: "Dataset", duplicates: str) -> "Dataset":
    """Count the exact copies between splits whose samples have digests; `duplicates` is `warn` or `drop`.

    The test split stays whole: its copies are dropped from the others.

    Raises:
        DataError: Nothing would be left to train on.
    """
    train, val, test = dataset.train, dataset.val, dataset.test
    lines = []
    for name, held_out, others in (("test", test, [train, val]), ("validation", val, [train])):
        if held_out is not None:
            copies = int(_among(held_out, [split for split in others if split is not None]).sum())
            if copies:
                lines.append(_line(name, copies, len(held_out), duplicates))
    if not lines:
        return dataset
    if duplicates == "drop":
        kept = ~_among(train, [split for split in (val, test) if split is not None])
        if not kept.any():
            raise DataError("data.duplicates=drop: all training samples are in another split, too", "look at the files")
        train = train.take(kept.nonzero()[:, 0])
        if val is not None:
            kept = ~_among(val, [test])
            val = val.take(kept.nonzero()[:, 0]) if kept.any() else None
    return replace(dataset, train=train, val=val, notes=(*dataset.notes, *lines))


def _among(split: "Split", others: "list[Split]") -> Tensor:
    """Which samples of a split (N,) are in one of the others as well."""
    digests = [other.digests for other in others if other.digests is not None]
    if split.digests is None or not digests:
        return torch.zeros(len(split), dtype=torch.bool)
    return torch.isin(split.digests, torch.cat(digests))


def _line(name: str, copies: int, total: int, duplicates: str) -> str:
    found = f"{copies:,} of {total:,} {name} images {'is a copy' if copies == 1 else 'are copies'} of training images"
    if duplicates == "drop":
        return f"{found}: dropped from training"
    return f"{found}, so its figures look better than they are (data.duplicates=drop leaves them out of training)"
