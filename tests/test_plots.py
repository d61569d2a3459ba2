"""Pictures: what is in them, and that odd inputs do not break or warn."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainer.data.splits import Dataset, Split
from trainer.show.curves import curves
from trainer.show.figures import filters, fit, grid
from trainer.show.figures.style import SPLITS
from trainer.show.lettering import lettering
from trainer.show.rendering import render
from trainer.show.trained import Best

Row = dict[str, float]


def drawn(figure: Figure) -> np.ndarray:
    """The figure's pixels; drawing it must neither fail nor warn."""
    pixels = render(figure)
    assert pixels.dtype == np.uint8
    assert pixels.shape[1] == 900
    assert pixels.std() > 0
    return pixels


def epochs(count: int, **changes: float) -> list[Row]:
    same = {"lr": 0.1, "seconds": 1.0, "val/accuracy": 0.5}
    rows = [{"epoch": e, "step": 10 * e, "train/loss": 1 / e, "val/loss": 2 / e} for e in range(1, count + 1)]
    return [row | same | changes for row in rows]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


# --- curves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 19, 1000])
def test_the_splits_of_a_metric_share_its_axes_each_in_its_own_colour(count: int) -> None:
    figure = curves(epochs(count), "test: 9 of 10 right")
    assert titles(figure) == ["loss", "accuracy"]
    train, val = figure.axes[0].lines
    assert [line.get_color() for line in (train, val)] == [SPLITS["train"], SPLITS["val"]]
    assert figure.axes[1].lines[0].get_color() == SPLITS["val"]
    assert train.get_xdata().tolist() == list(range(1, count + 1))
    assert val.get_ydata().tolist() == [2 / e for e in range(1, count + 1)]
    legend = {text.get_text(): text.get_color() for text in figure.texts if text.get_text().startswith("—")}
    assert legend == {"— training": SPLITS["train"], "— validation": SPLITS["val"]}
    drawn(figure)


def test_the_best_epoch_is_marked_in_every_panel_and_its_value_on_the_curve_that_picked_it() -> None:
    rows = epochs(4)
    rows[2]["val/accuracy"] = 0.75
    rows[3]["lr"] = 0.01
    figure = curves(rows, best=Best("val/accuracy", 0.75, 3, 30))
    for axes in figure.axes:
        assert [line.get_xdata() for line in axes.lines][-1] == [3, 3]
    (star,) = (line for line in figure.axes[1].lines if line.get_marker() == "*")
    assert (star.get_xdata(), star.get_ydata()) == ([3.0], [0.75])
    assert "the best epoch, 3: validation accuracy 75.0%" in words(figure)
    drawn(figure)


def test_the_learning_rate_is_drawn_where_it_changes() -> None:
    rows = epochs(3)
    rows[2]["lr"] = 0.01
    figure = curves(rows)
    assert titles(figure) == ["loss", "accuracy", "learning rate"]
    assert figure.axes[2].lines[0].get_ydata().tolist() == [0.1, 0.1, 0.01]


def test_the_learning_rate_of_each_step_is_drawn_where_it_is_known() -> None:
    rates = [(step, 0.1 * step) for step in range(31)]
    line = curves(epochs(3), rates=rates).axes[2].lines[0]
    assert line.get_xdata().tolist() == [step / 10 for step, _ in rates]
    assert line.get_ydata().tolist() == [rate for _, rate in rates]


@pytest.mark.parametrize(("rates", "scale"), [([1, 0.1, 0.01, 0.001], "log"), ([1, 0.8, 0.5, 0.001], "linear")])
def test_a_learning_rate_that_drops_by_factors_has_a_logarithmic_axis(rates: list[float], scale: str) -> None:
    rows = [row | {"lr": rate} for row, rate in zip(epochs(4), rates, strict=True)]
    assert curves(rows).axes[2].get_yscale() == scale


def test_epochs_without_evaluation_have_no_point() -> None:
    rows = epochs(4)
    for row in (rows[0], rows[2]):
        del row["val/loss"], row["val/accuracy"]
    assert curves(rows).axes[1].lines[0].get_xdata().tolist() == [2, 4]


def test_evaluations_within_an_epoch_lie_between_epochs() -> None:
    within = {"epoch": 1, "step": 5, "lr": 0.1, "train/loss": 3.0, "val/loss": 3.0, "val/accuracy": 0.1}
    figure = curves([within, *epochs(2)])
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0.5, 1, 2]


def test_an_r2_far_below_zero_does_not_hide_the_rest() -> None:
    rows = [row | {"val/r2": value} for row, value in zip(epochs(3), (-900.0, 0.2, 0.9), strict=True)]
    figure = curves(rows)
    assert titles(figure)[-1] == "R², from -1 on"
    assert figure.axes[-1].get_ylim()[0] == -1


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), 1e30, -5.0])
def test_curves_of_odd_values_can_be_saved(value: float) -> None:
    drawn(curves([*epochs(3), *epochs(1, **{"epoch": 4, "val/loss": value})]))


def test_very_many_metrics_can_be_drawn() -> None:
    drawn(curves([row | {f"val/{n}": 0.1 for n in range(40)} for row in epochs(2)]))


@pytest.mark.parametrize(("last", "scale"), [(0.5, "linear"), (1e-3, "log")])
def test_a_loss_that_falls_far_has_a_logarithmic_axis(last: float, scale: str) -> None:
    figure = curves([*epochs(2), *epochs(1, **{"epoch": 3, "train/loss": last})])
    assert figure.axes[0].get_yscale() == scale
    assert figure.axes[1].get_yscale() == "linear"


# --- regression -----------------------------------------------------------------------------------------


def test_fit_has_the_points_and_the_line() -> None:
    x = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    data = Dataset("made", Split(x, x**2), Split(x + 0.1, x), mean=(0.5,), std=(2.0,))
    compute = SimpleNamespace(device="cpu", dtype=torch.float64)
    figure = fit.draw(SimpleNamespace(data=data, compute=compute, forward=lambda z: 2 * (2 * z + 0.5)), "test: good")  # type: ignore[arg-type]
    train, test, line = figure.axes[0].lines
    assert np.allclose(train.get_xydata(), torch.cat([x, x**2], 1))
    assert np.allclose(test.get_xydata(), torch.cat([x + 0.1, x], 1))
    assert [points.get_color() for points in (train, test)] == [SPLITS["train"], SPLITS["test"]]
    assert line.get_xdata()[[0, -1]].tolist() == pytest.approx([0, 1.1])
    assert np.allclose(line.get_ydata(), 2 * line.get_xdata())
    drawn(figure)


# --- images ---------------------------------------------------------------------------------------------


def cells(count: int, channels: int = 1, side: int = 6) -> list[grid.Cell]:
    images = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))
    return [grid.Cell(image, [grid.Line(f"class {n}")]) for n, image in enumerate(images)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 7, 24])
def test_images_lie_in_order_pixel_by_pixel_each_below_its_words(count: int, channels: int) -> None:
    given = cells(count, channels)
    figure = grid.draw(given, "images", "how")
    seen, times = drawn(figure), grid.SIDE // 6
    for number, (cell, text) in enumerate(zip(given, figure.texts[2:], strict=True)):
        block = grid.resized(cell.image, grid.SIDE)
        assert block.shape == (6 * times, 6 * times, 3)
        left = 12 + number % grid.COLUMNS * (grid.SIDE + grid.GAP)
        base = round(len(seen) * (1 - text.get_position()[1]))
        (top,) = (
            y for y in range(base, base + 15) if np.array_equal(seen[y : y + 6 * times, left : left + 6 * times], block)
        )
        assert text.get_text() == f"class {number}"
        assert text.get_position()[0] * 900 == pytest.approx(left)
        assert top > base


def test_words_above_an_image_end_where_it_ends() -> None:
    line = grid.Line("an extraordinarily long name of a class", "99.996%", sign="→")
    figure = grid.draw([grid.Cell(torch.rand(1, 28, 28), [line])] * 2, "images", "how")
    pixels = drawn(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for first, second in itertools.pairwise(figure.texts[2:]):
        one, other = (text.get_window_extent(renderer) for text in (first, second))
        assert not one.overlaps(other)
    assert max(text.get_window_extent(renderer).x1 for text in figure.texts[2:5]) <= 12 + grid.SIDE + 1
    assert pixels.shape[0] < 300


def test_a_picture_of_images_can_be_saved_in_other_forms(tmp_path: Path) -> None:
    with lettering():
        figure = grid.draw(cells(3), "images", "how")
        for form in ("pdf", "svg", "png"):
            figure.savefig(tmp_path / f"x.{form}", dpi=70)
    assert len([*tmp_path.iterdir()]) == 3


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_constant_image_keeps_its_brightness(level: float) -> None:
    seen = drawn(grid.draw([grid.Cell(torch.full((1, 40, 40), level), [grid.Line("x")])], "images", "how"))
    assert seen[seen.shape[0] - 60, 50].tolist() == pytest.approx([255 * level] * 3, abs=1)


@pytest.mark.parametrize("name", ["US$ and 5$", "$5", r"$\frac$", r"a_{b} \frac", "ünï cødé", "", "שלום", "漢字"])
def test_any_name_of_a_class_is_drawn_as_text(name: str) -> None:
    drawn(grid.draw([grid.Cell(torch.rand(1, 4, 4), [grid.Line(name, name)])] * 2, name, name))


# --- filters --------------------------------------------------------------------------------------------


def kernels(channels: int) -> torch.Tensor:
    return torch.randn(5, channels, 3, 3, generator=torch.Generator().manual_seed(0))


def mosaics(figure: Figure | None) -> list[np.ndarray]:
    assert figure is not None
    return [np.asarray(image.get_array())[..., :3] for image in figure.images]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("scaling", "scale"),
    [
        ("per filter", lambda k, w: (k - k.min()) / (k.max() - k.min())),
        ("over all filters", lambda k, w: (k - w.min()) / (w.max() - w.min())),
    ],
)
def test_filters_are_scaled_one_by_one_or_all_alike(
    scaling: str, scale: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], channels: int
) -> None:
    weight = kernels(channels)
    figure = filters.draw(weight, scalings=[scaling])
    (mosaic,) = mosaics(figure)
    side = filters.LARGEST // 3 * 3
    for number, kernel in enumerate(weight):
        seen = mosaic[1:side:46, number * (side + filters.GAP) + 1 : number * (side + filters.GAP) + side : 46]
        expected = scale(kernel, weight).expand(3, -1, -1).permute(1, 2, 0)
        np.testing.assert_allclose(seen, 255 * expected, atol=0.51)
    assert figure is not None
    assert f"{scaling}: " in words(figure)


def test_zero_centred_filters_have_zero_in_the_middle() -> None:
    weight = kernels(1)
    (mosaic,) = mosaics(filters.draw(weight, scalings=["zero-centred"]))
    side = filters.LARGEST // 3 * 3
    for number, mean in enumerate(weight.mean(1)):
        for (y, x), value in np.ndenumerate(mean.numpy()):
            red, _, blue = mosaic[46 * y + 1, number * (side + filters.GAP) + 46 * x + 1].astype(int)
            assert (red > blue) == (value > 0)


def test_filters_are_shown_in_three_scalings_unless_told() -> None:
    figure = filters.draw(kernels(1))
    assert len(mosaics(figure)) == 3
    assert figure is not None
    assert all(f"{scaling}: " in words(figure) for scaling in ("per filter", "over all filters", "zero-centred"))
    drawn(figure)


def test_filters_that_say_nothing_are_left_out() -> None:
    weight = kernels(1)
    weight[1], weight[3, 0, 0, 0] = 0.7, float("nan")
    figure = filters.draw(weight)
    assert figure is not None
    assert "2 constant or broken filters left out" in words(figure)
    for mosaic, alone in zip(mosaics(figure), mosaics(filters.draw(weight[[0, 2, 4]])), strict=True):
        assert np.array_equal(mosaic, alone)
    assert filters.draw(torch.full((4, 1, 3, 3), 0.7, requires_grad=True)) is None


def test_of_many_filters_the_first_are_shown_with_a_note() -> None:
    figure = filters.draw(torch.randn(200, 3, 7, 7))
    assert figure is not None
    assert f"the first {filters.MOST} are shown" in words(figure)
    assert "200 filters of 7x7, 3 channels" in words(figure)
    drawn(figure)


@pytest.mark.parametrize("layer", [torch.nn.Conv2d(3, 8, 1), torch.nn.Linear(7, 3), torch.nn.Conv2d(3, 8, (1, 5))])
def test_a_layer_without_pictures_has_no_filters(layer: torch.nn.Module) -> None:
    assert filters.kernels(torch.nn.Sequential(layer, torch.nn.Linear(49, 3))) is None


def test_filters_of_bfloat16_can_be_drawn() -> None:
    drawn(filters.draw(kernels(3).bfloat16()))  # type: ignore[arg-type]


def test_a_figure_is_rendered_as_matplotlib_saves_it() -> None:
    figure = grid.draw(cells(3), "images", "how")
    buffer = io.BytesIO()
    with lettering():
        figure.savefig(buffer, format="rgba")
    expected = np.frombuffer(buffer.getvalue(), np.uint8).reshape(-1, 4)[:, :3]
    assert np.array_equal(render(figure).reshape(-1, 3), expected)
