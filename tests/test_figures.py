"""Pictures of an outcome: what is drawn is what scikit-learn computes, and odd outcomes neither break nor warn."""

import re
from collections.abc import Iterator
from pathlib import Path
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
from trainer.show import figures
from trainer.show.captions import CAPTIONS
from trainer.show.figures import confusion, grid, predictions, reliability, residuals, roc
from trainer.show.figures.style import CLASSES, MARK, OTHER, SPLITS, WRONG
from trainer.show.fonts import fonts
from trainer.show.lettering import class_names
from trainer.show.rendering import render
from trainer.system.shown import amount, share

ROOT = Path(__file__).parent.parent


def figure_of(module: Any, outcome: Outcome) -> Figure:
    found = module.draw(outcome, "made, mlp")
    assert isinstance(found, Figure)
    return found


def rendered(figure: Figure) -> np.ndarray:
    """The pixels, which must be as wide as a page."""
    pixels = render(figure)
    assert pixels.shape[1] == 900
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
    usual = ["confusion", "reliability", "roc"]
    assert [*names(of_classes(logits, targets))] == usual
    assert [*names(of_classes(logits, targets, samples=images(60)))] == [
        "confusion",
        "reliability",
        "roc",
        "predictions",
    ]
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


@pytest.mark.parametrize("classes", [2, 12, 15, 21, 61])
def test_the_confusion_has_shares_as_colours_and_counts_as_text(classes: int) -> None:
    logits, targets = drawn(300, classes)
    figure = figure_of(confusion, of_classes(logits, targets))
    axes = figure.axes[0]
    counts = confusion_matrix(targets, logits.argmax(1), labels=range(classes))
    shares = confusion_matrix(targets, logits.argmax(1), labels=range(classes), normalize="true")
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), shares)
    texts_at = {text.get_position(): text.get_text() for text in axes.texts}
    cells = {(x, y): text for (x, y), text in texts_at.items() if 0 <= x < classes and 0 <= y <= classes - 1}
    for (column, row), text in cells.items():
        expected = [str(counts[row, column])] + ([share(shares[row, column])] if classes <= 21 else [])
        assert text.split("\n") == expected
    assert len(cells) == np.count_nonzero(counts)
    rows = [text for (x, _), text in texts_at.items() if x < 0]
    assert rows == ([f"class {n}" for n in range(classes)] if classes <= 60 else [])
    assert f"test: {share(np.trace(counts) / 300)} of 300 right, made, mlp" in texts(figure)
    if classes in (2, 61):
        rendered(figure)


def test_of_many_classes_the_most_confused_are_named() -> None:
    targets = torch.arange(70).repeat(10)
    predicted = targets.clone()
    predicted[targets == 3] = 7
    predicted[(targets == 5).nonzero()[:4, 0]] = 6
    logits = 9.0 * torch.nn.functional.one_hot(predicted, 70)
    said = texts(figure_of(confusion, of_classes(logits, targets))).replace("\n\n", "\n")
    assert "class 3\n→\nclass 7\n10 of 10 (100.0%)\nclass 5\n→\nclass 6\n4 of 10 (40.0%)" in said


def test_no_mistake_of_very_many_classes_falls_between_two_pixels() -> None:
    targets = torch.arange(700)
    predicted = targets.clone()
    predicted[641] = 17
    logits = 9.0 * torch.nn.functional.one_hot(predicted, 700)
    shown = np.asarray(figure_of(confusion, of_classes(logits, targets)).axes[0].images[0].get_array())
    assert shown.shape == (234, 234)
    assert shown[641 // 3, 17 // 3] == 1


def test_beside_a_small_matrix_recall_and_precision_of_each_class_are_written() -> None:
    predicted = torch.tensor([0, 0, 1, 1, 1])
    figure = figure_of(confusion, of_classes(torch.eye(2)[predicted], torch.tensor([0, 0, 0, 1, 1]), ["no", "yes"]))
    assert "no\n3\n66.7%\n100.0%\nyes\n2\n100.0%\n66.7%" in texts(figure)


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
    points = next(line for line in upper.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xydata(), np.stack([mean, accuracy], 1))
    counts, edges = np.histogram(confidence, np.linspace(0, 1, 16))
    values, drawn_edges, _ = lower.patches[0].get_data()
    assert values.tolist() == counts.tolist()
    np.testing.assert_allclose(drawn_edges, edges)
    assert [text.get_text() for text in lower.texts] == [str(count) for count in counts if count]
    error = (counts[counts > 0] * np.abs(accuracy - mean)).sum() / 400
    assert f"(ECE) {error:.2%}, test: {share(right.double().mean())} of 400 right" in texts(figure)


# --- ROC and precision-recall -----------------------------------------------------------------------------


def curves(figure: Figure) -> tuple[list[Any], list[Any]]:
    """The lines of both axes that are curves."""
    left, right = figure.axes
    lines = [
        [line for line in axes.lines if line.get_color() != MARK or line.get_linewidth() > 2] for axes in (left, right)
    ]
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
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    average = average_precision_score(targets, score)
    assert titles == [f"ROC: AUC {roc_auc_score(targets, score):.4f}", f"Precision-recall: AP {average:.4f}"]
    rendered(figure)


def test_a_dollar_in_the_name_of_the_positive_class_is_a_dollar() -> None:
    logits, targets = drawn(20, 2)
    said = texts(figure_of(roc, of_classes(logits, targets, ["no", "US$"])))
    assert "positive: US\\$; " in said
    assert "\nUS\\$\nAUC" in said


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
        area = roc_auc_score(targets == number, score)
        assert re.search(rf"class {number}\nAUC {area:.4f}, AP 0.\d{{4}}\n", texts(figure))
    mean = np.mean([roc_auc_score(targets == n, logits.log_softmax(1)[:, n]) for n in range(10)])
    assert figure.axes[0].get_title(loc="left") == f"ROC: mean AUC {mean:.4f}"


def test_of_many_classes_the_mean_and_the_worst_are_drawn() -> None:
    logits, targets = drawn(900, 30)
    figure = figure_of(roc, of_classes(logits, targets))
    first, second = curves(figure)
    scores = logits.log_softmax(1)
    areas = np.array([roc_auc_score(targets == n, scores[:, n]) for n in range(30)])
    labels = [line.get_label() for line in first]
    assert labels == ["mean of 30 classes", *(f"class {n}" for n in areas.argsort()[:5])]
    grid = first[0].get_xdata()
    each = [np.interp(grid, *roc_curve(targets == n, scores[:, n])[:2]) for n in range(30)]
    np.testing.assert_allclose(first[0].get_ydata(), np.mean(each, 0), atol=2 / roc.FINE)
    assert len(second[0].get_xdata()) == roc.FINE + 1
    rendered(figure)


def test_a_class_that_does_not_occur_has_no_curve() -> None:
    logits, targets = drawn(60, 3)
    figure = figure_of(roc, of_classes(logits, targets.clamp(max=1)))
    assert [line.get_label() for line in curves(figure)[0]] == ["class 0", "class 1"]


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
    assert left.get_ylim() == pytest.approx((0.899, 1.002))
    assert right.get_ylim() == pytest.approx((0.9495, 1.001))
    assert right.get_xlim() == pytest.approx((0.9495, 1.0005))
    assert all(axes.get_title(loc="left").endswith(", the corner") for axes in figure.axes)
    whole = figure_of(roc, of_classes(torch.eye(2)[targets], targets))
    assert whole.axes[0].get_xlim() == (-0.01, 1.01)


def test_with_more_scores_than_are_ranked_there_are_no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roc, "LARGEST", 100)
    logits, targets = drawn(51, 2)
    assert roc.draw(of_classes(logits, targets), "") is None


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
        assert [bar.get_width() for bar in beside.patches] == np.histogram(said - true, 15)[0].tolist()
        assert f"R² {r2_score(true, said):.4f}" in left.get_title(loc="left")
        off = f"MAE {mean_absolute_error(true, said):.4g}, RMSE {root_mean_squared_error(true, said):.4g}"
        assert left.lines[0].get_color() == SPLITS["test"]
        assert off in right.get_title(loc="left")
    assert ("the first 3 of 5 targets" in texts(figure)) == (columns == 5)
    rendered(figure)


def test_of_very_many_samples_some_are_drawn() -> None:
    outputs, targets = values(1, 12_000)
    figure = figure_of(residuals, of_values(outputs, targets))
    left, _, beside = figure.axes
    assert np.array_equal(left.lines[0].get_xdata(), targets[::3, 0])
    assert sum(bar.get_width() for bar in beside.patches) == 12_000
    assert "4,000 of 12,000 samples are drawn" in texts(figure)


@pytest.mark.parametrize("value", [0.0, 3.0, 1e30])
def test_a_constant_target_can_be_drawn(value: float) -> None:
    rendered(figure_of(residuals, of_values(torch.full((4, 1), value), torch.full((4, 1), value))))


# --- predictions ----------------------------------------------------------------------------------------


def said_above(figure: Figure) -> list[list[str]]:
    """What is written above each image, in the order of the images."""
    placed: dict[tuple[int, int], list[str]] = {}
    width, height = figure.get_size_inches() * figure.dpi
    tops = sorted({round(height * (1 - text.get_position()[1])) for text in figure.texts[2:]})
    rows = [top for top, before in zip(tops, [-99, *tops], strict=False) if top - before > 20]
    for text in figure.texts[2:]:
        row = max(n for n, top in enumerate(rows) if top <= height * (1 - text.get_position()[1]) + 1)
        column = int((width * text.get_position()[0] - 11) // (grid.SIDE + grid.GAP))
        placed.setdefault((row, column), []).append(text.get_text())
    return [placed[key] for key in sorted(placed)]


@pytest.mark.parametrize("channels", [1, 3])
def test_mistakes_come_first_and_the_surest_of_them_before_the_others(channels: int) -> None:
    logits, targets = drawn(60, 3)
    pixels = images(60, channels)
    made = of_classes(logits, targets, ["cat", "dog", "bird"], pixels, [f"folder/of/{n}.png" for n in range(60)])
    likely, predicted = logits.softmax(1).max(1)
    order = likely.argsort(descending=True).tolist()
    wrong = [n for n in order if predicted[n] != targets[n]]
    expected = [*wrong, *(n for n in reversed(order) if n not in wrong)][: predictions.MOST]
    assert 1 < len(wrong) < predictions.MOST
    figure = figure_of(predictions, made)
    names = ("cat", "dog", "bird")
    for words, number in zip(said_above(figure), expected, strict=True):
        sure = share(float(likely[number]), certain=False)
        told = [sure, "→", names[predicted[number]]] if number in wrong else [sure, "✓"]
        assert words == [names[targets[number]], *told, f"{number}.png"]
    rest = predictions.MOST - len(wrong)
    said = f"{len(wrong)} mistakes, then the {rest} least confident right answers"
    assert said in texts(figure)
    seen = rendered(figure)
    for place, number in enumerate(expected):
        block = pixels[number].permute(1, 2, 0).expand(-1, -1, 3).numpy().repeat(23, 0).repeat(23, 1)
        left = 12 + place % grid.COLUMNS * (grid.SIDE + grid.GAP)
        strip = seen[:, left : left + len(block)]
        tops = np.flatnonzero((strip[:, 0] == block[0, 0]).all(1))
        assert any(np.array_equal(strip[top : top + len(block)], block) for top in tops)


def test_samples_without_names_are_called_by_their_numbers() -> None:
    made = of_classes(torch.eye(2)[[1, 1, 0]] * 5, torch.tensor([1, 0, 0]), samples=images(3))
    first, *others = said_above(figure_of(predictions, made))
    assert first == ["class 0", "99.3%", "→", "class 1", "no. 1"]
    assert [words[-1] for words in others] == ["no. 0", "no. 2"]


def test_the_surest_of_answers_is_not_said_to_be_certain() -> None:
    logits = torch.tensor([[10.0, 0.0], [0.0, 900.0]], dtype=torch.float64)
    made = of_classes(logits, torch.tensor([0, 1]), samples=images(2))
    assert [words[1] for words in said_above(figure_of(predictions, made))] == ["99.995%", ">99.999%"]
    assert "no mistake; the 2 least confident right answers" in texts(figure_of(predictions, made))


def test_large_images_are_made_smaller() -> None:
    figure = figure_of(predictions, of_classes(torch.eye(2), torch.tensor([1, 0]), samples=images(2, 3, 400)))
    assert rendered(figure).shape[0] < 300


def test_a_class_whose_letters_no_font_has_is_called_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []
    monkeypatch.setattr("trainer.show.fonts._candidates", lambda: searches.append(1) or [])
    fonts.cache_clear()
    made = of_classes(torch.eye(3), torch.tensor([0, 1, 1]), ["שלום", "漢字", "cat"], images(3))
    assert class_names(made.data.classes or ()) == ["שלום", "#1", "cat"]
    for picture in (confusion, predictions):
        assert "no font has the letters of #1" in texts(figure_of(picture, made))
        rendered(figure_of(picture, made))
    assert len(searches) == 1  # of the machine's fonts, for all letters of a script
    fonts.cache_clear()


# --- what is not finite -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_outputs_that_are_not_finite_break_no_picture(value: float) -> None:
    logits, targets = drawn(20, 3)
    logits[3, 1] = value
    assert [*names(of_classes(logits, targets, samples=images(20)))] == ["confusion"]
    outputs = torch.ones(4, 1, dtype=torch.float64)
    outputs[2] = value
    assert [*names(of_values(outputs, torch.arange(4.0)[:, None]))] == []


# --- figures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0.978, "97.8%"), (1, "100.0%"), (0, "0.0%"), (0.99996, "99.996%"), (0.9996, "99.96%"),
        (0.9999999, ">99.999%"), (0.0004, "0.04%"), (1e-9, "<0.001%"), (float("nan"), "nan%"),
    ],
)  # fmt: skip
def test_a_share_is_not_rounded_to_certainty(part: float, text: str) -> None:
    assert share(part) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (47.4749, "47.47"), (3183.4, "3,183"), (500_000, "500,000"), (3.5e6, "3.5M"), (-2e9, "-2G"),
     (1e13, "1e+13"), (0.012345, "0.01235"), (1e-9, "1e-09"), (float("inf"), "inf")],
)  # fmt: skip
def test_an_amount_is_short(value: float, text: str) -> None:
    assert amount(value) == text


def test_a_colour_of_a_split_means_nothing_else() -> None:
    found = [*SPLITS.values(), *CLASSES, WRONG, MARK, OTHER]
    assert len({*found}) == len(found)


def test_every_picture_has_a_caption_and_a_chapter() -> None:
    chapters = re.findall(r"^## (\w+)$", (ROOT / "docs" / "pictures.md").read_text(), re.MULTILINE)
    assert {chapter.lower() for chapter in chapters} - {"names"} == {*CAPTIONS}
    drawn_here = {path.stem for path in Path(figures.__file__).parent.glob("*.py")} - {"__init__", "style", "grid"}
    of_other_verbs = {"rates": "check.md", "profile": "profile.md"}  # which leave them where they are asked to
    assert drawn_here - {*of_other_verbs} <= {*CAPTIONS}
    assert all(f"{stem}.png" in (ROOT / "docs" / page).read_text() for stem, page in of_other_verbs.items())
