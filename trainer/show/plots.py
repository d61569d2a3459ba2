"""The pictures: each function draws one matplotlib figure, without a display and without pyplot's state."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from trainer.engine.measures import measure

Pixels = np.ndarray[Any, Any]
Rows = Sequence[dict[str, float]]
POINTS = 1000  # of a curve
SCALINGS = ("per filter", "over all filters", "zero-centred")


def curves(rows: Rows) -> Figure:
    """Losses, and each metric, over the epochs; the learning rate where it changes."""
    metrics = sorted({key.split("/")[1] for row in rows for key in row if "/" in key}, key=lambda m: (m != "loss", m))
    metrics = [m for m in metrics if m != "top5"]
    if len({row["lr"] for row in rows}) > 1:
        metrics.append("lr")
    figure, every = _framed(4.6, 3.6, len(metrics))
    for axes, metric in zip(every, metrics, strict=True):
        for key in sorted({k for row in rows for k in row if k == metric or k.endswith(f"/{metric}")}):
            points = _thinned([(_x(rows, i), row[key]) for i, row in enumerate(rows) if key in row])
            marker = "o" if len(points) < 20 else ""
            axes.plot(*zip(*points, strict=True), marker=marker, markersize=3, label=key.split("/")[0])
        values = [row[k] for row in rows for k in row if k.endswith(f"/{metric}")]
        if measure(metric).log and values and min(values) > 0 and max(values) > 30 * min(values):
            axes.set_yscale("log")
        axes.set_title(metric)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(alpha=0.3)
        if metric != "lr":
            axes.legend()
    return figure


def _framed(width: float, height: float, columns: int = 1, left: float = 0.72) -> tuple[Figure, list[Any]]:
    """A figure and its axes side by side, each so large (inches) with margins that numbers and names fit into.

    matplotlib would measure them, for as long as it then draws.
    """
    figure = Figure(figsize=(width * columns, height))
    right, bottom, top = 0.12, 0.52, 0.34
    size = ((width - left - right) / (width * columns), (height - bottom - top) / height)
    starts = [(number * width + left) / (width * columns) for number in range(columns)]
    return figure, [figure.add_axes((start, bottom / height, *size)) for start in starts]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about as many points as a curve has pixels, the last one among them."""
    stride = max(1, len(points) // POINTS)
    return points[(len(points) - 1) % stride :: stride]


def _x(rows: Rows, index: int) -> float:
    """The epoch that a row belongs to; an evaluation within an epoch lies between two."""
    row = rows[index]
    if "seconds" in row:
        return row["epoch"]
    steps = next((r["step"] / r["epoch"] for r in rows if "seconds" in r), row["step"])
    return row["step"] / steps


def fit(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], line: tuple[Tensor, Tensor]) -> Figure:
    """1-D regression: the points, and the model's curve through them; all tensors are flat."""
    figure, (axes,) = _framed(5.6, 4.2, left=0.95)
    axes.scatter(train[0].tolist(), train[1].tolist(), s=18, alpha=0.8, label="train")
    axes.scatter(test[0].tolist(), test[1].tolist(), s=18, alpha=0.8, marker="x", label="test")
    axes.plot(line[0].tolist(), line[1].tolist(), color="tab:red", label="model")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def scatter(targets: Tensor, outputs: Tensor) -> Figure:
    """Regression on many features: predicted against true values, (N,) each."""
    figure, (axes,) = _framed(4.8, 4.6, left=0.95)
    low = min(float(targets.min()), float(outputs.min()))
    high = max(float(targets.max()), float(outputs.max()))
    axes.plot([low, high], [low, high], color="tab:red", linewidth=1)
    axes.scatter(targets.tolist(), outputs.tolist(), s=12, alpha=0.6)
    axes.set_xlabel("true value")
    axes.set_ylabel("predicted value")
    axes.grid(alpha=0.3)
    return figure


def samples(images: Tensor, titles: Sequence[str], wrong: Sequence[bool] | None = None) -> Figure:
    """A grid of images (N, C, H, W) in 0..1 with a title each; titles of wrong ones are red."""
    count, _, height, width = images.shape
    columns = min(8, count)
    rows = math.ceil(count / columns)
    # One picture of all of them: 32 axes would take seconds to draw.
    title, gap = math.ceil(0.3 * height), math.ceil(0.08 * width)
    mosaic = np.ones((rows * (height + title), columns * (width + gap) - gap, 3))
    figure = Figure(figsize=(1.4 * columns, 1.4 * rows * (height + title) / (width + gap)))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_axis_off()
    for number in range(count):
        top, left = (number // columns) * (height + title) + title, (number % columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = _colours(images[number])
        color = "tab:red" if wrong is not None and wrong[number] else "black"
        axes.text(
            left + width / 2,
            top - 0.07 * height,
            _literal(titles[number]),
            ha="center",
            va="bottom",
            fontsize=9,
            color=color,
        )
    axes.imshow(mosaic, interpolation="nearest")
    return figure


def confusion(matrix: Tensor, classes: Sequence[str]) -> Figure:
    """The confusion matrix (true by predicted): shares of each true class as colour, counts as text."""
    size = len(classes)
    shares = (matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)).numpy()
    figure = Figure(figsize=(1.6 + 0.55 * size, 1.2 + 0.55 * size) if size <= 20 else (8, 7.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if size <= 20:
        names = [_literal(name) for name in classes]
        axes.set_xticks(range(size), names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(size), names, fontsize=8)
        for row in range(size):
            for column in range(size):
                if matrix[row, column]:
                    color = "white" if shares[row, column] > 0.5 else "black"
                    axes.text(
                        column,
                        row,
                        str(int(matrix[row, column])),
                        ha="center",
                        va="center",
                        fontsize=7,
                        color=color,
                    )
    return figure


def filters(weight: Tensor, scalings: Sequence[str] = SCALINGS) -> Figure:
    """First-layer filters (N, C, h, w), one row of pictures per scaling.

    Per filter: each from its least to its greatest weight. Over all filters: on one scale. Zero-centred:
    on one scale with zero in the middle, blue below and red above. Filters of three channels are shown in
    colour, except zero-centred; others channel after channel averaged.
    """
    shown = weight.detach().float().cpu()[:32]
    columns = min(16, len(shown))
    lines = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(max(4.0, 0.75 * columns), (0.8 * lines + 0.35) * len(scalings)), layout="constrained")
    parts = figure.subfigures(len(scalings), 1, squeeze=False)[:, 0]
    for part, scaling in zip(parts, scalings, strict=True):
        part.suptitle(scaling, fontsize=9)
        grid = np.atleast_1d(part.subplots(lines, columns)).flat
        for number, axes in enumerate(grid):
            axes.set_axis_off()
            if number < len(shown):
                if scaling == "zero-centred":
                    mean = shown.mean(1)
                    limit = float(mean.abs().max()) or 1.0
                    axes.imshow(mean[number].numpy(), cmap="coolwarm", vmin=-limit, vmax=limit)
                else:
                    one = shown[number]
                    scale = one if scaling == "per filter" else shown
                    low, high = float(scale.min()), float(scale.max())
                    axes.imshow(_colours((one - low) / ((high - low) or 1.0)))
    return figure


def _colours(image: Tensor) -> Pixels:
    """An image (C, H, W) in 0..1 as (H, W, 3): three channels in colour, otherwise their mean in grey."""
    channels = image if image.shape[0] == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)
    return channels.permute(1, 2, 0).clamp(0, 1).numpy()


def _literal(text: str) -> str:
    """`text` as it is, where matplotlib would set what stands between dollars as a formula."""
    return text.replace("$", r"\$")


def render(figure: Figure) -> Pixels:
    """The figure's pixels, (height, width, 3) uint8: drawn once, for a file and for TensorBoard."""
    figure.set_dpi(110)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]
