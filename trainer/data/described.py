"""What a checkpoint says about the data that its model was trained on, and whether the data here are the same."""

import hashlib
from dataclasses import replace
from typing import Any

import torch

from trainer.checkpoint import Checkpoint
from trainer.data.splits import Dataset, Split
from trainer.system.errors import CheckpointError
from trainer.system.shown import shortened


def described(loaded: Dataset) -> dict[str, Any]:
    """Describe a data set by classes, normalisation, columns, number of samples and fingerprint, as plain values."""
    return {
        "classes": None if loaded.classes is None else list(loaded.classes),
        "mean": None if loaded.mean is None else list(loaded.mean),
        "std": None if loaded.std is None else list(loaded.std),
        "columns": list(loaded.columns),
        "levels": None if loaded.levels is None else list(loaded.levels),
        "samples": _samples(loaded),
        "fingerprint": fingerprint(loaded.train),
    }


def fingerprint(split: Split) -> str:
    """A digest of all targets and at most 16 inputs, which tells data sets apart without reading all of them."""
    few = split[torch.linspace(0, len(split) - 1, min(16, len(split))).long()]
    digest = hashlib.blake2b(digest_size=16)
    for part in (split.targets, few):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def trained_on(loaded: Dataset, found: Checkpoint) -> Dataset:
    """Give `loaded` the normalisation that the model was trained with.

    Raises:
        CheckpointError: The model was trained on other classes or columns.
    """
    if found.bare:
        return loaded
    said = found.description
    for what, here in (("classes", loaded.classes), ("columns", loaded.columns)):
        there = said.get(what)
        if there and here is not None and list(here) != list(there):
            raise CheckpointError(
                f"{found.path} was trained on {what} {_few(there)}; data={loaded.name} has {_few(here)}",
                "evaluate it on data of its own kind",
            )
    mean, std = said.get("mean"), said.get("std")
    if mean is None or std is None or loaded.mean is None or len(mean) != len(loaded.mean):
        return loaded
    return replace(loaded, mean=tuple(map(float, mean)), std=tuple(map(float, std)))


def changed(loaded: Dataset, found: Checkpoint) -> str:
    """A note for the user if the data have not as many samples as in training, for then random splits differ; or ""."""
    before, now = found.description.get("samples"), _samples(loaded)
    if before is None or before == now:
        return ""
    return f"trained on {before:,} samples in all, now there are {now:,}: the splits may not be those of the training"


def _samples(loaded: Dataset) -> int:
    return sum(len(split) for split in (loaded.train, loaded.val, loaded.test) if split is not None)


def _few(names: Any) -> str:
    more = f", ... ({len(names)})" if len(names) > 4 else ""
    return ", ".join(shortened(str(name), 60, "...") for name in names[:4]) + more
