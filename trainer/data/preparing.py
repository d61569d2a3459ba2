"""A raw data set made ready for training: limited, split, and measured on the training samples."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trainer.config.data import Data, Pictures
from trainer.data import copies
from trainer.data.dividing import divide, fold
from trainer.data.splits import Dataset, Split
from trainer.system.errors import ConfigError


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
