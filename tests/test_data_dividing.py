"""Random divisions of samples, and the digests by which equal samples are found again."""

import pytest
import torch
from sklearn.model_selection import StratifiedKFold

from trainer.data.digests import digests
from trainer.data.dividing import divide, fold
from trainer.data.splits import Split
from trainer.system.errors import DataError

LABELS = torch.tensor([0] * 70 + [1] * 20 + [2] * 9 + [3])


def test_each_class_has_its_share_of_both_parts_and_a_single_sample_is_trained_on():
    first, second = divide(100, 0.2, 3, "data.test_fraction", strata=LABELS)

    assert sorted([*first.tolist(), *second.tolist()]) == list(range(100))
    counts = LABELS[second].bincount(minlength=4)
    assert len(second) == 20
    assert all(abs(counts[c] - 0.2 * (c == LABELS).sum()) <= 1 for c in range(3))
    assert counts[3] == 0


def test_another_seed_divides_otherwise_and_the_same_one_equally():
    one, same, other = (divide(100, 0.2, seed, "data.test_fraction", strata=LABELS)[1] for seed in (1, 1, 2))

    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_group_is_in_one_part_only_and_the_parts_have_about_their_sizes():
    groups = torch.arange(120) // 6

    first, second = divide(120, 0.25, 0, "data.test_fraction", groups=groups)

    assert not set(groups[first].tolist()) & set(groups[second].tolist())
    assert len(second) == 30


def test_a_group_of_nearly_all_samples_cannot_be_divided():
    with pytest.raises(DataError, match="one group has nearly all of the samples"):
        divide(100, 0.2, 0, "data.test_fraction", groups=torch.zeros(100))


@pytest.mark.parametrize("strata", [None, LABELS])
def test_every_sample_is_in_exactly_one_fold(strata):
    parts = [fold(100, 7, k, 0, strata=strata) for k in range(7)]

    assert sorted(torch.cat([held_out for _, held_out in parts]).tolist()) == list(range(100))
    for rest, held_out in parts:
        assert sorted([*rest.tolist(), *held_out.tolist()]) == list(range(100))
        assert len(held_out) in (14, 15)


def test_folds_have_as_many_of_each_class_as_scikit_learns():
    found = [LABELS[fold(100, 5, k, 0, strata=LABELS)[1]].bincount(minlength=4) for k in range(5)]

    with pytest.warns(UserWarning, match="least populated class"):
        theirs = [LABELS[torch.from_numpy(test)].bincount(minlength=4) for _, test in _stratified(5)]
    for c in range(4):
        assert sorted(int(counts[c]) for counts in found) == sorted(int(counts[c]) for counts in theirs)


def _stratified(folds):
    return list(StratifiedKFold(folds).split(LABELS, LABELS))


def test_folds_do_not_cut_groups():
    groups = torch.randint(20, (200,), generator=torch.Generator().manual_seed(0))

    parts = [fold(200, 4, k, 0, groups=groups) for k in range(4)]

    assert sum(len(held_out) for _, held_out in parts) == 200
    for rest, held_out in parts:
        assert not set(groups[rest].tolist()) & set(groups[held_out].tolist())
        assert 40 <= len(held_out) <= 60


def test_more_folds_than_samples_are_refused():
    with pytest.raises(DataError, match="there are 3 samples to divide"):
        fold(3, 4, 0, 0)
    with pytest.raises(DataError, match="there are 2 groups to divide"):
        fold(30, 3, 0, 0, groups=torch.arange(30) % 2)


@pytest.mark.parametrize(
    "inputs",
    [
        torch.randint(0, 256, (50, 3, 7, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
        torch.cartesian_prod(*[torch.arange(4.0, dtype=torch.float64)] * 4),
        torch.eye(40),
    ],
    ids=["images", "small whole numbers", "one-hot"],
)
def test_different_samples_have_different_digests_and_equal_ones_the_same_wherever_they_are(inputs):
    targets = torch.zeros(len(inputs))
    found = digests(Split(inputs, targets))
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(1))

    assert len(found.unique()) == len(inputs)
    assert torch.equal(digests(Split(inputs, targets).take(order)), found[order])
    if inputs.dim() == 4:
        assert torch.equal(digests(Split(inputs.contiguous(memory_format=torch.channels_last), targets)), found)


def test_digests_are_those_of_a_plain_loop_over_the_words():
    inputs = torch.arange(10.0).view(2, 5)  # 20 bytes: the last word is filled up

    assert digests(Split(inputs, torch.zeros(2))).tolist() == [_plain(row.numpy().tobytes()) for row in inputs]


def _plain(content):
    content += bytes(-len(content) % 8)
    total = 0
    for place in range(len(content) // 8):
        word = int.from_bytes(content[8 * place : 8 * place + 8], "little")
        total += _splitmix(word) * (_splitmix((place + 1) * 0x9E3779B97F4A7C15) | 1)
    found = _splitmix(total)
    return found - 2**64 if found >= 2**63 else found


def _splitmix(word):
    word %= 2**64
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)
