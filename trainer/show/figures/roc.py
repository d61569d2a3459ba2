"""The ROC curve and the precision-recall curve: of the second of two classes, or of each class against all others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.engine.ranking import LARGEST, Ranking, rankings
from trainer.show.figures.style import LETTERS, TITLE, WIDTH, Numbers, of_split
from trainer.show.lettering import lettered

EACH = 10  # classes up to which each has its curve
WORST = 5  # curves of more classes, beside the mean of all
SIDE = 3.0  # inches of both axes
PLACE = {"left": 0.085, "right": 0.98, "wspace": 0.24}
FINE = 2000  # a curve has no two points within that part of its axes
CORNERS = (0.02, 0.05, 0.1, 0.2, 1.0)  # parts of the axes that are shown: good models have their curves in a corner
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#94a4a2", "#b9ac70", "#717581", "#92dadb")
_CHANCE: dict[str, Any] = {"color": "0.4", "linewidth": 1, "linestyle": "--"}


@dataclass(frozen=True)
class Curves:
    """Both curves of one class, or their mean over all classes: x and y, each (points,), and what they come to."""

    name: str
    roc: tuple[Numbers, Numbers]  # false and true positive rate
    precision: tuple[Numbers, Numbers]  # recall and precision
    auc: float
    average_precision: float


def draw(outcome: Outcome) -> Figure | None:
    """Both curves beside each other, with what they come to below; the threshold of two classes is marked.

    None where nothing is to be ranked: in regression, with samples of one class, and with more scores than `LARGEST`.
    """
    classes = outcome.classes
    if classes is None or outcome.outputs.numel() > LARGEST:
        return None
    scaled = outcome.calibration.scaled(outcome.outputs)
    each = [_of_class(lettered(classes[one], 20), found) for one, found in rankings(scaled, outcome.targets)]
    if not each:
        return None
    binary, mean = len(classes) == 2, _mean(each)
    shown = each if len(each) <= EACH else sorted(each, key=lambda curves: curves.auc)[:WORST]
    lines = math.ceil((len(shown) + 2 + (shown is not each)) / 2)
    below, above = 0.6 + 0.17 * lines, 0.55  # inches
    height = SIDE + below + above
    figure = Figure(figsize=(WIDTH, height))
    left, right = figure.subplots(1, 2, gridspec_kw={**PLACE, "bottom": below / height, "top": 1 - above / height})
    if shown is not each:
        _plot(left, right, mean, color="black", linewidth=2)
    for curves, colour in zip(shown, COLOURS, strict=False):
        _plot(left, right, curves, color=colour, linewidth=1.3)
    if binary:
        _mark(left, right, outcome)
    corner = _corner(left, right)
    if corner == 1:
        left.plot([0, 1], [0, 1], **_CHANCE, label="chance")
    for axes, across, up in ((left, "false positive rate", "true positive rate"), (right, "recall", "precision")):
        start = 0.0 if axes is left else 1 - corner
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.set_xlim(start - 0.01 * corner, start + 1.01 * corner)
        axes.set_ylim(1 - 1.01 * corner, 1 + 0.02 * corner)
        axes.locator_params(nbins=6)
        axes.tick_params(labelsize=LETTERS)
        axes.grid(alpha=0.3)
    word = "" if binary else "mean "
    part = "" if corner == 1 else ", the corner"
    left.set_title(f"ROC: {word}AUC {mean.auc:.4f}{part}", fontsize=TITLE)
    right.set_title(f"Precision-recall: {word}AP {mean.average_precision:.4f}{part}", fontsize=TITLE)
    what = f"Positive: {each[0].name}" if binary else "Each class against all others"
    if shown is not each:
        what += f", of which the {WORST} worst"
    figure.suptitle(f"{what}: {of_split(outcome)}", fontsize=TITLE, y=1 - 0.1 / height, va="top")
    figure.legend(loc="lower center", ncols=2, fontsize=LETTERS, frameon=False)
    return figure


def _plot(left: Axes, right: Axes, curves: Curves, **style: Any) -> None:
    label = f"{curves.name}: AUC {curves.auc:.4f}, AP {curves.average_precision:.4f}"
    left.plot(*curves.roc, label=label, **style)
    right.plot(*curves.precision, drawstyle="steps-pre", **style)


def _corner(left: Axes, right: Axes) -> float:
    """Which part of the axes, from their best point, shows where each curve bends, and every marked point."""
    off = [0.0]
    for axes, best in ((left, (0, 1)), (right, (1, 1))):
        lines = [np.asarray(line.get_xydata()) for line in axes.lines if line.get_linestyle() != "--"]
        off += [float(np.abs(points - np.array(best)).max(1).min()) for points in lines]
    return next((corner for corner in CORNERS if 0 < 3 * max(off) <= corner), 1.0)


def _of_class(name: str, found: Ranking) -> Curves:
    fallout, recall, precision = (values.numpy() for values in (found.fallout, found.recall, found.precision))
    roc = _thinned(np.append(0.0, fallout), np.append(0.0, recall))
    steps = _thinned(np.append(0.0, recall), np.append(precision[0], precision))
    return Curves(name, roc, steps, found.auc, found.average_precision)


def _thinned(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """The points of a curve that can be told apart, with its last one."""
    cells = np.stack([x, y]) * FINE // 1
    keep = np.append(True, (np.diff(cells) != 0).any(0))
    keep[-1] = True
    return x[keep], y[keep]


def _mean(each: Sequence[Curves]) -> Curves:
    """The mean over classes of the true positive rate at each false positive rate, and of precision at each recall."""
    grid = np.linspace(0, 1, FINE + 1)
    rate = np.mean([np.interp(grid, *curves.roc) for curves in each], 0)
    precision = np.mean([y[np.searchsorted(x, grid)] for x, y in (curves.precision for curves in each)], 0)
    auc, average = (float(np.mean([getattr(curves, name) for curves in each])) for name in ("auc", "average_precision"))
    return Curves(f"mean of {len(each)} classes", (grid, rate), (grid, precision), auc, average)


def _mark(left: Axes, right: Axes, outcome: Outcome) -> None:
    """Mark in the curves of two classes what chance would reach, and where the calibration has put a threshold."""
    positive, threshold = outcome.targets == 1, outcome.calibration.threshold
    right.axhline(float(positive.double().mean()), **_CHANCE)
    if threshold is None:
        return
    taken = outcome.predicted == 1
    found, wrong = int((taken & positive).sum()), int((taken & ~positive).sum())
    recall, label = found / int(positive.sum()), f"threshold {threshold:.4g}"
    left.plot(wrong / int((~positive).sum()), recall, "o", color="black", label=label)
    if found + wrong:
        right.plot(recall, found / (found + wrong), "o", color="black")
