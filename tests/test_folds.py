"""k-fold validation: `data.folds` and `data.fold`."""

from dataclasses import replace

import pytest
import torch
from conftest import Trainer
from running import SILENT

from trainer import data
from trainer.config.data import Data
from trainer.data.preparing import prepare
from trainer.data.sets.diabetes import Diabetes
from trainer.data.splits import Dataset, Split
from trainer.system.errors import ConfigError, DataError


def numbered(total: int = 53, groups: torch.Tensor | None = None) -> Dataset:
    """Samples that are their own numbers, of two classes of unequal size."""
    inputs = torch.arange(float(total))[:, None]
    targets = (torch.arange(total) % 4 == 0).long()
    test = Split(inputs + 1000, targets)
    return Dataset("numbered", Split(inputs, targets, groups=groups), test, classes=("a", "b"), stratify=True)


def numbers(split: Split | None) -> list[int]:
    assert split is not None
    return split.inputs[:, 0].long().tolist()


def folds(raw: Dataset, count: int, **keys: object) -> list[Dataset]:
    return [prepare(raw, Data("numbered", folds=count, fold=k, **keys)) for k in range(count)]  # type: ignore[arg-type]


def test_each_training_sample_validates_in_one_fold_and_trains_in_the_others() -> None:
    found = folds(numbered(), 5)

    assert sorted(n for fold in found for n in numbers(fold.val)) == list(range(53))
    for fold in found:
        assert sorted(numbers(fold.train) + numbers(fold.val)) == list(range(53))
        assert numbers(fold.test) == list(range(1000, 1053))
        assert fold.val is not None
        assert int(fold.val.targets.sum()) in (2, 3)  # of the 14 of this class


def test_folds_are_of_split_seed_alone_and_no_matter_of_val_fraction() -> None:
    one, same, other = (
        [numbers(fold.val) for fold in folds(numbered(), 3, **keys)]
        for keys in ({}, {"val_fraction": 0.5, "batch_size": 7}, {"split_seed": 1})
    )
    assert one == same
    assert one != other


def test_a_group_validates_as_a_whole() -> None:
    groups = torch.arange(53) // 5
    for fold in folds(numbered(groups=groups), 4):
        assert not {n // 5 for n in numbers(fold.train)} & {n // 5 for n in numbers(fold.val)}


def test_the_test_split_is_the_same_for_all_folds_and_mean_and_deviation_are_of_the_training_part() -> None:
    found = [data.load(Diabetes(folds=5, fold=k)) for k in range(5)]

    for fold in found:
        assert torch.equal(fold.test.inputs, found[0].test.inputs)
        torch.testing.assert_close(torch.tensor(fold.mean, dtype=torch.float64), fold.train.inputs.double().mean(0))
    assert len({fold.mean for fold in found}) == 5


def test_a_validation_set_that_is_there_already_is_not_divided_again() -> None:
    raw = numbered()
    with pytest.raises(ConfigError, match="has a validation set of its own"):
        folds(replace(raw, val=raw.test), 5)


def test_more_folds_than_samples_are_refused() -> None:
    with pytest.raises(DataError, match="there are 4 samples to divide"):
        data.load(Diabetes(limit=4, folds=5, fold=0))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("data.fold=0", "of how many is not said"),
        ("data.folds=5", "trainer train -m 'data.fold=range(5)'"),
        ("data.folds=5 data.fold=5", "there are 5 folds, from 0 to 4"),
        ("data.folds=1 data.fold=0", "it must be at least 2"),
        ("data.folds=5 data.fold=-1", "it must be at least 0"),
    ],
)
def test_a_mistake_with_folds_is_a_line(trainer: Trainer, keys: str, said: str) -> None:
    ran = trainer("train", "model=linear", *SILENT, *keys.split())
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 2
