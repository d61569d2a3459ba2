"""Metrics, batch by batch, against scikit-learn's over all samples."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from trainer.engine.metrics import WHOLE, Classification, Evaluation, Metric, Regression, wide

CPU = torch.device("cpu")
SIZES = {"one batch": [100], "uneven": [33, 1, 40, 26], "single samples": [1] * 100}


def computed(metric: Metric, outputs: Tensor, targets: Tensor, sizes: list[int]) -> Evaluation:
    for x, y in zip(outputs.split(sizes), targets.split(sizes), strict=True):
        metric.update(x, y)
    return metric.compute()[0]


def guesses(classes: int, absent: int | None = None) -> tuple[Tensor, Tensor]:
    """100 samples of which about half are told right."""
    generator = torch.Generator().manual_seed(classes)
    targets = torch.randint(classes, (100,), generator=generator)
    if absent is not None:
        targets[targets == absent] = (absent + 1) % classes
    outputs = torch.randn(100, classes, generator=generator)
    outputs[torch.arange(100), targets] += 1.0
    return outputs, targets


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("classes", [2, 5, 6, 10])
def test_classification_is_scikit_learns(classes: int, sizes: list[int]) -> None:
    outputs, targets = guesses(classes)
    found = computed(Classification(classes, CPU), outputs, targets, sizes)
    predicted, labels = outputs.argmax(1), range(classes)
    assert found.metrics["accuracy"] == pytest.approx(sk.accuracy_score(targets, predicted))
    assert found.confusion is not None
    assert np.array_equal(found.confusion, sk.confusion_matrix(targets, predicted, labels=labels))
    assert found.per_class == pytest.approx(sk.recall_score(targets, predicted, labels=labels, average=None))
    assert found.counts == targets.bincount(minlength=classes).tolist()
    if classes > 5:
        assert found.metrics["top5"] == pytest.approx(sk.top_k_accuracy_score(targets, outputs, k=5, labels=labels))
    else:
        assert "top5" not in found.metrics


def test_an_absent_class_has_no_accuracy_of_its_own() -> None:
    outputs, targets = guesses(7, absent=3)
    found = computed(Classification(7, CPU), outputs, targets, [60, 40])
    expected = sk.recall_score(targets, outputs.argmax(1), labels=range(7), average=None, zero_division=np.nan)
    assert np.isnan(found.per_class[3])
    assert found.per_class == pytest.approx(expected, nan_ok=True)
    assert found.metrics["accuracy"] == pytest.approx(sk.accuracy_score(targets, outputs.argmax(1)))


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("classes", [WHOLE, WHOLE + 1, 2500])
def test_figures_of_very_many_classes_are_scikit_learns_too(classes: int, jobs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(classes, (4000,), generator=generator)
    outputs = torch.randn(jobs, 4000, classes, generator=generator)
    outputs[:, torch.arange(4000), targets] += 3.0
    metric = Classification(classes, CPU, jobs)
    for part in (slice(0, 1500), slice(1500, 1501), slice(1501, 4000)):
        metric.update(outputs[:, part] if jobs > 1 else outputs[0, part], targets[part])
    for guesses, found in zip(outputs.argmax(2), metric.compute(), strict=True):
        assert found.metrics["accuracy"] == sk.accuracy_score(targets, guesses)
        recalls = sk.recall_score(targets, guesses, labels=range(classes), average=None, zero_division=np.nan)
        assert np.array_equal(found.per_class, recalls, equal_nan=True)
        assert found.counts == targets.bincount(minlength=classes).tolist()
        assert (found.confusion is not None) == (classes <= WHOLE)
    assert metric.sums.numel() <= jobs * max(WHOLE**2, 2 * classes)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("columns", [1, 3])
def test_regression_is_scikit_learns_also_far_from_zero(columns: int, offset: float, sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(100, columns, generator=generator, dtype=torch.float64) * 5 + offset
    outputs = targets + torch.randn(100, columns, generator=generator, dtype=torch.float64)
    found = computed(Regression(columns, CPU), outputs, targets, sizes).metrics
    assert found["mse"] == pytest.approx(sk.mean_squared_error(targets, outputs), rel=1e-9)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(targets, outputs), rel=1e-9)
    assert found["r2"] == pytest.approx(sk.r2_score(targets, outputs), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, 123456.789])
@pytest.mark.parametrize("error", [0.0, 0.5])
def test_constant_targets_give_an_r2_of_one_or_zero(value: float, error: float) -> None:
    """As scikit-learn defines it; whatever rounding does to the mean of equal numbers."""
    targets = torch.full((11, 1), value, dtype=torch.float64)
    found = computed(Regression(1, CPU), targets + error, targets, [3, 7, 1]).metrics["r2"]
    assert found == sk.r2_score(np.zeros(11), np.full(11, error))


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float64), ("cuda", torch.float64), ("mps", torch.float32)])
def test_sums_are_as_wide_as_the_device_can(device: str, dtype: torch.dtype) -> None:
    assert wide(torch.device(device)) is dtype


# --- of classes, computed where they are asked for ---------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("absent", [None, 1])
@pytest.mark.parametrize("classes", [3, 7, WHOLE + 1])
def test_figures_of_rare_classes_are_scikit_learns(classes: int, absent: int | None, sizes: list[int]) -> None:
    outputs, targets = guesses(classes, absent)
    found = computed(Classification(classes, CPU), outputs, targets, sizes).further
    predicted, here = outputs.argmax(1), targets.unique()
    assert found["balanced_accuracy"] == pytest.approx(
        sk.recall_score(targets, predicted, labels=here, average="macro")
    )
    assert found["f1"] == pytest.approx(sk.f1_score(targets, predicted, average="macro", zero_division=0))
    scores = outputs.double().softmax(1)
    aucs = [sk.roc_auc_score(targets == one, scores[:, one]) for one in here]
    precisions = [sk.average_precision_score(targets == one, scores[:, one]) for one in here]
    assert found["auc"] == pytest.approx(np.mean(aucs))
    assert found["average_precision"] == pytest.approx(np.mean(precisions))
    if absent is None and classes < WHOLE:
        assert found["auc"] == pytest.approx(sk.roc_auc_score(targets, scores, multi_class="ovr"))


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_of_two_classes_the_second_is_looked_for_and_equal_scores_are_told_together(decimals: int) -> None:
    outputs, targets = guesses(2)
    outputs = outputs.round(decimals=decimals)
    found = computed(Classification(2, CPU), outputs, targets, [60, 40]).further
    scores = outputs[:, 1].double() - outputs[:, 0].double()
    assert found["auc"] == pytest.approx(sk.roc_auc_score(targets, scores))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(targets, scores))


def test_what_is_nearly_sure_is_still_ranked() -> None:
    """Probabilities of float32 would all be 1."""
    outputs = torch.tensor([[0.0, 40.0], [0.0, 41.0], [0.0, 42.0], [0.0, 43.0]])
    found = computed(Classification(2, CPU), outputs, torch.tensor([0, 0, 1, 1]), [4]).further
    assert (found["auc"], found["average_precision"]) == (1.0, 1.0)


def test_one_class_alone_has_no_ranking() -> None:
    found = computed(Classification(2, CPU), torch.randn(5, 2), torch.ones(5, dtype=torch.long), [5]).further
    assert found.keys() == {"balanced_accuracy", "f1"}


def test_scores_beyond_the_limit_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.engine.ranking.LARGEST", 150)
    outputs, targets = guesses(2)
    metric = Classification(2, CPU)
    found = computed(metric, outputs, targets, [60, 40])
    assert found.further.keys() == {"balanced_accuracy", "f1"}
    assert not metric.kept
    kept = computed(Classification(2, CPU), outputs[:75], targets[:75], [60, 15])
    assert "auc" in kept.further


def test_several_models_have_their_own_figures() -> None:
    outputs, targets = guesses(4)
    models = torch.stack([outputs, outputs.flip(1), 0.1 * outputs])
    together, alone = Classification(4, CPU, 3), [Classification(4, CPU) for _ in range(3)]
    for part in (slice(0, 70), slice(70, 100)):
        together.update(models[:, part], targets[part])
        for metric, own in zip(alone, models, strict=True):
            metric.update(own[part], targets[part])
    for found, metric in zip(together.compute(), alone, strict=True):
        (expected,) = metric.compute()
        assert found.further == expected.further


def test_a_regression_has_no_further_figures() -> None:
    assert computed(Regression(1, CPU), torch.randn(9, 1), torch.randn(9, 1), [9]).further == {}
