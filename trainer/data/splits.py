"""A data set in memory, and its splits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from trainer.system.errors import DataError

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


def in_units(outputs: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Outputs (..., columns) for standardised targets, in the units from before; unchanged where none were."""
    if mean is None or std is None:
        return outputs
    wide_mean, wide_std = (torch.tensor(v, dtype=torch.float64) for v in (mean, std))
    return (outputs.double() * wide_std + wide_mean).to(outputs.dtype)


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
    quantities: tuple[str, ...] = ()  # names of the target's columns, where they have some
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
        return in_units(outputs, self.target_mean, self.target_std)

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
