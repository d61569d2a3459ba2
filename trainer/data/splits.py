"""What a data set is once loaded, and how it is limited, split and measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from trainer import schema
from trainer.errors import DataError

T = TypeVar("T")
# (items, how many, what is being done) -> the items, with progress shown meanwhile.
Track = Callable[[Iterable[T], int, str], Iterable[T]]


def untracked(items: Iterable[T], total: int, doing: str) -> Iterable[T]:
    """No progress shown."""
    return items


@dataclass(frozen=True)
class Split:
    """Samples in memory.

    `inputs` are images (N, C, H, W), uint8 or float, or features (N, F) float; `targets` are class
    indices (N,) int64, or values (N, columns) float.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: Tensor | slice) -> "Split":
        return Split(self.inputs[index], self.targets[index])


@dataclass(frozen=True)
class Dataset:
    """Splits that share no sample, and what they mean.

    `classes` is None for regression. `mean` and `std` are per channel (of values in 0..1) or per feature;
    None with `standardise` set: measured on the training split once it is cut.
    """

    name: str
    train: Split
    test: Split
    val: Split | None = None
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    standardise: bool = False
    columns: tuple[str, ...] = ()  # names of the features of a table

    @property
    def is_image(self) -> bool:
        return self.train.inputs.dim() == 4

    def split(self, name: str) -> Split:
        """`train`, `val` or `test`.

        Raises:
            DataError: there is no validation set.
        """
        if name == "val" and self.val is None:
            raise DataError(f"{self.name} has no validation set", "set data.val_fraction, or use split=test")
        found = getattr(self, name)
        assert isinstance(found, Split)
        return found

    def facts(self) -> dict[str, Any]:
        """What models take by interpolation: `${data.features}` and so on."""
        shape = self.train.inputs.shape[1:]
        facts: dict[str, Any] = {"features": shape.numel()}
        if self.classes is not None:
            facts["num_classes"] = len(self.classes)
        facts["outputs"] = len(self.classes) if self.classes is not None else self.train.targets.shape[1]
        if self.is_image:
            facts |= {"channels": shape[0], "size": shape[1]}
        return facts


def prepare(raw: Dataset, config: schema.Data) -> Dataset:
    """Cut `limit` and the validation split, and measure mean and standard deviation on what is left.

    Raises:
        DataError: a split would be empty.
    """
    dataset = raw
    if config.limit is not None:
        first = slice(config.limit)
        held_out = None if dataset.val is None else dataset.val.take(first)
        dataset = replace(dataset, train=dataset.train.take(first), test=dataset.test.take(first), val=held_out)
    if dataset.val is None and config.val_fraction > 0:
        train, val = divide(len(dataset.train), config.val_fraction, config.split_seed, "data.val_fraction")
        dataset = replace(dataset, train=dataset.train.take(train), val=dataset.train.take(val))
    if dataset.mean is None and dataset.standardise:
        dataset = measured(dataset)
    return dataset


def divide(total: int, fraction: float, seed: int, key: str) -> tuple[Tensor, Tensor]:
    """Two disjoint random sets of indices below `total`; the second holds `fraction` of them.

    Raises:
        DataError: one of them would be empty.
    """
    second = round(total * fraction)
    if not 0 < second < total:
        raise DataError(f"{key}={fraction} of {total} samples leaves an empty split", "change it, or use more data")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[second:].sort().values, order[:second].sort().values


def measured(dataset: Dataset) -> Dataset:
    """With mean and standard deviation of the training split; a constant channel gets 1."""
    inputs = dataset.train.inputs
    if dataset.is_image:
        channels = range(inputs.shape[1])
        scale = 255.0 if inputs.dtype == torch.uint8 else 1.0
        stats = [_moments(inputs[:, c], scale) for c in channels]
        mean, std = [m for m, _ in stats], [s for _, s in stats]
    else:
        mean = inputs.double().mean(0).tolist()
        std = inputs.double().std(0, correction=0).tolist()
    return replace(dataset, mean=tuple(mean), std=tuple(s if s > 1e-12 else 1.0 for s in std))


def _moments(channel: Tensor, scale: float) -> tuple[float, float]:
    if channel.dtype == torch.uint8:  # from the histogram: no float copy of the whole set
        counts = torch.bincount(channel.flatten(), minlength=256).double()
        values = torch.arange(256, dtype=torch.float64)
        mean = float((counts * values).sum() / counts.sum())
        variance = float((counts * (values - mean).square()).sum() / counts.sum())
    else:
        mean, variance = float(channel.double().mean()), float(channel.double().var(correction=0))
    return mean / scale, variance**0.5 / scale
