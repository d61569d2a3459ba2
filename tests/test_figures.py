"""Pictures of an outcome: what is drawn is what scikit-learn computes, and odd outcomes neither break nor warn."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from outcomes import drawn, of_classes, of_values
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    mean_absolute_error,
    precision_recall_curve,
    r2_score,
    roc_auc_score,
    roc_curve,
    root_mean_squared_error,
)

from trainer.engine.calibration import Calibration
from trainer.engine.outcome import Outcome
from trainer.show import figures, plots
from trainer.show.figures import confusion, mistakes, reliability, residuals, roc


def figure_of(module: Any, outcome: Outcome) -> Figure:
    found = module.draw(outcome)
    assert isinstance(found, Figure)
    return found


def rendered(figure: Figure) -> np.ndarray:
    """The pixels, which must not be wider than a page."""
    pixels = plots.render(figure)
    assert 300 < pixels.shape[1] <= 900
    assert pixels.std() > 0
    return pixels


def texts(figure: Figure) -> str:
    """All that is written above and below the axes."""
    whole = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return "\n".join(whole)


def names(outcome: Outcome) -> Iterator[str]:
    for name, figure in figures.of(outcome):
        rendered(figure)
        yield name


def images(count: int, channels: int = 1, side: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator, dtype=torch.uint8)


# --- which ----------------------------------------------------------------------------------------------


def test_each_kind_of_outcome_has_its_pictures() -> None:
    logits, targets = drawn(60, 3)
    assert [*names(of_classes(logits, targets))] == ["confusion", "reliability", "roc"]
    assert [*names(of_classes(logits, targets, samples=images(60)))] == ["confusion", "reliability", "roc", "mistakes"]
    values = torch.arange(5.0)[:, None]
    assert [*names(of_values(values, values))] == ["residuals"]


def test_with_very_many_classes_there_is_no_confusion() -> None:
    logits, targets = drawn(4, 1001)
    assert [*names(of_classes(logits, targets))] == ["reliability", "roc"]


def test_samples_of_one_class_have_no_curves() -> None:
    assert [*names(of_classes(torch.randn(8, 3), torch.ones(8).long()))] == ["confusion", "reliability"]


@pytest.mark.parametrize(("samples", "classes"), [(1, 1), (1, 12), (2, 2)])
def test_the_smallest_outcomes_can_be_drawn(samples: int, classes: int) -> None:
    logits, targets = drawn(samples, classes)
    assert [*names(of_classes(logits, targets, samples=images(samples)))]


def test_any_name_can_be_drawn() -> None:
    odd = ["US$ and 5$", r"$\frac$", "ünï cødé", "", "w" * 500, "漢字" * 40, "a\nb\x1b[31m"]
    logits, targets = drawn(40, len(odd))
    made = of_classes(-logits, targets, odd, images(40), names=[f"{odd[n % 7]}.png" for n in range(40)])
    assert len([*names(made)]) == 4


# --- confusion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 12, 13, 21, 61])
def test_the_confusion_has_shares_as_colours_and_counts_as_text(classes: int) -> None:
    logits, targets = drawn(300, classes)
    figure = figure_of(confusion, of_classes(logits, targets))
    axes = figure.axes[0]
    counts = confusion_matrix(targets, logits.argmax(1), labels=range(classes))
    shares = confusion_matrix(targets, logits.argmax(1), labels=range(classes), normalize="true")
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), shares)
    for text in axes.texts:
        column, row = map(int, text.get_position())
        expected = [str(counts[row, column])] + ([f"{shares[row, column]:.1%}"] if classes <= 12 else [])
        assert text.get_text().split("\n") == expected
    assert len(axes.texts) == (np.count_nonzero(counts) if classes <= 20 else 0)
    assert f"accuracy {np.trace(counts) / 300:.2%}\ntest split, 300 samples" in axes.get_title()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert (labels == [f"class {n}" for n in range(classes)]) == (classes <= 60)
    if classes in (2, 61):
        rendered(figure)


def test_of_many_classes_the_most_confused_are_named() -> None:
    targets = torch.arange(30).repeat(10)
    predicted = targets.clone()
    predicted[targets == 3] = 7
    predicted[(targets == 5).nonzero()[:4, 0]] = 6
    logits = 9.0 * torch.nn.functional.one_hot(predicted, 30)
    said = texts(figure_of(confusion, of_classes(logits, targets)))
    assert "class 3 → class 7: 10 (100.0%)\nclass 5 → class 6: 4 (40.0%)" in said.replace("\n\n", "\n")


def test_a_class_without_samples_is_blank() -> None:
    figure = figure_of(confusion, of_classes(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 0])))
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[1, 0], [0, 0]]


# --- reliability ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 5])
def test_the_reliability_is_that_of_scikit_learn(classes: int) -> None:
    logits, targets = drawn(400, classes)
    figure = figure_of(reliability, of_classes(logits, targets))
    upper, lower = figure.axes
    confidence, predicted = logits.softmax(1).max(1)
    right = predicted == targets
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    points = next(line for line in upper.lines if line.get_label() == "accuracy of a bin")
    np.testing.assert_allclose(points.get_xydata(), np.stack([mean, accuracy], 1))
    counts, edges = np.histogram(confidence, np.linspace(0, 1, 16))
    values, drawn_edges, _ = lower.patches[0].get_data()
    assert values.tolist() == counts.tolist()
    np.testing.assert_allclose(drawn_edges, edges)
    assert [text.get_text() for text in lower.texts] == [str(count) for count in counts if count]
    error = (counts[counts > 0] * np.abs(accuracy - mean)).sum() / 400
    assert f"ECE {error:.2%}, accuracy {right.double().mean():.2%}" in upper.get_title()


# --- ROC and precision-recall -----------------------------------------------------------------------------


def curves(figure: Figure) -> tuple[list[Any], list[Any]]:
    """The lines of both axes that are curves."""
    left, right = figure.axes
    lines = [[line for line in axes.lines if line.get_linestyle() == "-"] for axes in (left, right)]
    return lines[0], lines[1]


def test_the_curves_of_two_classes_are_those_of_scikit_learn() -> None:
    logits, targets = drawn(200, 2)
    figure = figure_of(roc, of_classes(logits, targets))
    (first,), (second,) = curves(figure)
    score = logits[:, 1] - logits[:, 0]
    false, true, _ = roc_curve(targets, score, drop_intermediate=False)
    np.testing.assert_allclose(first.get_xydata(), np.stack([false, true], 1))
    precision, recall, _ = precision_recall_curve(targets, score)
    np.testing.assert_allclose(second.get_xydata()[1:], np.stack([recall, precision], 1)[:-1][::-1])
    titles = [axes.get_title() for axes in figure.axes]
    average = average_precision_score(targets, score)
    assert titles == [f"ROC: AUC {roc_auc_score(targets, score):.4f}", f"Precision-recall: AP {average:.4f}"]
    rendered(figure)


def test_samples_of_one_score_are_one_point() -> None:
    targets = torch.tensor([0, 1, 1, 0, 1])
    score = torch.tensor([0.1, 0.1, 0.9, 0.9, 0.9])
    (first,), _ = curves(figure_of(roc, of_classes(torch.stack([-score, score], 1), targets)))
    assert first.get_xydata().tolist() == [[0.0, 0.0], [0.5, pytest.approx(2 / 3)], [1.0, 1.0]]


def test_each_of_a_few_classes_has_its_curve_against_all_others() -> None:
    logits, targets = drawn(150, 10)
    figure = figure_of(roc, of_classes(logits, targets))
    for number, line in enumerate(curves(figure)[0]):
        score = logits.log_softmax(1)[:, number]
        false, true, _ = roc_curve(targets == number, score, drop_intermediate=False)
        np.testing.assert_allclose(line.get_xydata(), np.stack([false, true], 1))
        assert line.get_label().startswith(f"class {number}: AUC {roc_auc_score(targets == number, score):.4f}, AP")
    mean = np.mean([roc_auc_score(targets == n, logits.log_softmax(1)[:, n]) for n in range(10)])
    assert figure.axes[0].get_title() == f"ROC: mean AUC {mean:.4f}"


def test_of_many_classes_the_mean_and_the_worst_are_drawn() -> None:
    logits, targets = drawn(900, 30)
    figure = figure_of(roc, of_classes(logits, targets))
    first, second = curves(figure)
    scores = logits.log_softmax(1)
    areas = np.array([roc_auc_score(targets == n, scores[:, n]) for n in range(30)])
    labels = [line.get_label().split(":")[0] for line in first]
    assert labels == ["mean of 30 classes", *(f"class {n}" for n in areas.argsort()[:5])]
    grid = first[0].get_xdata()
    each = [np.interp(grid, *roc_curve(targets == n, scores[:, n])[:2]) for n in range(30)]
    np.testing.assert_allclose(first[0].get_ydata(), np.mean(each, 0), atol=2 / roc.FINE)
    assert len(second[0].get_xdata()) == roc.FINE + 1
    rendered(figure)


def test_a_class_that_does_not_occur_has_no_curve() -> None:
    logits, targets = drawn(60, 3)
    figure = figure_of(roc, of_classes(logits, targets.clamp(max=1)))
    assert [line.get_label().split(":")[0] for line in curves(figure)[0]] == ["class 0", "class 1"]


def test_long_curves_have_no_more_points_than_can_be_seen() -> None:
    logits, targets = drawn(20_000, 2)
    (first,), (second,) = curves(figure_of(roc, of_classes(logits, targets)))
    assert len(first.get_xdata()) <= 2 * roc.FINE + 3
    assert first.get_xydata()[[0, -1]].tolist() == [[0, 0], [1, 1]]
    assert second.get_xdata()[-1] == 1


def test_the_threshold_of_two_classes_is_marked() -> None:
    logits, targets = drawn(200, 2)
    figure = figure_of(roc, of_classes(logits, targets, calibrated=Calibration(2.0, 0.7)))
    taken = (logits / 2).softmax(1)[:, 1] >= 0.7
    (a, b), (c, d) = confusion_matrix(targets, taken)
    marked = [next(line for line in axes.lines if line.get_marker() == "o") for axes in figure.axes]
    left, right = (line.get_xydata()[0].tolist() for line in marked)
    assert left == pytest.approx([b / (a + b), d / (c + d)])
    assert right == pytest.approx([d / (c + d), d / (b + d)])
    assert "threshold 0.7" in texts(figure)


def test_of_a_good_model_the_corner_is_shown_in_which_its_curves_bend() -> None:
    logits, targets = drawn(500, 2)
    figure = figure_of(roc, of_classes(logits + torch.eye(2)[targets], targets))
    left, right = figure.axes
    assert left.get_xlim() == pytest.approx((-0.001, 0.101))
    assert left.get_ylim() == right.get_ylim() == pytest.approx((0.899, 1.002))
    assert right.get_xlim() == pytest.approx((0.899, 1.001))
    assert all(axes.get_title().endswith(", the corner") for axes in figure.axes)
    whole = figure_of(roc, of_classes(torch.eye(2)[targets], targets))
    assert whole.axes[0].get_xlim() == (-0.01, 1.01)


def test_with_more_scores_than_are_ranked_there_are_no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roc, "LARGEST", 100)
    logits, targets = drawn(51, 2)
    assert roc.draw(of_classes(logits, targets)) is None


# --- residuals ------------------------------------------------------------------------------------------


def values(columns: int, count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    targets = 1000 + 50 * torch.randn(count, columns, generator=generator, dtype=torch.float64)
    return targets + 10 * torch.randn(count, columns, generator=generator, dtype=torch.float64), targets


@pytest.mark.parametrize("columns", [1, 5])
def test_residuals_are_drawn_by_target_in_their_own_units(columns: int) -> None:
    outputs, targets = values(columns)
    figure = figure_of(residuals, of_values(outputs, targets))
    assert len(figure.axes) == 3 * min(columns, 3)
    for column in range(min(columns, 3)):
        left, right, beside = figure.axes[3 * column : 3 * column + 3]
        true, said = targets[:, column].numpy(), outputs[:, column].numpy()
        np.testing.assert_allclose(left.lines[0].get_xydata(), np.stack([true, said], 1))
        np.testing.assert_allclose(right.lines[0].get_xydata(), np.stack([said, said - true], 1))
        assert beside.patches[0].get_data().values.tolist() == np.histogram(said - true, residuals.BARS)[0].tolist()
        assert f"R² {r2_score(true, said):.4f}" in left.get_title()
        off = f"MAE {mean_absolute_error(true, said):.4g}, RMSE {root_mean_squared_error(true, said):.4g}"
        assert off in right.get_title()
    assert ("the first 3 of 5 targets" in texts(figure)) == (columns == 5)
    rendered(figure)


def test_of_very_many_samples_some_are_drawn() -> None:
    outputs, targets = values(1, 12_000)
    figure = figure_of(residuals, of_values(outputs, targets))
    left, _, beside = figure.axes
    assert np.array_equal(left.lines[0].get_xdata(), targets[::3, 0])
    assert beside.patches[0].get_data().values.sum() == 12_000
    assert "test split, 12,000 samples, 4,000 of them drawn" in texts(figure)


@pytest.mark.parametrize("value", [0.0, 3.0, 1e30])
def test_a_constant_target_can_be_drawn(value: float) -> None:
    rendered(figure_of(residuals, of_values(torch.full((4, 1), value), torch.full((4, 1), value))))


# --- mistakes -------------------------------------------------------------------------------------------


def placed(figure: Figure) -> Iterator[tuple[np.ndarray, str]]:
    """Each image of a gallery with what is written above it, in the order of its places."""
    axes = figure.axes[0]
    canvas = np.asarray(axes.images[0].get_array())
    for text in axes.texts:
        left, above = text.get_position()
        yield canvas[round(above) :, round(left) :], text.get_text()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_has_the_most_confident_mistakes_in_order(channels: int) -> None:
    logits, targets = drawn(200, 3)
    pixels = images(200, channels)
    files = [f"folder/of/{n}.png" for n in range(200)]
    made = of_classes(logits, targets, ["cat", "dog", "bird"], pixels, files)
    likely, predicted = logits.softmax(1).max(1)
    wrong = (predicted != targets).nonzero()[:, 0]
    expected = wrong[likely[wrong].argsort(descending=True)][: mistakes.MOST].tolist()
    figure = figure_of(mistakes, made)
    for (picture, text), number in zip(placed(figure), expected, strict=True):
        pair = f"{made.classes[targets[number]]} → {made.classes[predicted[number]]}"  # type: ignore[index]
        assert text == f"{pair}\n{likely[number]:.1%}  {number}.png"
        image = pixels[number].permute(1, 2, 0).expand(-1, -1, 3).numpy() / 255
        windows = np.lib.stride_tricks.sliding_window_view(picture[:9, :6], image.shape)[:, 0, 0]
        assert np.isclose(windows, image, atol=1e-6).all((1, 2, 3)).any()
    assert f"The 25 most confident of {len(wrong)} mistakes: test split, 200 samples" in texts(figure)
    rendered(figure)


def test_samples_without_names_are_called_by_their_numbers() -> None:
    made = of_classes(torch.eye(2)[[1, 1, 0]] * 5, torch.tensor([1, 0, 0]), samples=images(3))
    ((_, text),) = placed(figure_of(mistakes, made))
    assert text == "class 0 → class 1\n99.3%  no. 1"


def test_large_images_are_made_smaller_first() -> None:
    logits = torch.eye(2)[[1, 0]]
    figure = figure_of(mistakes, of_classes(logits, torch.tensor([0, 1]), samples=images(2, 3, 400)))
    assert max(np.asarray(figure.axes[0].images[0].get_array()).shape) < 2.5 * mistakes.SIDE
    rendered(figure)


def test_without_a_mistake_there_is_no_gallery() -> None:
    assert mistakes.draw(of_classes(torch.eye(2), torch.arange(2), samples=images(2))) is None


# --- what is not finite -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_outputs_that_are_not_finite_break_no_picture(value: float) -> None:
    logits, targets = drawn(20, 3)
    logits[3, 1] = value
    assert [*names(of_classes(logits, targets, samples=images(20)))] == ["confusion"]
    outputs = torch.ones(4, 1, dtype=torch.float64)
    outputs[2] = value
    assert [*names(of_values(outputs, torch.arange(4.0)[:, None]))] == []
