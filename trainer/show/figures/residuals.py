"""Quantities: predicted beside true values, and how far off predictions are."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from torch import Tensor

from trainer.engine.outcome import Outcome
from trainer.show.figures.style import MARK, colour, head, labelled, page, panel
from trainer.show.lettering import fitted
from trainer.system.shown import amount, counted

TARGETS = 3  # columns of the target that are drawn
POINTS = 5000  # samples that are drawn, evenly chosen among all
BARS = 40
SIDE, BETWEEN = 2.45, 0.7  # inches of axes, and from one row to the next
_LINE: dict[str, Any] = {"color": MARK, "linewidth": 1, "linestyle": "--"}


def draw(outcome: Outcome, subject: str) -> Figure | None:
    """For each target column predicted against true values, and residuals with their distribution; None for classes."""
    if outcome.classes is not None:
        return None
    columns = outcome.outputs.shape[1]
    shown = min(columns, TARGETS)
    stride = math.ceil(len(outcome) / POINTS)
    how = "points on the dashed line are right; a band that bends or widens says where the model is not"
    how += f"; {math.ceil(len(outcome) / stride):,} of {len(outcome):,} samples are drawn" if stride > 1 else ""
    how += f"; the first {shown} of {counted(columns, 'target')}" if columns > shown else ""
    figure = page(shown * (SIDE + BETWEEN), head(outcome, subject), how)
    for column in range(shown):
        bottom = (shown - 1 - column) * (SIDE + BETWEEN) + 0.45
        _drawn(figure, bottom, outcome, column, stride)
    return figure


def _drawn(figure: Figure, bottom: float, outcome: Outcome, column: int, stride: int) -> None:
    targets, outputs = outcome.targets[:, column].double(), outcome.outputs[:, column]
    residuals, some, plain = outputs - targets, slice(None, None, stride), colour(outcome.split)
    name = _name(outcome, column)
    left, right = panel(figure, 0.85, bottom, 2.45, SIDE), panel(figure, 4.15, bottom, 2.35, SIDE)
    beside = panel(figure, 6.58, bottom, 0.82, SIDE, sharey=right)
    low, high = float(min(targets.min(), outputs.min())), float(max(targets.max(), outputs.max()))
    _points(left, targets[some], outputs[some], plain)
    left.plot([low, high], [low, high], **_LINE)
    r2, rmse, mae = _r2(targets, residuals), float(residuals.square().mean().sqrt()), float(residuals.abs().mean())
    labelled(left, fitted(f"true {name}", 2.6, 8), fitted(f"predicted {name}", SIDE, 8), f"R² {r2:.4f}", 0.65)
    _points(right, outputs[some], residuals[some], plain)
    right.axhline(0, **_LINE)
    title = f"MAE {amount(mae)}, RMSE {amount(rmse)}"
    labelled(right, fitted(f"predicted {name}", 2.5, 8), "predicted less true", title, 0.65)
    beside.hist(residuals.numpy(), _bins(residuals), orientation="horizontal", color=plain)
    beside.axhline(0, **_LINE)
    labelled(beside, "samples", "")
    beside.tick_params(labelleft=False)
    beside.xaxis.set_major_locator(MaxNLocator(2, integer=True))


def _name(outcome: Outcome, column: int) -> str:
    """What a target column is called."""
    names = outcome.data.quantities
    if names:
        return names[column]
    return "value" if outcome.outputs.shape[1] == 1 else f"target {column + 1}"


def _bins(residuals: Tensor) -> Any:
    bars = max(5, min(BARS, round(2 * len(residuals) ** 0.5)))
    return np.histogram_bin_edges(residuals.numpy(), bars)


def _points(axes: Axes, x: Tensor, y: Tensor, plain: str) -> None:
    alpha = 0.5 if len(x) > 50 else 0.9
    axes.plot(x.numpy(), y.numpy(), "o", markersize=3.5, markeredgewidth=0, alpha=alpha, color=plain)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))


def _r2(targets: Tensor, residuals: Tensor) -> float:
    """As `engine.metrics` has it, of one column."""
    missed, spread = float(residuals.square().sum()), float((targets - targets.mean()).square().sum())
    return 1 - missed / spread if spread > 0 else float(missed == 0)
