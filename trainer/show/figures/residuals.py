"""Quantities: predicted beside true values, and how far off predictions are."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from trainer.engine.outcome import Outcome
from trainer.show.figures.style import PLAIN, TITLE, WIDTH, WRONG, of_split
from trainer.system.shown import counted

COLUMNS = 3  # of the target that are drawn
POINTS = 5000  # samples that are drawn, evenly chosen among all
BARS = 40
_LINE: dict[str, Any] = {"color": WRONG, "linewidth": 1}


def draw(outcome: Outcome) -> Figure | None:
    """For each target column predicted against true values, and residuals with their distribution; None for classes."""
    if outcome.classes is not None:
        return None
    columns = outcome.outputs.shape[1]
    shown = min(columns, COLUMNS)
    figure = Figure(figsize=(WIDTH, 3.3 * shown + 0.3), layout="constrained")
    parts: Sequence[FigureBase] = [figure]
    if shown > 1:
        parts = list(figure.subfigures(shown, 1, squeeze=False)[:, 0])
    for column, part in enumerate(parts):
        name = f"target {column + 1}: " if columns > 1 else ""
        _drawn(part, outcome.targets[:, column].double(), outcome.outputs[:, column], name)
    stride = math.ceil(len(outcome) / POINTS)
    some = f", {math.ceil(len(outcome) / stride):,} of them drawn" if stride > 1 else ""
    some += f"; the first {shown} of {counted(columns, 'target')}" if columns > shown else ""
    figure.suptitle(of_split(outcome) + some, fontsize=TITLE)
    return figure


def _drawn(figure: FigureBase, targets: Tensor, outputs: Tensor, name: str) -> None:
    residuals = outputs - targets
    left, right, beside = figure.subplots(1, 3, width_ratios=[4, 4, 1])
    beside.sharey(right)
    low, high = float(min(targets.min(), outputs.min())), float(max(targets.max(), outputs.max()))
    some = slice(None, None, math.ceil(len(targets) / POINTS))
    _points(left, targets[some], outputs[some], "true value", "predicted value")
    left.plot([low, high], [low, high], **_LINE)
    left.set_title(f"{name}R² {_r2(targets, residuals):.4f}", fontsize=TITLE)
    _points(right, outputs[some], residuals[some], "predicted value", "predicted less true value")
    right.axhline(0, **_LINE)
    rmse, mae = float(residuals.square().mean().sqrt()), float(residuals.abs().mean())
    right.set_title(f"{name}MAE {mae:.4g}, RMSE {rmse:.4g}", fontsize=TITLE)
    beside.stairs(*np.histogram(residuals.numpy(), BARS), orientation="horizontal", fill=True, color=PLAIN)
    beside.axhline(0, **_LINE)
    beside.set_xlabel("samples")
    beside.tick_params(labelleft=False)


def _points(axes: Axes, x: Tensor, y: Tensor, across: str, up: str) -> None:
    axes.plot(x.numpy(), y.numpy(), "o", markersize=3.5, markeredgewidth=0, alpha=0.5, color=PLAIN)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(alpha=0.3)


def _r2(targets: Tensor, residuals: Tensor) -> float:
    """As `engine.metrics` has it, of one column."""
    missed, spread = float(residuals.square().sum()), float((targets - targets.mean()).square().sum())
    return 1 - missed / spread if spread > 0 else float(missed == 0)
