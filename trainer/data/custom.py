"""A data set of the user's own class or function."""

from typing import Any

import torch
from torch import Tensor

from trainer.data.splits import Dataset, Split
from trainer.errors import DataError


def adapt(given: Any, name: str) -> Dataset:
    """Make a `Dataset` of an object with `train` and `test`, and maybe `val`, `classes`, `mean` and `std`.

    Each split is a pair of tensors (inputs, targets), or a `torch.utils.data.Dataset` of such pairs.
    Integer targets are classes, float targets values. Without `mean` and `std` inputs stay as they are
    (uint8 images become 0..1).

    Raises:
        DataError: something is missing or has the wrong shape.
    """
    if isinstance(given, Dataset):
        return given
    for part in ("train", "test"):
        if not hasattr(given, part):
            raise DataError(
                f"{name} has no attribute '{part}'", "a data set has train and test, each (inputs, targets)"
            )
    train, test = (_split(getattr(given, part), f"{name}.{part}") for part in ("train", "test"))
    val = getattr(given, "val", None)
    classes = getattr(given, "classes", None)
    if classes is None and not train.targets.is_floating_point():
        classes = [str(c) for c in range(int(torch.cat([train.targets, test.targets]).max()) + 1)]
    return Dataset(
        name,
        train=train,
        test=test,
        val=None if val is None else _split(val, f"{name}.val"),
        classes=None if classes is None else tuple(map(str, classes)),
        mean=_numbers(getattr(given, "mean", None)),
        std=_numbers(getattr(given, "std", None)),
    )


def _split(given: Any, where: str) -> Split:
    if not (isinstance(given, tuple) and len(given) == 2):
        try:
            samples = [given[i] for i in range(len(given))]
            given = (
                torch.stack([torch.as_tensor(x) for x, _ in samples]),
                torch.stack([torch.as_tensor(y) for _, y in samples]),
            )
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{where} is neither (inputs, targets) nor a map-style dataset of such pairs: {error}",
                "inputs of one shape, images as (C, H, W) tensors",
            ) from error
    inputs, targets = torch.as_tensor(given[0]), torch.as_tensor(given[1])
    if len(inputs) != len(targets) or len(inputs) == 0:
        raise DataError(f"{where}: {len(inputs)} inputs and {len(targets)} targets")
    if inputs.dim() not in (2, 4):
        raise DataError(f"{where}: inputs have shape {tuple(inputs.shape)}", "features (N, F) or images (N, C, H, W)")
    flat = targets.view(len(targets), -1) if targets.is_floating_point() else targets.long().view(-1)
    return Split(inputs, flat)


def _numbers(values: Tensor | list[float] | tuple[float, ...] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(v) for v in values)
