"""Splits, limits and normalisation of every data set, and the data sets that need no files."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import datasets as sk
from sklearn.linear_model import LinearRegression

from trainer import data
from trainer.config.data import Data
from trainer.data.dividing import divide
from trainer.data.preparing import prepare
from trainer.data.sets.diabetes import Diabetes
from trainer.data.sets.digits import Digits
from trainer.data.sets.line import Line
from trainer.data.sets.quadratic import Quadratic
from trainer.data.sets.regression import Regression
from trainer.data.splits import Dataset, Split
from trainer.system.errors import DataError

PARTS = ("train", "val", "test")


def numbered(train: int = 40, test: int = 10) -> Dataset:
    """Images whose single pixel is their own number: a sample in two splits would show."""
    numbers = torch.arange(train + test)
    everything = Split(numbers.to(torch.uint8).view(-1, 1, 1, 1), numbers % 2)
    return Dataset("numbered", everything.take(slice(train)), everything.take(slice(train, None)), classes=("0", "1"))


def members(dataset: Dataset, part: str) -> list[int]:
    split = getattr(dataset, part)
    return [] if split is None else [int(v) for v in split.inputs.flatten()]


# --- splits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.9])
@pytest.mark.parametrize("limit", [None, 10, 1000])
def test_splits_never_share_a_sample(fraction: float, limit: int | None) -> None:
    found = prepare(numbered(), Data(name="x", val_fraction=fraction, limit=limit))
    train, val, test = (members(found, part) for part in PARTS)
    used = 40 if limit is None else min(limit, 40)
    assert sorted(train + val) == list(range(used))
    assert test == list(range(40, 50))
    assert len(val) == round(fraction * used)


def test_the_validation_split_depends_on_split_seed_alone() -> None:
    def val(split_seed: int) -> list[int]:
        return members(prepare(numbered(), Data(name="x", split_seed=split_seed)), "val")

    torch.manual_seed(1)
    first = val(0)
    torch.manual_seed(2)
    assert val(0) == first
    assert val(1) != first


def test_a_limit_is_a_prefix_of_each_split() -> None:
    raw = numbered()
    raw = Dataset(raw.name, raw.train, raw.test, val=raw.test, classes=raw.classes)
    found = prepare(raw, Data(name="x", limit=7))
    assert [members(found, part) for part in PARTS] == [list(range(7)), list(range(40, 47)), list(range(40, 47))]


def test_a_validation_split_that_is_there_is_kept() -> None:
    raw = numbered()
    raw = Dataset(raw.name, raw.train, raw.test, val=raw.test, classes=raw.classes)
    found = prepare(raw, Data(name="x", val_fraction=0.5))
    assert len(found.train) == 40
    assert found.val is raw.val


@pytest.mark.parametrize(("total", "fraction"), [(4, 0.1), (4, 0.9), (1, 0.5)])
def test_a_split_that_would_be_empty_is_refused(total: int, fraction: float) -> None:
    with pytest.raises(DataError, match=rf"data\.val_fraction={fraction} of {total} samples leaves an empty split"):
        divide(total, fraction, 0, "data.val_fraction")


def test_a_data_set_without_validation_split_says_so() -> None:
    found = prepare(numbered(), Data(name="x", val_fraction=0))
    assert found.val is None
    with pytest.raises(DataError, match="numbered has no validation set"):
        found.split("val")
    assert found.split("test") is found.test


# --- mean and standard deviation ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_mean_and_std_are_of_the_training_part_only(kind: torch.dtype) -> None:
    pixels = torch.randint(256, (60, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    images = pixels.to(torch.uint8) if kind == torch.uint8 else pixels.float() / 255
    everything = Split(images, torch.arange(60))
    raw = Dataset("x", everything.take(slice(40)), everything.take(slice(40, None)), standardise=True)
    found = prepare(raw, Data(name="x", val_fraction=0.25))
    training = pixels[found.train.targets].double().numpy() / 255
    assert found.mean == pytest.approx(training.mean((0, 2, 3)), rel=1e-6)
    assert found.std == pytest.approx(training.std((0, 2, 3)), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, 123456.789, -1e9])
@pytest.mark.parametrize("rows", [3, 7, 1001])
def test_a_constant_column_is_only_shifted(value: float, rows: int) -> None:
    table = torch.stack([torch.full((rows,), value), torch.arange(rows)], dim=1).double()
    table[:, 0] = value
    split = Split(table, torch.zeros(rows, 1))
    found = prepare(Dataset("x", split, split, standardise=True), Data(name="x", val_fraction=0))
    assert found.mean is not None
    assert found.std is not None
    assert found.mean[0] == pytest.approx(value)
    assert found.std[0] == 1


def test_mean_and_std_that_are_given_stay() -> None:
    raw = numbered()
    raw = Dataset(raw.name, raw.train, raw.test, mean=(0.1,), std=(0.2,), standardise=True)
    found = prepare(raw, Data(name="x"))
    assert (found.mean, found.std) == ((0.1,), (0.2,))


# --- what models take -----------------------------------------------------------------------------------


def test_facts_of_images_and_of_tables() -> None:
    image = data.load(Digits(limit=20, cache=None)).facts()
    assert image == {"features": 784, "num_classes": 10, "outputs": 10, "channels": 1, "size": 28}
    assert data.load(Diabetes()).facts() == {"features": 10, "outputs": 1}


# --- digits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10_000_000, 10**10])
def test_digits_that_do_not_fit_into_memory_are_refused(size: int) -> None:
    with pytest.raises(DataError, match=r"the samples take .* GiB, and .* GiB of memory are free"):
        data.load(Digits(size=size, cache=None))


def sorted_rows(*splits: Split | None) -> list[bytes]:
    return sorted(bytes(image.flatten().tolist()) for split in splits if split is not None for image in split.inputs)


def test_digits_are_scikit_learns_each_in_one_split() -> None:
    found = data.load(Digits(size=8, cache=None))
    assert [len(getattr(found, part)) for part in PARTS] == [1293, 144, 360]
    pixels = torch.from_numpy(sk.load_digits().data) * 255 / 16
    assert sorted_rows(found.train, found.val, found.test) == sorted(
        bytes(row) for row in pixels.round().int().tolist()
    )


def test_the_test_digits_are_a_fifth_of_each_class_whatever_the_seeds() -> None:
    torch.manual_seed(5)
    found, other = data.load(Digits(cache=None)), data.load(Digits(split_seed=9, cache=None))
    counts = torch.bincount(found.test.targets)
    fifths = torch.bincount(torch.from_numpy(sk.load_digits().target)) / 5
    assert float((counts - fifths).abs().max()) < 1
    assert torch.equal(found.test.inputs, other.test.inputs)
    assert not torch.equal(found.train.inputs, other.train.inputs)


@pytest.mark.parametrize("size", [8, 16, 28, 33])
def test_digits_are_scaled_up_as_pillow_does(size: int) -> None:
    """Bilinear, within one grey level; at size 8 the pixels themselves tell which digit it is."""
    pixels, labels = sk.load_digits(return_X_y=True)
    known = {bytes(np.rint(row * 255 / 16).astype(np.uint8)): i for i, row in enumerate(pixels)}
    small, found = (data.load(Digits(size=s, limit=50, cache=None)).train for s in (8, size))
    index = [known[bytes(image.flatten().tolist())] for image in small.inputs]
    assert found.targets.tolist() == labels[index].tolist()
    for image, number in zip(found.inputs, index, strict=True):
        original = Image.fromarray((pixels[number] * 255 / 16).reshape(8, 8).astype(np.float32))
        expected = np.asarray(original.resize((size, size), Image.Resampling.BILINEAR))
        assert np.abs(image[0].numpy() - expected).max() <= 1


# --- regression -----------------------------------------------------------------------------------------


def columns(split: Split) -> tuple[np.ndarray, np.ndarray]:
    return split.inputs.numpy(), split.targets.numpy()


def test_regression_is_scikit_learns_and_its_test_split_follows_the_same_function() -> None:
    found = data.load(Regression(val_fraction=0, batch_size=None))
    x, y = sk.make_regression(n_samples=100, n_features=1, noise=10, random_state=0)
    assert np.array_equal(found.train.inputs, x)
    assert np.array_equal(found.train.targets, y[:, None])
    assert (found.mean, found.std, found.classes) == (None, None, None)
    assert not set(found.test.inputs.flatten().tolist()) & set(x.flatten())

    train, test = (LinearRegression().fit(*columns(split)) for split in (found.train, found.test))
    assert test.coef_ == pytest.approx(train.coef_, rel=0.1)
    noise = found.test.targets.numpy() - train.predict(found.test.inputs.numpy())
    assert np.std(noise) == pytest.approx(10, rel=0.3)


@pytest.mark.parametrize("features", [1, 3])
def test_regression_without_noise_is_linear_in_both_splits(features: int) -> None:
    found = data.load(Regression(n_features=features, noise=0, val_fraction=0, data_seed=3))
    fitted = LinearRegression().fit(*columns(found.train))
    assert fitted.score(*columns(found.test)) == pytest.approx(1)


def test_line_has_40_points_with_noise_between_zero_and_one() -> None:
    found = data.load(Line(val_fraction=0))
    assert np.allclose(found.train.inputs.flatten(), np.linspace(-1, 1, 40), rtol=0, atol=1e-12)
    for split in (found.train, found.test):
        noise = split.targets - 2 * split.inputs - 5
        assert 0 <= float(noise.min()) < 0.2
        assert 0.8 < float(noise.max()) < 1
    assert not set(found.train.inputs.flatten().tolist()) & set(found.test.inputs.flatten().tolist())
    assert (found.mean, found.std) == (None, None)


def test_line_depends_on_data_seed_alone() -> None:
    torch.manual_seed(1)
    first = data.load(Line())
    torch.manual_seed(2)
    assert torch.equal(data.load(Line()).train.targets, first.train.targets)
    assert not torch.equal(data.load(Line(data_seed=1)).train.targets, first.train.targets)


def test_quadratic_has_10_points_and_is_tested_between_them() -> None:
    found = data.load(Quadratic(val_fraction=0))
    assert np.allclose(found.train.inputs.flatten(), np.linspace(0, 1, 10), rtol=0, atol=1e-12)
    assert len(found.test) == 9
    for split in (found.train, found.test):
        x = split.inputs.numpy()
        assert np.allclose(split.targets, x**2 - 0.5 * x + 1.5625, rtol=0, atol=1e-12)


def test_diabetes_is_scikit_learns_standardised_from_its_training_part() -> None:
    found = data.load(Diabetes())
    x, y = sk.load_diabetes(return_X_y=True, scaled=False)
    splits = [found.train, found.val, found.test]
    rows = [tuple(row) for split in splits if split for row in torch.cat([split.inputs, split.targets], 1).tolist()]
    assert sorted(rows) == sorted(tuple(row) for row in np.column_stack([x, y]))
    assert len(found.test) == round(0.2 * 442)
    training = found.train.inputs.numpy()
    assert found.mean == pytest.approx(training.mean(0))
    assert found.std == pytest.approx(training.std(0))
    assert found.columns == ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
