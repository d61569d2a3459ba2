"""Temperatures and thresholds: what is fitted, kept in a checkpoint, and used from then on."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score
from torch import Tensor

from trainer.engine.calibration import Calibration, fit_temperature, fit_threshold
from trainer.engine.reliability import BINS, reliability
from trainer.system.errors import DataError


def noisy(count: int, classes: int, scale: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits of a model that is too sure by a factor of `scale`, and classes drawn by what it should say."""
    generator = torch.Generator().manual_seed(seed)
    honest = 2 * torch.randn(count, classes, dtype=torch.float64, generator=generator)
    targets = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    return honest * scale, targets


@pytest.mark.parametrize(("classes", "scale"), [(2, 3.0), (10, 0.2), (10, 1.0), (100, 7.5)])
def test_the_temperature_is_that_of_the_least_cross_entropy(classes: int, scale: float) -> None:
    logits, targets = noisy(2000, classes, scale)
    found = fit_temperature(logits, targets)
    best = minimize_scalar(
        lambda log: float(F.cross_entropy(logits / np.exp(log), targets)), bounds=(-4.5, 4.5), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    assert float(F.cross_entropy(logits / found, targets)) <= best.fun + 1e-14
    assert found == pytest.approx(scale, rel=0.1)
    assert fit_temperature(logits / found, targets) == pytest.approx(1.0, abs=1e-9)


def test_a_model_without_mistakes_or_sense_has_no_temperature() -> None:
    targets = torch.arange(10)
    with pytest.raises(DataError, match="makes no mistake in 10 samples"):
        fit_temperature(torch.eye(10, dtype=torch.float64), targets)
    with pytest.raises(DataError, match="worse than chance"):
        fit_temperature(-torch.eye(10, dtype=torch.float64), targets)
    with pytest.raises(DataError, match="not finite"):
        fit_temperature(torch.full((10, 10), torch.nan, dtype=torch.float64), targets)


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_has_the_best_f1_of_all(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 60))
    second = generator.choice([0.0, 1.0, *generator.random(int(generator.integers(1, 40)))], count)
    targets = (generator.random(count) < 0.3 + 0.4 * second).astype(int)
    targets[generator.integers(count)] = 1
    found = fit_threshold(torch.tensor(second), torch.tensor(targets))
    every = [f1_score(targets, second >= cut, zero_division=0) for cut in np.unique(second)]
    assert f1_score(targets, second >= found) == max(every)


def test_neighbouring_probabilities_are_told_apart() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    second, targets = torch.tensor([low, low, high], dtype=torch.float64), torch.tensor([0, 0, 1])
    assert fit_threshold(second, targets) == high
    with pytest.raises(DataError, match="no sample is of the second class"):
        fit_threshold(second, torch.zeros(3, dtype=torch.int64))


def test_from_the_threshold_on_the_second_class_is_predicted() -> None:
    logits = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert Calibration(threshold=0.5).predicted(logits).tolist() == [1, 0, 1]
    assert Calibration(threshold=0.9).predicted(logits).tolist() == [0, 0, 0]
    assert Calibration(temperature=0.1, threshold=0.9).predicted(logits).tolist() == [0, 0, 1]
    assert Calibration().predicted(logits).tolist() == [0, 0, 1]


def test_the_calibration_error_is_that_of_the_curve() -> None:
    generator = np.random.default_rng(0)
    confidence = np.append(generator.random(5000), [0.0, 1.0])
    right = generator.random(5002) < confidence**2
    found = reliability(torch.tensor(confidence), torch.tensor(right))
    shares, means = calibration_curve(right, confidence, n_bins=BINS)
    np.testing.assert_allclose(found.accuracy, shares)
    np.testing.assert_allclose(found.confidence, means)
    assert found.error == pytest.approx(float((found.counts.numpy() * abs(shares - means)).sum() / 5002))
