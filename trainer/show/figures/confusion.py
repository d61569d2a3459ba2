"""The confusion matrix: which classes are taken for which."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, FigureBase
from torch import Tensor

from trainer.engine.outcome import Outcome
from trainer.show.figures.style import LETTERS, SMALL, WIDTH, Numbers, titled
from trainer.show.lettering import lettered

NUMBERED, SHARED = 20, 12  # classes up to which cells have counts, and shares as well
NAMED = 60  # classes up to which rows and columns have names
PAIRS = 10  # of the most confused classes, where there are too many for numbers
GAMMA, FAINT = 0.65, 0.4  # of the colours, and without numbers: on a linear scale rare mistakes would not be seen
CELL = 0.58  # inches, at most
POINTS = 72  # of an inch
DIGIT = 0.64  # of the font's size: the width of a digit


def draw(outcome: Outcome) -> Figure | None:
    """True by predicted class: shares of each true class as colours, with counts; of many classes the worst pairs.

    None where there is no matrix: in regression, and with more classes than one is kept for.
    """
    matrix, classes = outcome.evaluation.confusion, outcome.classes
    if matrix is None or classes is None:
        return None
    shares = (matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)).numpy()
    figure = (_numbered if len(classes) <= NUMBERED else _coloured)(matrix, shares, classes)
    axes = figure.axes[0]
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    titled(axes, f"Confusion: accuracy {outcome.evaluation.metrics['accuracy']:.2%}", outcome)
    return figure


def _numbered(matrix: Tensor, shares: Numbers, classes: Sequence[str]) -> Figure:
    size, names = len(classes), [lettered(name) for name in classes]
    side = min(WIDTH - 1.4, max(2.2, CELL * size))
    figure = Figure(figsize=(side + 1.4, side + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(GAMMA, 0, 1))
    short = max(map(len, names)) * DIGIT * LETTERS < 0.9 * POINTS * side / size
    turned: dict[str, Any] = {} if short else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(size), names, fontsize=LETTERS, **turned)
    axes.set_yticks(range(size), names, fontsize=LETTERS)
    digits = max(4 if size <= SHARED else 1, len(str(int(matrix.max()))))
    font = min(9.0, 0.9 * POINTS * side / size / (DIGIT * digits))
    for row, column in matrix.nonzero().tolist():
        text = str(int(matrix[row, column]))
        if size <= SHARED:
            text += f"\n{shares[row, column]:.1%}"
        color = "white" if shares[row, column] ** GAMMA > 0.55 else "black"
        written = axes.text(column, row, text, ha="center", va="center", fontsize=font, color=color)
        written.set_in_layout(False)  # it lies within its cell: measuring hundreds takes longer than drawing them
    return figure


def _coloured(matrix: Tensor, shares: Numbers, classes: Sequence[str]) -> Figure:
    size, pairs = len(classes), _worst(matrix)
    below = 0.3 + 0.17 * math.ceil(len(pairs) / 2) if pairs else 0.0
    figure = Figure(figsize=(WIDTH, WIDTH + below), layout="constrained")
    upper: FigureBase = figure
    if pairs:
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[WIDTH, below])
        upper, lower = parts[:, 0]
    axes = upper.subplots()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(FAINT, 0, 1))
    bar = upper.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.set_yticklabels(["0", "1%", "5%", "20%", "50%", "100%"], fontsize=SMALL)
    bar.set_label("share of the true class", fontsize=LETTERS)
    if size <= NAMED:
        names, font = [lettered(name, 14) for name in classes], min(SMALL, 0.8 * POINTS * 5 / size)
        axes.set_xticks(range(size), names, rotation=90, fontsize=font)
        axes.set_yticks(range(size), names, fontsize=font)
    if pairs:
        lower.suptitle("Most often confused (true → predicted)", fontsize=LETTERS)
        lines = [
            f"{lettered(classes[true], 20)} → {lettered(classes[other], 20)}: "
            f"{int(matrix[true, other]):,} ({shares[true, other]:.1%})"
            for true, other in pairs
        ]
        half = math.ceil(len(lines) / 2)
        for x, part in ((0.03, lines[:half]), (0.53, lines[half:])):
            lower.text(x, 1 - 0.25 / below, "\n".join(part), va="top", fontsize=LETTERS)
    return figure


def _worst(matrix: Tensor) -> list[tuple[int, int]]:
    """The pairs of different classes (true, predicted) with the most samples."""
    wrong = matrix.clone()
    wrong.fill_diagonal_(0)
    counts, places = wrong.flatten().sort(descending=True, stable=True)
    return [divmod(int(p), len(matrix)) for p in places[:PAIRS][counts[:PAIRS] > 0]]
