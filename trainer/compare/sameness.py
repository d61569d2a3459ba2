"""Whether two trainings are the same: to the bit, within rounding, or up to where they part."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# The relative difference up to which it is rounding: sums in another order, on another machine, add up over many steps.
ROUNDING = {"float32": 1e-4, "float64": 1e-9, "tf32": 1e-2, "bfloat16": 1e-2}
TIMES = ("seconds", "samples_per_second")
NEGLIGIBLE = 1e-6  # of the largest value of a curve: what is smaller is compared with that

Row = Mapping[str, float]


@dataclass(frozen=True)
class Apart:
    """A figure that differs: where it stands, both values, and their relative difference."""

    where: str
    one: float
    other: float
    relative: float

    def __str__(self) -> str:
        return f"{self.where}: {self.one!r} and {self.other!r}"


@dataclass(frozen=True)
class Compared:
    """How much was compared; the figure that differs first, first by more than rounding, and most."""

    count: int
    first: Apart | None = None
    beyond: Apart | None = None
    worst: Apart | None = None

    @property
    def equal(self) -> bool:
        """Whether all are equal to the bit."""
        return self.first is None


def curves(before: Sequence[Row], after: Sequence[Row], rounding: float) -> Compared:
    """Compare the rows of the same steps in two curves, but for times. A figure that only one has is none of them."""
    again = {(row["epoch"], row["step"]): row for row in after}
    common = [(row, other) for row in before if (other := again.get((row["epoch"], row["step"]))) is not None]
    names = dict.fromkeys(name for row, _ in common for name in row if name not in (*TIMES, "epoch", "step"))
    scale = {name: NEGLIGIBLE * max((_size(row.get(name)) for row, _ in common), default=0.0) for name in names}
    found = []
    for row, other in common:
        at = f"epoch {row['epoch']:.0f}, step {row['step']:,.0f}"
        for name in names:
            if name in row and name in other:
                relative = _relative(row[name], other[name], scale[name])
                found.append(Apart(f"{at}, {name}", row[name], other[name], relative))
    return _summed(found, rounding, len(common))


def weights(before: Mapping[str, Tensor], after: Mapping[str, Tensor], rounding: float) -> Compared:
    """Compare the tensors of two models: each by its largest difference, relative to its largest value.

    Tensors that only one has, or of another shape or kind, differ beyond any rounding.
    """
    found, count = [], 0
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name), after.get(name)
        count += 0 if one is None else one.numel()
        if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
            found.append(Apart(f"the weights, {name}", math.nan, math.nan, math.inf))
        elif not _same_bits(one, other):
            apart = (one.double() - other.double()).abs()
            place = int(apart.nan_to_num(math.inf).argmax())
            largest = float(one.double().abs().max())
            relative = _relative(float(apart.max()), 0.0, largest) if largest else math.inf
            found.append(
                Apart(f"the weights, {name}", float(one.flatten()[place]), float(other.flatten()[place]), relative)
            )
    return _summed(found, rounding, count)


def _summed(found: Sequence[Apart], rounding: float, count: int) -> Compared:
    apart = [one for one in found if one.relative > 0]
    beyond = next((one for one in apart if one.relative > rounding), None)
    worst = max(apart, key=lambda one: one.relative, default=None)
    return Compared(count, apart[0] if apart else None, beyond, worst)


def _relative(one: float, other: float, least: float) -> float:
    """The difference relative to the larger of both, and to `least` at least; infinite beside what is not finite."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other), least)


def _size(value: Any) -> float:
    return abs(value) if value is not None and math.isfinite(value) else 0.0


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))
