"""The ROC curve and the precision-recall curve: of the second of two classes, or of each class against all others."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.engine.ranking import LARGEST, Ranking, rankings
from trainer.show.figures.style import (
    CLASSES,
    KEY,
    LETTERS,
    MARK,
    Numbers,
    Style,
    colour,
    head,
    key,
    labelled,
    page,
    panel,
)
from trainer.show.lettering import class_names, fitted

EACH = 10  # classes up to which each has its curve
WORST = 5  # curves of more classes, beside the mean of all
SIDE, LEFT, NEXT = 3.05, 0.6, 4.3  # inches of both axes, and where they begin
NAME, KEYED = 1.3, 3.5  # inches of a name in the key, and of a column of it
FINE = 2000  # a curve has no two points within that part of its axes
CORNERS = (0.02, 0.05, 0.1, 0.2, 1.0)  # parts of the axes that are shown: good models have their curves in a corner
_CHANCE: Style = {"color": MARK, "linewidth": 1, "linestyle": "--"}
_POINT: Style = {"color": "black", "marker": "o", "linestyle": ""}


@dataclass(frozen=True)
class Curves:
    """Both curves of one class, or their mean over all classes: x and y, each (points,), and what they come to."""

    name: str
    roc: tuple[Numbers, Numbers]  # false and true positive rate
    precision: tuple[Numbers, Numbers]  # recall and precision
    auc: float
    average_precision: float


def draw(outcome: Outcome, subject: str) -> Figure | None:
    """Both curves beside each other, with what they come to below; the threshold of two classes is marked.

    None where nothing is to be ranked: in regression, with samples of one class, and with more scores than `LARGEST`.
    """
    classes = outcome.classes
    if classes is None or outcome.outputs.numel() > LARGEST:
        return None
    scaled, names = outcome.calibration.scaled(outcome.outputs), class_names(classes)
    ranked = rankings(scaled, outcome.targets)
    each = [_of_class(fitted(names[one], NAME, LETTERS), found) for one, found in ranked]
    if not each:
        return None
    binary, mean = len(classes) == 2, _mean(each)
    shown = each if len(each) <= EACH else sorted(each, key=lambda curves: curves.auc)[:WORST]
    what = f"positive: {names[1]}" if binary else "each class against all others"
    drawn = [*_styled(shown, outcome)]
    if shown is not each:
        what += f", of which the {WORST} worst"
        drawn.insert(0, (mean, {"color": MARK, "linewidth": 2.5}))
    points = _threshold(outcome) if binary else None
    below = 0.5 + KEY * math.ceil((len(drawn) + 1 + (points is not None)) / 2)
    word = "" if binary else "mean "
    said = f"{word}AUC {_figure(mean.auc)}, {head(outcome, subject)}"
    figure = page(SIDE + below + 0.3, said, f"{what}; the closer to the upper corner, the better")
    left, right = (panel(figure, start, below, SIDE, SIDE) for start in (LEFT, NEXT))
    entries: list[tuple[str, Style, str]] = []
    for curves, style in drawn:
        left.plot(*curves.roc, label=curves.name, **style)
        right.plot(*curves.precision, drawstyle="steps-pre", **style)
        figures = f"AUC {_figure(curves.auc)}, AP {_figure(curves.average_precision)}"
        entries.append((curves.name, style, figures))
    if points is not None:
        for axes, point in zip((left, right), points, strict=True):
            axes.plot(*point, **_POINT)
        entries.append((f"threshold {outcome.calibration.threshold:.4g}", _POINT, ""))
    areas = (f"ROC: {word}AUC {_figure(mean.auc)}", f"Precision-recall: {word}AP {_figure(mean.average_precision)}")
    for axes, best, area in ((left, (0.0, 1.0), areas[0]), (right, (1.0, 1.0), areas[1])):
        corner = _show_corner(axes, best)
        across, up = ("false positive rate", "true positive rate") if axes is left else ("recall", "precision")
        labelled(axes, across, up, area + ("" if corner == 1 else ", the corner"), 0.45)
        if axes is left and corner == 1:
            left.plot([0, 1], [0, 1], **_CHANCE)
    if binary:
        right.axhline(float((outcome.targets == 1).double().mean()), **_CHANCE)
    key(figure, LEFT, below - 0.55, [*entries, ("chance", _CHANCE, "")], KEYED)
    return figure


def _styled(shown: Sequence[Curves], outcome: Outcome) -> Iterator[tuple[Curves, Style]]:
    """Each curve with how it is drawn: of two classes in the colour of the split."""
    for number, curves in enumerate(shown):
        own = colour(outcome.split) if len(outcome.data.classes or ()) == 2 else CLASSES[number % len(CLASSES)]
        yield curves, {"color": own, "linewidth": 1.4, "linestyle": "-" if number < len(CLASSES) else (0, (4, 1.5))}


def _figure(area: float) -> str:
    """An area in four digits, which is not rounded up to 1."""
    return f"{area:.4f}" if area == 1 or area < 0.99995 else f"{area:.6f}" if area < 0.9999995 else ">0.999999"


def _show_corner(axes: Axes, best: tuple[float, float]) -> float:
    """Show the part of the axes, from their `best` point, in which each line bends and every point lies; which one."""
    lines = [np.asarray(line.get_xydata()) for line in axes.lines]
    off = [0.0, *(float(np.abs(points - np.array(best)).max(1).min()) for points in lines)]
    corner = next((corner for corner in CORNERS if 0 < 3 * max(off) <= corner), 1.0)
    start = 0.0 if best[0] == 0 else 1 - corner
    axes.set_xlim(start - 0.01 * corner, start + 1.01 * corner)
    axes.set_ylim(1 - 1.01 * corner, 1 + 0.02 * corner)
    axes.locator_params(nbins=5)
    return corner


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


def _threshold(outcome: Outcome) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Where the threshold of two classes lies in both curves; None where the calibration has put none."""
    if outcome.calibration.threshold is None:
        return None
    positive, taken = outcome.targets == 1, outcome.predicted == 1
    found, wrong = int((taken & positive).sum()), int((taken & ~positive).sum())
    recall = found / int(positive.sum())
    precision = found / (found + wrong) if found + wrong else math.nan
    return (wrong / int((~positive).sum()), recall), (recall, precision)
