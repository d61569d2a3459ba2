"""Samples divided at random: into two parts, or into folds."""

import torch
from torch import Tensor

from trainer.system.errors import DataError


def divide(
    total: int,
    fraction: float,
    seed: int,
    key: str,
    where: str = "",
    strata: Tensor | None = None,
    groups: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Divide the indices below `total` at random; the second part holds `fraction` of them.

    With `strata`, class indices (total,), each class is divided so, to within one sample, and one that has a single
    sample stays in the first part. With `groups`, group indices (total,), the samples of a group stay together, and
    the second part is as near to its size as whole groups allow; strata are then no matter.

    Raises:
        DataError: A part would be empty.
    """
    second = round(total * fraction)
    if not 0 < second < total:
        raise DataError(
            f"{key}={fraction} of {total} samples{where} leaves an empty split", "change it, or use more data"
        )
    generator = torch.Generator().manual_seed(seed)
    if groups is not None:
        held_out = _some_groups(groups, second, generator)
        if not 0 < int(held_out.sum()) < total:
            raise DataError(f"{key}={fraction}: one group{where} has nearly all of the samples", "use more groups")
    elif strata is not None:
        held_out = _some_of_each(strata, second, generator)
    else:
        order = torch.randperm(total, generator=generator)
        return order[second:].sort().values, order[:second].sort().values
    return (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]


def fold(
    total: int, folds: int, which: int, seed: int, strata: Tensor | None = None, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Divide the indices below `total` into `folds` parts at random: all but part number `which`, and that part.

    Every index is in exactly one of the parts. `strata` and `groups` are as for `divide`.

    Raises:
        DataError: There are fewer samples, or groups, than folds.
    """
    units, what = (total, "samples") if groups is None else (len(torch.unique(groups)), "groups")
    if units < folds:
        raise DataError(f"data.folds={folds}: there are {units} {what} to divide", "use fewer folds")
    generator = torch.Generator().manual_seed(seed)
    if groups is not None:
        part = _fold_of_groups(groups, folds, generator)
    else:
        part = torch.empty(total, dtype=torch.int64)
        part[_by_stratum(strata if strata is not None else torch.zeros(total), generator)] = torch.arange(total) % folds
    return (part != which).nonzero()[:, 0], (part == which).nonzero()[:, 0]


def _by_stratum(strata: Tensor, generator: torch.Generator) -> Tensor:
    """All indices, those of a stratum together and in random order."""
    order = torch.randperm(len(strata), generator=generator)
    return order[strata[order].sort(stable=True).indices]


def _some_of_each(strata: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Which of the samples (N,) are `count` that are spread evenly over the strata; of a single one, none."""
    order = _by_stratum(strata, generator)
    several = order[torch.bincount(strata)[strata[order]] > 1]
    count = min(count, len(several) - 1)
    chosen = torch.zeros(len(strata), dtype=torch.bool)
    passed = torch.arange(len(several) + 1).mul_(count).div_(max(1, len(several)), rounding_mode="floor")
    chosen[several[passed.diff() > 0]] = True  # `passed`: how many are chosen among the first
    return chosen


def _some_groups(groups: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Which of the samples (N,) are in random groups that have about `count` of them together."""
    names, member, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    chosen, total = torch.zeros(len(names), dtype=torch.bool), 0
    for name in torch.randperm(len(names), generator=generator).tolist():
        size = int(sizes[name])
        if abs(total + size - count) < abs(total - count):
            chosen[name], total = True, total + size
    return chosen[member]


def _fold_of_groups(groups: Tensor, folds: int, generator: torch.Generator) -> Tensor:
    """The fold (N,) of each sample: large groups first, each into the fold that has fewest samples so far."""
    _, member, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    order = torch.randperm(len(sizes), generator=generator)
    place, filled = torch.empty(len(sizes), dtype=torch.int64), [0] * folds
    for group in order[sizes[order].sort(descending=True, stable=True).indices].tolist():
        place[group] = smallest = min(range(folds), key=filled.__getitem__)
        filled[smallest] += int(sizes[group])
    return place[member]
