"""A data set of the user's own class or function."""

import math
from typing import Any

import torch
from torch import Tensor

from trainer.data.splits import Dataset, Split
from trainer.system.errors import DataError

PART = 1024  # samples checked at a time, so that no copy of all is made


def adapt(given: Any, name: str) -> Dataset:
    """Make a `Dataset` from an object that has `train` and `test`, and may have `val`, `classes`, `mean` and `std`.

    Each split is a pair of tensors (inputs, targets), or a `torch.utils.data.Dataset` of such pairs.
    Integer targets are classes, float targets are values. Without `mean` and `std` inputs are not changed,
    except that uint8 images become 0..1.

    Raises:
        DataError: Something is missing, has the wrong shape or is not finite.
    """
    if isinstance(given, Dataset):
        for part, split in (("train", given.train), ("val", given.val), ("test", given.test)):
            if split is not None:
                _finite(split.targets, f"{name}.{part}: target")
                if isinstance(split.samples, torch.Tensor):
                    _finite(split.samples, f"{name}.{part}: input")
        return given
    for part in ("train", "test"):
        if not hasattr(given, part):
            raise DataError(
                f"{name} has no attribute '{part}'", "a data set has train and test, each (inputs, targets)"
            )
    splits = {part: _split(getattr(given, part), f"{name}.{part}") for part in ("train", "test")}
    if getattr(given, "val", None) is not None:
        splits["val"] = _split(given.val, f"{name}.val")
    classes = _classes(getattr(given, "classes", None), splits, name)
    train = splits["train"]
    for part, split in splits.items():
        if split.shape != train.shape:
            shapes = f"{tuple(split.shape)} and {tuple(train.shape)}"
            raise DataError(f"{name}: samples of {part} and train have different shapes, {shapes}")
    mean, std = (_numbers(getattr(given, key, None), f"{name}.{key}") for key in ("mean", "std"))
    if std is not None and min(std, default=1) <= 0:
        raise DataError(f"{name}.std is {std}, and inputs are divided by it", "numbers above 0")
    return Dataset(
        name,
        train=train,
        test=splits["test"],
        val=splits.get("val"),
        classes=classes,
        mean=mean,
        std=std,
    )


def _classes(given: Any, splits: dict[str, Split], name: str) -> tuple[str, ...] | None:
    """The names of the classes, or their numbers where no names are given; None if the targets are values."""
    floating = {split.targets.is_floating_point() for split in splits.values()}
    if len(floating) > 1:
        raise DataError(f"{name}: some splits have classes (integer targets) and some values (float targets)")
    if floating == {True}:
        return None
    low = min(int(split.targets.min()) for split in splits.values())
    high = max(int(split.targets.max()) for split in splits.values())
    classes = tuple(map(str, given if given is not None else range(high + 1)))
    if low < 0 or high >= len(classes):
        raise DataError(f"{name}: class indices go from {low} to {high}, but there are {len(classes)} classes")
    return classes


def _split(given: Any, where: str) -> Split:
    try:
        if not (isinstance(given, tuple) and len(given) == 2):
            samples = [given[i] for i in range(len(given))]
            given = (
                torch.stack([torch.as_tensor(x) for x, _ in samples]),
                torch.stack([torch.as_tensor(y) for _, y in samples]),
            )
        inputs, targets = torch.as_tensor(given[0]), torch.as_tensor(given[1])
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{where} is neither (inputs, targets) nor a map-style dataset of such pairs: {error}",
            "inputs of one shape, images as (C, H, W) tensors",
        ) from error
    if inputs.dim() not in (2, 4):
        raise DataError(f"{where}: inputs have shape {tuple(inputs.shape)}", "features (N, F) or images (N, C, H, W)")
    if targets.dim() == 0 or len(inputs) != len(targets) or len(inputs) == 0:
        raise DataError(f"{where}: {len(inputs)} inputs and {targets.numel()} targets")
    if not targets.is_floating_point() and targets.numel() != len(targets):
        raise DataError(
            f"{where}: targets have shape {tuple(targets.shape)}", "class indices (N,), not one-hot; or floats"
        )
    flat = targets.reshape(len(targets), -1) if targets.is_floating_point() else targets.long().reshape(-1)
    _finite(inputs, f"{where}: input")
    _finite(flat, f"{where}: target")
    if inputs.dim() == 4:  # the layout that batches need: so no second copy is made later
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return Split(inputs, flat)


def _finite(values: Tensor, where: str) -> None:
    """Refuse values that are not finite, or not in single precision: one of them would make every weight NaN."""
    if not values.is_floating_point():
        return
    for start in range(0, len(values), PART):
        part = values[start : start + PART].float()
        bad = (~part.reshape(len(part), -1).isfinite()).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            found = values[start + row].flatten()[column].item()
            raise DataError(
                f"{where} number {start + row} (from 0) has {found}", "leave this sample out, or replace the value"
            )


def _numbers(values: Any, where: str) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} is {values!r}, not a number per channel or feature") from error
    if not all(map(math.isfinite, found)):
        raise DataError(f"{where} is {found}, and no infinite or missing value can be used")
    return found
