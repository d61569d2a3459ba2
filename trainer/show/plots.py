"""The pictures: each function returns a matplotlib figure, made without a display and without pyplot's state."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from trainer.show.lettering import lettered, lettering, roomy

Pixels = np.ndarray[Any, Any]
TITLE = 30  # letters above an image
SCALINGS = ("per filter", "over all filters", "zero-centred")


def fit(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], line: tuple[Tensor, Tensor]) -> Figure:
    """Regression on one feature: points and the model's curve, each as x and y of shape (N,)."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(train[0].tolist(), train[1].tolist(), s=18, alpha=0.8, label="train")
    axes.scatter(test[0].tolist(), test[1].tolist(), s=18, alpha=0.8, marker="x", label="test")
    axes.plot(line[0].tolist(), line[1].tolist(), color="tab:red", label="model")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def samples(images: Tensor, titles: Sequence[str], wrong: Sequence[bool] | None = None) -> Figure:
    """A grid of images (N, C, H, W) in 0..1, each with a title, which is red where `wrong` says so."""
    count, _, height, width = images.shape
    title, gap = math.ceil(0.3 * height), math.ceil(0.08 * width)
    canvas, places = mosaic([colours(image) for image in images], 8, title, gap)
    columns = min(8, count)
    figure = Figure(figsize=(1.4 * columns, 1.4 * columns * canvas.shape[0] / (canvas.shape[1] + gap)))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_axis_off()
    axes.imshow(canvas, interpolation="nearest")
    for number, (top, left) in enumerate(places):
        color = "tab:red" if wrong is not None and wrong[number] else "black"
        x, y = left + width / 2, top - 0.07 * height
        axes.text(x, y, lettered(titles[number], TITLE), ha="center", va="bottom", fontsize=9, color=color)
    return figure


def filters(weight: Tensor, scalings: Sequence[str] = SCALINGS) -> Figure:
    """First-layer filters (N, C, h, w), one grid of pictures per scaling.

    Per filter: each from its least to its greatest weight. Over all filters: on one scale. Zero-centred:
    on one scale with zero in the middle, blue below and red above. Filters of three channels are shown in
    colour, except zero-centred; of filters of other numbers of channels the mean over the channels is shown.
    """
    shown = weight.detach().float().cpu()[:32]
    columns = min(16, len(shown))
    lines = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(max(4.0, 0.75 * columns), (0.8 * lines + 0.35) * len(scalings)), layout="constrained")
    for axes, scaling in zip(figure.subplots(len(scalings), 1, squeeze=False)[:, 0], scalings, strict=True):
        gap = math.ceil(0.1 * shown.shape[3])
        axes.set_axis_off()
        axes.set_title(scaling, fontsize=9)
        axes.imshow(mosaic(_scaled(shown, scaling), columns, gap, gap)[0], interpolation="nearest")
    return figure


def _scaled(weight: Tensor, scaling: str) -> list[Pixels]:
    """A picture (h, w, 3) of each filter in `weight` (N, C, h, w)."""
    if scaling == "zero-centred":
        mean = weight.mean(1)
        shares = 0.5 + 0.5 * mean / (float(mean.abs().max()) or 1.0)
        return [*colormaps["coolwarm"](shares.numpy())[..., :3]]
    every = (1, 2, 3) if scaling == "per filter" else (0, 1, 2, 3)
    low, high = weight.amin(every, keepdim=True), weight.amax(every, keepdim=True)
    span = (high - low).where(high > low, 1.0)
    return [colours(one) for one in (weight - low) / span]


def mosaic(pictures: Sequence[Pixels], columns: int, above: int, beside: int) -> tuple[Pixels, list[tuple[int, int]]]:
    """One picture of all `pictures` (h, w, 3), and the row and column where each begins: axes for each take seconds.

    So many rows of pixels `above` each, and columns `beside` it, stay white.
    """
    height, width, _ = pictures[0].shape
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    canvas = np.ones((rows * (above + height), columns * (width + beside) - beside, 3))
    places = []
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * (above + height) + above, (number % columns) * (width + beside)
        canvas[top : top + height, left : left + width] = picture
        places.append((top, left))
    return canvas, places


def colours(image: Tensor) -> Pixels:
    """An image (C, H, W) in 0..1 as (H, W, 3): in colour if it has three channels, otherwise their mean in grey."""
    channels = image if image.shape[0] == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)
    return channels.permute(1, 2, 0).clamp(0, 1).numpy()


def render(figure: Figure) -> Pixels:
    """The pixels of a figure, (height, width, 3) uint8."""
    figure.set_dpi(110)
    canvas = FigureCanvasAgg(figure)
    with lettering():
        roomy(figure, canvas.draw)
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]
