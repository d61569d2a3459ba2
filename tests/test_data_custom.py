"""Data sets of the user's own, in both forms."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from trainer.data.custom import adapt
from trainer.data.splits import Dataset as Loaded
from trainer.data.splits import Split
from trainer.system.errors import DataError

IMAGES, LABELS = torch.arange(6 * 12, dtype=torch.uint8).view(6, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2])


class Pairs(Dataset[tuple[Any, int]]):
    """A map-style data set as people write them: numpy inputs, plain integers."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return IMAGES[index].numpy(), int(LABELS[index])


@pytest.mark.parametrize(
    "split",
    [
        (IMAGES, LABELS),
        (IMAGES.numpy(), LABELS.numpy()),
        (IMAGES, LABELS.int()),
        TensorDataset(IMAGES, LABELS),
        Pairs(),
        list(Pairs()),
    ],
    ids=["tensors", "arrays", "int32", "TensorDataset", "pairs", "list"],
)
def test_tensors_and_map_style_datasets_are_the_same(split: Any) -> None:
    found = adapt(SimpleNamespace(train=split, test=(IMAGES[:2], LABELS[:2]), val=split), "mine")
    assert found.val is not None
    for part in (found.train, found.val):
        assert torch.equal(part.inputs, IMAGES)
        assert torch.equal(part.targets, LABELS)
        assert part.targets.dtype == torch.int64
    assert found.classes == ("0", "1", "2")
    assert (found.mean, found.std, found.name) == (None, None, "mine")


def test_float_targets_are_values_with_columns() -> None:
    x = torch.randn(6, 4)
    flat = adapt(SimpleNamespace(train=(x, x[:, 0]), test=(x, x[:, 0])), "mine")
    wide = adapt(SimpleNamespace(train=(x, x[:, :3]), test=(x, x[:, :3])), "mine")
    assert flat.train.targets.shape == (6, 1)
    assert wide.train.targets.shape == (6, 3)
    assert flat.classes is None


def test_classes_mean_and_std_are_taken_along() -> None:
    given = SimpleNamespace(
        train=(IMAGES, LABELS),
        test=(IMAGES, LABELS),
        classes=["a", "b", "c"],
        mean=torch.tensor([0.1, 0.2, 0.3]),
        std=np.ones(3),
    )
    found = adapt(given, "mine")
    assert found.classes == ("a", "b", "c")
    assert found.mean == pytest.approx((0.1, 0.2, 0.3))
    assert found.std == (1, 1, 1)


def test_a_dataset_of_ours_passes_through() -> None:
    ours = Loaded("x", Split(IMAGES, LABELS), Split(IMAGES, LABELS))
    assert adapt(ours, "mine") is ours


GOOD = (IMAGES, LABELS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"test": GOOD}, "mine has no attribute 'train'"),
        ({"train": GOOD}, "mine has no attribute 'test'"),
        ({"train": (IMAGES, LABELS[:3]), "test": GOOD}, r"mine\.train: 6 inputs and 3 targets"),
        ({"train": (IMAGES[:0], LABELS[:0]), "test": GOOD}, r"mine\.train: 0 inputs and 0 targets"),
        ({"train": GOOD, "test": (IMAGES[:, 0], LABELS)}, r"mine\.test: inputs have shape \(6, 2, 2\)"),
        ({"train": GOOD, "test": GOOD, "val": 5}, r"mine\.val is neither"),
        ({"train": ["no", "pairs"], "test": GOOD}, r"mine\.train is neither"),
        ({"train": [(IMAGES[0], 0), (IMAGES[0, 0], 1)], "test": GOOD}, r"mine\.train is neither"),
        ({"train": ("inputs", "targets"), "test": GOOD}, "mine"),
        ({"train": (IMAGES, LABELS - 1), "test": GOOD}, "mine"),
        ({"train": GOOD, "test": GOOD, "classes": ["a", "b"]}, "mine"),
        ({"train": GOOD, "test": (IMAGES[:, :1], LABELS)}, "mine"),
        ({"train": GOOD, "test": GOOD, "mean": 0.5, "std": 0.5}, "mine"),
    ],
    ids=[
        "no train", "no test", "lengths", "empty", "dimensions", "val", "no pairs", "ragged", "words",
        "negative labels", "labels beyond the classes", "shapes differ", "mean is no list",
    ],
)  # fmt: skip
def test_what_is_missing_or_misshapen_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        adapt(SimpleNamespace(**given), "mine")


def test_one_hot_targets_are_refused() -> None:
    pair = (torch.rand(4, 2), torch.eye(4, dtype=torch.int64))
    with pytest.raises(DataError, match=r"targets have shape \(4, 4\)"):
        adapt(SimpleNamespace(train=pair, test=pair), "mine")
