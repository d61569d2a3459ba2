"""Bootstrap intervals: those of SciPy, and of a plain loop over resampled samples."""

import numpy as np
import pytest
import scipy.stats
import torch
from outcomes import drawn, of_classes, of_values
from sklearn.metrics import balanced_accuracy_score, f1_score, r2_score, top_k_accuracy_score

from trainer.engine import bootstrap
from trainer.engine.metrics import Evaluation


def near(found: tuple[float, float], expected: tuple[float, float]) -> None:
    """The ends are the same but for chance: a tenth of the interval, where two runs of the loop differ by as much."""
    assert np.abs(np.subtract(found, expected)).max() < 0.12 * (expected[1] - expected[0])


def plain(score, *samples: np.ndarray) -> tuple[float, float]:
    """The interval of a score, by a loop."""
    generator = np.random.default_rng(7)
    count = len(samples[0])
    found = []
    for _ in range(400):
        rows = generator.integers(0, count, count)
        found.append(score(*(values[rows] for values in samples)))
    low, high = np.percentile(found, [2.5, 97.5])
    return low, high


def recall(targets: np.ndarray, predicted: np.ndarray) -> float:
    """The balanced accuracy."""
    return float(np.mean([(predicted[targets == one] == one).mean() for one in np.unique(targets)]))


def macro(targets: np.ndarray, predicted: np.ndarray) -> float:
    """The mean F1."""
    each = []
    for one in np.union1d(targets, predicted):
        true, told = targets == one, predicted == one
        each.append(2 * (true & told).sum() / (true.sum() + told.sum()))
    return float(np.mean(each))


@pytest.mark.parametrize("classes", [2, 7])
def test_of_classes_the_intervals_are_those_of_a_plain_loop(classes: int) -> None:
    logits, targets = drawn(150, classes)
    found = bootstrap.intervals(of_classes(logits, targets))
    true, predicted = targets.numpy(), logits.argmax(1).numpy()
    assert recall(true, predicted) == pytest.approx(balanced_accuracy_score(true, predicted))
    assert macro(true, predicted) == pytest.approx(f1_score(true, predicted, average="macro"))
    near(found["balanced_accuracy"], plain(recall, true, predicted))
    near(found["f1"], plain(macro, true, predicted))
    right = (true == predicted).astype(float)
    interval = scipy.stats.bootstrap(
        (right,), np.mean, n_resamples=2000, method="percentile", rng=1
    ).confidence_interval
    near(found["accuracy"], (interval.low, interval.high))
    assert ("top5" in found) == (classes > 5)
    if classes > 5:
        score = top_k_accuracy_score(true, logits.numpy(), k=5)
        assert found["top5"][0] < score < found["top5"][1]


@pytest.mark.parametrize("columns", [1, 3])
def test_of_quantities_the_intervals_are_those_of_a_plain_loop(columns: int) -> None:
    generator = torch.Generator().manual_seed(3)
    targets = 500 + 20 * torch.randn(120, columns, generator=generator, dtype=torch.float64)
    outputs = targets + 8 * torch.randn(120, columns, generator=generator, dtype=torch.float64)
    found = bootstrap.intervals(of_values(outputs, targets))
    true, said = targets.numpy(), outputs.numpy()
    near(found["r2"], plain(r2_score, true, said))
    errors = (said - true).reshape(120, -1)
    for name, values in (("mse", (errors**2).mean(1)), ("mae", np.abs(errors).mean(1))):
        made = scipy.stats.bootstrap((values,), np.mean, n_resamples=2000, method="percentile", rng=1)
        near(found[name], (made.confidence_interval.low, made.confidence_interval.high))


def test_very_many_samples_are_drawn_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    targets = torch.randn(3000, 1, generator=generator, dtype=torch.float64)
    outputs = targets + torch.randn(3000, 1, generator=generator, dtype=torch.float64)
    whole = bootstrap.of_values(outputs, targets)
    monkeypatch.setattr(bootstrap, "DRAWN", 500)
    for name, interval in bootstrap.of_values(outputs, targets).items():
        near(interval, whole[name])


def test_the_intervals_are_the_same_every_time() -> None:
    made = of_classes(*drawn(50, 3))
    assert bootstrap.intervals(made) == bootstrap.intervals(made)
    before = torch.random.get_rng_state()
    bootstrap.intervals(made)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_a_mistake_the_interval_is_a_point() -> None:
    found = bootstrap.intervals(of_classes(torch.eye(4), torch.arange(4)))
    assert set(found.values()) == {(1.0, 1.0)}
    assert bootstrap.intervals(of_values(torch.ones(3, 1), torch.ones(3, 1)))["r2"] == (1.0, 1.0)


def test_of_more_classes_than_a_matrix_is_kept_for_the_accuracy_has_one() -> None:
    found = bootstrap.of_classes(Evaluation({"accuracy": 0.5}, None, [2, 2], [1, 1], [2, 2]))
    assert [*found] == ["accuracy"]
    assert 0 <= found["accuracy"][0] < 0.5 < found["accuracy"][1] <= 1


def test_of_very_many_kinds_of_answers_shares_alone_have_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "CELLS", 3)
    assert [*bootstrap.intervals(of_classes(*drawn(50, 3)))] == ["accuracy"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_what_is_not_finite_has_no_interval(value: float) -> None:
    outputs = torch.tensor([[1.0], [value], [3.0]], dtype=torch.float64)
    assert "mse" not in bootstrap.intervals(of_values(outputs, torch.arange(3.0)[:, None]))
