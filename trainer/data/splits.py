"""A data set in memory: its splits, and how it is limited, split and measured."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from trainer.config.data import Data, Pictures
from trainer.data import copies
from trainer.data.dividing import divide, fold
from trainer.system.errors import ConfigError, DataError

T = TypeVar("T")
# Called with items, their number and what is being done; returns the items, and shows progress meanwhile.
Track = Callable[[Iterable[T], int, str], Iterable[T]]


def untracked(items: Iterable[T], total: int, doing: str) -> Iterable[T]:
    """Show no progress."""
    return items


class Samples(Protocol):
    """Inputs of samples: a tensor, a mapped file, or files that are decoded when they are indexed."""

    @property
    def shape(self) -> torch.Size:
        """That of all samples: images (N, C, H, W) or features (N, F)."""

    @property
    def dtype(self) -> torch.dtype: ...

    def __getitem__(self, index: Any, /) -> Tensor:
        """The inputs of some samples, by a slice or a tensor of their numbers."""


class Names(Protocol):
    """What samples are called: a list, an array of numbers, or files."""

    def __getitem__(self, number: int, /) -> Any: ...


@dataclass(frozen=True)
class Split:
    """Samples and their targets.

    `samples` are images, uint8 or float, or features, float; `targets` are class indices (N,) int64, or values
    (N, columns) float. `rows` are the numbers of the split's samples among `samples`, in order; None: all of them. So
    no inputs are copied when a split is cut. `groups` (N,) int64 says which samples are to stay together when it is.
    `digests` (N,) int64 are those of `trainer.data.digests` where they are known already. `names` are what each of
    `samples` is called, a file or the number of its row in the file; None: by its number among them.
    """

    samples: Samples
    targets: Tensor
    rows: Tensor | None = None
    groups: Tensor | None = None
    digests: Tensor | None = None
    names: Names | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """The inputs of some samples of the split."""
        index = index if self.rows is None else self.rows[index]
        return rows_of(self.samples, index) if isinstance(self.samples, Tensor) else self.samples[index]

    @property
    def inputs(self) -> Tensor:
        """All inputs, read if they are not in memory."""
        return self[:]

    @property
    def shape(self) -> torch.Size:
        """The shape of one sample."""
        return self.samples.shape[1:]

    @property
    def dtype(self) -> torch.dtype:
        return self.samples.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all inputs take."""
        return len(self) * self.shape.numel() * self.dtype.itemsize

    def chunks(self, nbytes: int = 2**24) -> Iterator[Tensor]:
        """Yield all inputs, in parts of about `nbytes`."""
        size = max(1, nbytes * len(self) // max(1, self.nbytes))
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def name(self, number: int) -> str | int:
        """What a sample of the split is called."""
        place = number if self.rows is None else int(self.rows[number])
        found = place if self.names is None else self.names[place]
        return found if isinstance(found, str) else int(found)

    def take(self, index: Tensor | slice) -> "Split":
        """Some samples of the split, as a split."""
        groups, digests = (None if part is None else part[index] for part in (self.groups, self.digests))
        if self.rows is None and isinstance(index, Tensor):
            return Split(self.samples, self.targets[index], index, groups, digests, self.names)
        rows = torch.arange(len(self)) if self.rows is None else self.rows
        return Split(self.samples, self.targets[index], rows[index], groups, digests, self.names)


def rows_of(samples: Tensor, index: slice | Tensor) -> Tensor:
    """`samples[index]`. Images that lie channels last are copied whole, while torch would go pixel by pixel."""
    if isinstance(index, slice):
        return samples[index]
    if samples.dim() == 4:
        return samples.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return samples.index_select(0, index)


def packed(inputs: Tensor) -> Tensor:
    """Images (N, C, H, W) as (N, H, W, C), so that batches are gathered image by image; features unchanged."""
    return inputs.permute(0, 2, 3, 1).contiguous() if inputs.dim() == 4 else inputs


@dataclass(frozen=True)
class Standardised:
    """The features of a table (N, F), with mean and deviation, if any, taken out in double precision, in `dtype`."""

    table: Samples
    mean: Tensor | None
    std: Tensor | None
    dtype: torch.dtype

    @property
    def shape(self) -> torch.Size:
        return self.table.shape

    def __getitem__(self, index: Any) -> Tensor:
        features = rows_of(self.table, index) if isinstance(self.table, Tensor) else self.table[index]
        if self.mean is not None and self.std is not None:
            features = (features.double() - self.mean) / self.std
        return features.to(self.dtype)


@dataclass(frozen=True)
class Dataset:
    """Splits that share no sample, with their classes and normalisation.

    `classes` is None for regression. `mean` and `std` are per channel (of values in 0..1) or per feature. If they are
    None and `standardise` is set, they are measured on the training split once it is cut. With `target_mean` and
    `target_std`, per target column, batches give standardised targets; those of the splits are in their own units.

    The rows of a table are no features until `encode`, if given, has made them of splits that are cut.
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
    cache: str = ""  # tells the user where decoded samples are kept
    notes: tuple[str, ...] = ()  # what was cleaned up, or is worth knowing: a line each
    stratify: bool = False  # whether a split that is cut or limited has a like share of each class
    target_mean: tuple[float, ...] | None = None
    target_std: tuple[float, ...] | None = None
    plan: tuple[dict[str, Any], ...] | None = None  # of the columns of a table, as plain values
    encode: Callable[["Dataset"], "Dataset"] | None = None
    skipped: tuple[tuple[str, str], ...] = ()  # files that cannot be read, and why
    levels: tuple[int, int] | None = None  # values of 16-bit grey images that are read as black and white

    @property
    def is_image(self) -> bool:
        return len(self.train.shape) == 3

    @property
    def strata(self) -> Tensor | None:
        """The classes (N,) of the training samples, where each is to have its share of a split that is cut."""
        return self.train.targets if self.stratify and self.classes is not None else None

    def in_units(self, outputs: Tensor) -> Tensor:
        """Outputs (..., columns) of a model for a quantity, in the target's own units."""
        if self.target_mean is None or self.target_std is None:
            return outputs
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (self.target_mean, self.target_std))
        return (outputs.double() * std + mean).to(outputs.dtype)

    def split(self, name: str) -> Split:
        """`train`, `val`, `test` or `all` of them.

        Raises:
            DataError: There is no validation set.
        """
        if name == "all":
            from trainer.data.whole import whole  # late, for it builds on what is here

            return whole(self)
        if name == "val" and self.val is None:
            raise DataError(f"{self.name} has no validation set", "set data.val_fraction, or use split=test")
        found = getattr(self, name)
        assert isinstance(found, Split)
        return found

    def facts(self) -> dict[str, Any]:
        """What a model's config takes by interpolation: `${data.features}` and so on."""
        shape = self.train.shape
        facts: dict[str, Any] = {"features": shape.numel()}
        if self.classes is not None:
            facts["num_classes"] = len(self.classes)
        facts["outputs"] = len(self.classes) if self.classes is not None else self.train.targets.shape[1]
        if self.is_image:
            facts |= {"channels": shape[0], "size": shape[1]}
        return facts


def prepare(raw: Dataset, config: Data) -> Dataset:
    """Apply `limit`, cut the validation split, look for copies, and measure mean and deviation on the training samples
    that are left.

    Raises:
        DataError, ConfigError: A split would be empty, or one is to be cut in folds that the data have already.
    """
    dataset = raw
    if config.limit is not None:
        held_out = None if dataset.val is None else _limited(dataset, dataset.val, config)
        others: dict[str, Any] = {name: _limited(dataset, dataset.split(name), config) for name in ("train", "test")}
        dataset = replace(dataset, **others, val=held_out)
    if dataset.val is None or config.folds is not None:
        dataset = _with_validation(dataset, config)
    if isinstance(config, Pictures):
        dataset = copies.handled(dataset, config.duplicates)
    if dataset.mean is None and dataset.standardise:
        dataset = measured(dataset)
    return dataset if dataset.encode is None else dataset.encode(dataset)


def _limited(dataset: Dataset, split: Split, config: Data) -> Split:
    """The first `limit` samples; or, where they may be sorted, so many that are drawn at random."""
    limit, total = config.limit, len(split)
    if limit is None or limit >= total:
        return split
    if not dataset.stratify:
        return split.take(slice(limit))
    strata = split.targets if dataset.classes is not None else None
    return split.take(divide(total, limit / total, config.split_seed, "data.limit", strata=strata)[1])


def _with_validation(dataset: Dataset, config: Data) -> Dataset:
    if dataset.val is not None:
        raise ConfigError(
            f"data.folds={config.folds}: {dataset.name} has a validation set of its own",
            "leave data.folds out, or put those samples into the training set",
        )
    train = dataset.train
    parts = validation(len(train), config, dataset.strata, train.groups)
    return dataset if parts is None else replace(dataset, train=train.take(parts[0]), val=train.take(parts[1]))


def validation(
    total: int, config: Data, strata: Tensor | None = None, groups: Tensor | None = None
) -> tuple[Tensor, Tensor] | None:
    """Divide the indices of all training samples into those to train on and those to validate on.

    None if nothing validates. `strata` and `groups` are as for `divide`.

    Raises:
        DataError: a part would be empty.
    """
    if config.folds is not None and config.fold is not None:
        return fold(total, config.folds, config.fold, config.split_seed, strata, groups)
    fraction = config.held_out(total)
    if fraction == 0:
        return None
    return divide(total, fraction, config.split_seed, "data.val_fraction", "", strata, groups)


def measured(dataset: Dataset) -> Dataset:
    """Measure mean and standard deviation on the training split; a constant channel or feature gets deviation 1."""
    train = dataset.train
    if train.dtype == torch.uint8:
        mean, std = _moments_of_bytes(train)
    else:
        dims = (0, 2, 3) if dataset.is_image else (0,)
        inputs = train.inputs.double()
        low, constant = inputs.amin(dims), inputs.amin(dims) == inputs.amax(dims)  # rounding would leave a deviation
        mean = torch.where(constant, low, inputs.mean(dims)).tolist()
        std = inputs.std(dims, correction=0).masked_fill(constant, 1).tolist()
    found = replace(dataset, mean=tuple(mean), std=tuple(s if s > 1e-12 else 1.0 for s in std))
    return replace(found, **moments_of_targets(train)) if dataset.classes is None else found


def moments_of_targets(train: Split) -> dict[str, Any]:
    """Mean and deviation per target column of a quantity, as a data set has them; the deviation of a constant is 1."""
    targets = train.targets.double().reshape(len(train), -1)
    mean, std = targets.mean(0).tolist(), targets.std(0, correction=0).tolist()
    return {"target_mean": tuple(mean), "target_std": tuple(s if s > 0 else 1.0 for s in std)}


def _moments_of_bytes(images: Split) -> tuple[list[float], list[float]]:
    """Mean and deviation per channel, of values in 0..1; from histograms, so that no float copy is made."""
    channels = images.shape[0]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for chunk in images.chunks():
        for channel in range(channels):
            counts[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=256)
    shares = counts.double() / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = shares @ values
    variance = (shares * (values - mean[:, None]).square()).sum(1)
    return mean.tolist(), variance.sqrt().tolist()
