"""What a checkpoint says about the data that its model was trained on, and whether the data here are the same."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trainer.checkpoint import Checkpoint
from trainer.data.splits import Dataset, Split
from trainer.system.errors import CheckpointError
from trainer.system.shown import counted, shortened


def described(loaded: Dataset) -> dict[str, Any]:
    """Describe a data set as plain values: its samples, classes and columns, how they are normalised, a fingerprint.

    The `shape` is that of a sample, (C, H, W) or (F,); images of `bytes` have values of 0 to 255. A model has so many
    `outputs`: classes, or target columns.
    """
    return {
        "shape": list(loaded.train.shape),
        "bytes": loaded.train.dtype == torch.uint8,
        "outputs": loaded.facts()["outputs"],
        "classes": None if loaded.classes is None else list(loaded.classes),
        "mean": None if loaded.mean is None else list(loaded.mean),
        "std": None if loaded.std is None else list(loaded.std),
        "target_mean": None if loaded.target_mean is None else list(loaded.target_mean),
        "target_std": None if loaded.target_std is None else list(loaded.target_std),
        "columns": list(loaded.columns),
        "plan": None if loaded.plan is None else list(loaded.plan),
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


def as_trained(loaded: Dataset, said: Mapping[str, Any]) -> Dataset:
    """Give `loaded` the classes, in their order, and the normalisation that a model was trained with, as `said`.

    Classes are matched by their names. Samples of a class that the model does not know are left out, and noted.

    Raises:
        CheckpointError: The model was trained on other classes or columns, or on values.
    """
    columns = said.get("columns")
    if columns and loaded.columns and list(loaded.columns) != list(columns):
        raise _of_another_kind("columns", columns, loaded.columns, loaded.name)
    classes = said.get("classes")
    if classes and loaded.classes is not None:
        loaded = _with_classes(loaded, classes)
    for mean, std in (("mean", "std"), ("target_mean", "target_std")):
        here = getattr(loaded, mean)
        values: dict[str, Any] = {name: tuple(map(float, said.get(name) or ())) for name in (mean, std)}
        if here is not None and all(len(found) == len(here) for found in values.values()):
            loaded = replace(loaded, **values)
    return loaded


def _with_classes(loaded: Dataset, classes: Sequence[str]) -> Dataset:
    here = loaded.classes
    assert here is not None
    if list(here) == list(classes):
        return loaded
    numbers = {name: number for number, name in enumerate(classes)}
    if not numbers.keys() & set(here):
        raise _of_another_kind("classes", classes, here, loaded.name)
    known = torch.tensor([numbers.get(name, -1) for name in here])
    every = torch.cat([split.targets for split in (loaded.train, loaded.val, loaded.test) if split is not None])
    counts = torch.bincount(every, minlength=len(here)).tolist()
    notes = [
        f"left out {counted(count, 'sample')} of class '{shortened(name, 60, '...')}', which the model does not know"
        for name, count in zip(here, counts, strict=True)
        if count and name not in numbers
    ]
    return replace(
        loaded,
        train=_renumbered(loaded.train, known),
        val=None if loaded.val is None else _renumbered(loaded.val, known),
        test=_renumbered(loaded.test, known),
        classes=tuple(classes),
        notes=(*loaded.notes, *notes),
    )


def _renumbered(split: Split, known: Tensor) -> Split:
    """The samples of classes that have a number, with that as their target."""
    targets = known[split.targets]
    return replace(split, targets=targets).take((targets >= 0).nonzero()[:, 0])


def _of_another_kind(what: str, there: Any, here: Any, name: str) -> CheckpointError:
    return CheckpointError(
        f"the model was trained on {what} {_few(there)}; data={name} has {_few(here)}",
        "evaluate it on data of its own kind",
    )


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
