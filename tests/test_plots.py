"""Pictures: what is in them, and that odd inputs do not break or warn."""

import io
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from trainer.show import plots
from trainer.show.curves import curves

Row = dict[str, float]


def drawn(figure: Figure) -> np.ndarray:
    """The figure's pixels; drawing it must neither fail nor warn."""
    pixels = plots.render(figure)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 0
    return pixels


def epochs(count: int, **changes: float) -> list[Row]:
    same = {"lr": 0.1, "seconds": 1.0, "val/accuracy": 0.5}
    rows = [{"epoch": e, "step": 10 * e, "train/loss": 1 / e, "val/loss": 2 / e} for e in range(1, count + 1)]
    return [row | same | changes for row in rows]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


# --- curves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 19, 1000])
def test_losses_share_their_axes_and_each_metric_has_its_own(count: int) -> None:
    figure = curves(epochs(count))
    assert titles(figure) == ["loss", "accuracy"]
    train, val = figure.axes[0].lines
    assert [line.get_label() for line in (train, val)] == ["train", "val"]
    assert train.get_xdata().tolist() == list(range(1, count + 1))
    assert val.get_ydata().tolist() == [2 / e for e in range(1, count + 1)]
    drawn(figure)


def test_the_learning_rate_is_drawn_where_it_changes() -> None:
    rows = epochs(3)
    rows[2]["lr"] = 0.01
    figure = curves(rows)
    assert titles(figure) == ["loss", "accuracy", "lr"]
    assert figure.axes[2].lines[0].get_ydata().tolist() == [0.1, 0.1, 0.01]


def test_epochs_without_evaluation_have_no_point() -> None:
    rows = epochs(4)
    for row in (rows[0], rows[2]):
        del row["val/loss"], row["val/accuracy"]
    assert curves(rows).axes[1].lines[0].get_xdata().tolist() == [2, 4]


def test_evaluations_within_an_epoch_lie_between_epochs() -> None:
    within = {"epoch": 1, "step": 5, "lr": 0.1, "train/loss": 3.0, "val/loss": 3.0, "val/accuracy": 0.1}
    figure = curves([within, *epochs(2)])
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0.5, 1, 2]


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), 1e30, -5.0])
def test_curves_of_odd_values_can_be_saved(value: float) -> None:
    drawn(curves([*epochs(3), *epochs(1, **{"epoch": 4, "val/loss": value})]))


@pytest.mark.parametrize(("last", "scale"), [(0.5, "linear"), (1e-3, "log")])
def test_a_loss_that_falls_far_has_a_logarithmic_axis(last: float, scale: str) -> None:
    figure = curves([*epochs(2), *epochs(1, **{"epoch": 3, "train/loss": last})])
    assert figure.axes[0].get_yscale() == scale
    assert figure.axes[1].get_yscale() == "linear"


# --- regression -----------------------------------------------------------------------------------------


def test_fit_has_the_points_and_the_line() -> None:
    x = torch.linspace(0, 1, 5)
    figure = plots.fit((x, x**2), (x + 0.1, x), (x, 2 * x))
    axes = figure.axes[0]
    train, test = axes.collections
    assert np.allclose(train.get_offsets(), torch.stack([x, x**2], 1))
    assert np.allclose(test.get_offsets(), torch.stack([x + 0.1, x], 1))
    assert np.allclose(axes.lines[0].get_ydata(), 2 * x)
    drawn(figure)


# --- images ---------------------------------------------------------------------------------------------


def pictures(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def as_seen(image: torch.Tensor) -> np.ndarray:
    """(H, W, 3): in colour, or the mean of other numbers of channels in grey."""
    colours = image if image.shape[0] == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)
    return colours.permute(1, 2, 0).numpy()


def place(image: np.ndarray, mosaic: np.ndarray) -> tuple[int, int]:
    """Row and column of the pixel where `image` (H, W, 3) lies in `mosaic`."""
    windows = np.lib.stride_tricks.sliding_window_view(mosaic, image.shape)[:, :, 0]
    ((row, column),) = np.argwhere(np.isclose(windows, image, atol=1e-6).all((2, 3, 4)))
    return int(row), int(column)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 7, 9, 32])
def test_samples_lie_in_order_with_a_title_each(count: int, channels: int) -> None:
    images = torch.rand(count, channels, 6, 5, generator=torch.Generator().manual_seed(0))
    names = [f"class {i}" for i in range(count)]
    figure = plots.samples(images, names)
    (axes,) = figure.axes
    places = [place(as_seen(image), pictures(figure)[0]) for image in images]
    assert places == sorted(places)
    assert [text.get_text() for text in axes.texts] == names
    for text, (row, column) in zip(axes.texts, places, strict=True):
        assert column <= text.get_position()[0] <= column + 5
        assert text.get_position()[1] <= row


def test_wrong_predictions_are_red() -> None:
    figure = plots.samples(torch.rand(2, 1, 4, 4), ["3", "5, not 3"], [False, True])
    assert [text.get_color() for text in figure.axes[0].texts] == ["black", "tab:red"]


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_constant_image_keeps_its_brightness(level: float) -> None:
    pixels = drawn(plots.samples(torch.full((1, 1, 40, 40), level), ["x"]))
    below_the_title = pixels[pixels.shape[0] * 5 // 8, pixels.shape[1] // 2]
    assert below_the_title.tolist() == pytest.approx([255 * level] * 3, abs=1)


@pytest.mark.parametrize("name", ["US$ and 5$", "$5", r"$\frac$", r"a_{b} \frac", "ünï cødé", ""])
def test_any_name_of_a_class_is_drawn_as_text(name: str) -> None:
    drawn(plots.samples(torch.rand(2, 1, 4, 4), [name, "x"]))


# --- filters --------------------------------------------------------------------------------------------


def kernels(channels: int) -> torch.Tensor:
    return torch.randn(5, channels, 3, 3, generator=torch.Generator().manual_seed(0))


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
    figure = plots.filters(weight, [scaling])
    places = [place(as_seen(scale(kernel, weight)), pictures(figure)[0]) for kernel in weight]
    assert places == sorted(places)
    assert titles(figure) == [scaling]


def test_zero_centred_filters_have_zero_in_the_middle() -> None:
    weight = kernels(3)
    means = weight.mean(1)
    limit = float(means.abs().max())
    (found,) = pictures(plots.filters(weight, ["zero-centred"]))
    for mean in means:
        colours = matplotlib.colormaps["coolwarm"](Normalize(-limit, limit)(mean.numpy()))
        row, column = place(colours[..., :3], found)
        for (y, x), value in np.ndenumerate(mean):
            red, _, blue = found[row + y, column + x]
            assert (red > blue) == (value > 0)


def test_filters_are_shown_in_three_scalings_unless_told() -> None:
    assert titles(plots.filters(kernels(1))) == ["per filter", "over all filters", "zero-centred"]


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (17, 2, 16), (40, 2, 16)])
def test_constant_filters_can_be_drawn(value: float, count: int, rows: int, columns: int) -> None:
    figure = plots.filters(torch.full((count, 1, 3, 3), value, requires_grad=True))
    found = pictures(figure)
    assert [picture.shape for picture in found] == [(rows * 4, columns * 4 - 1, 3)] * 3  # of 3 pixels and 1 between
    assert all(np.isfinite(picture).all() for picture in found)
    drawn(figure)


def test_filters_of_bfloat16_can_be_drawn() -> None:
    drawn(plots.filters(kernels(3).bfloat16()))


def test_a_figure_is_rendered_as_matplotlib_saves_it() -> None:
    x = torch.linspace(0, 1, 9)
    figure = plots.fit((x, x), (x, x), (x, 2 * x))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=110)
    expected = np.frombuffer(buffer.getvalue(), np.uint8).reshape(-1, 4)[:, :3]
    assert np.array_equal(plots.render(figure).reshape(-1, 3), expected)
