"""The confusion matrix: which classes are taken for which."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from trainer.engine import hardest
from trainer.engine.outcome import Outcome
from trainer.show.figures.style import EDGE, HEAD, LETTERS, MUTED, SMALL, WIDTH, Numbers, head, page, panel, shades
from trainer.show.lettering import class_names, fitted, said_of, width_of
from trainer.system.shown import share

NAMED = 60  # classes up to which rows and columns have names
CELL, LEAST = 0.58, 3.2  # inches: of a cell where there are many, and of the whole matrix at least
NAME = 1.5  # inches that a name has room for
READ = 5.4  # points of the smallest letters that somebody reads
WRITTEN = 450  # cells that are written in, those with the most samples: each takes half a millisecond
BLOCKS = 300  # rows and columns that can be told apart; of more classes some are one, with the greatest share of them
STEEP = 25  # names from which on those of columns are upright
PAIRS, PAIR = 20, 0.17  # of the most confused classes where not every cell is written in, and inches of their line
GAMMA, FAINT = 0.65, 0.4  # of the colours, without numbers the latter: on a linear scale rare mistakes are not seen
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue
TABLE = 2.6  # inches of the table of classes, which is there where the matrix leaves room
POINTS = 72  # of an inch
DIGIT = 0.64  # of the font's size: the width of a digit


def draw(outcome: Outcome, subject: str) -> Figure | None:
    """True by predicted class: shares of each true class as colours, with counts where they fit; else the worst pairs.

    None where there is no matrix: in regression, and with more classes than one is kept for.
    """
    matrix, classes = outcome.evaluation.confusion, outcome.classes
    if matrix is None or classes is None:
        return None
    shares = (matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)).numpy()
    size, names = len(classes), class_names(classes)
    letters = min(LETTERS, 0.85 * POINTS * (WIDTH - NAME - 1) / size)
    shown = [fitted(name, NAME, letters) for name in names] if size <= NAMED else []
    longest = max(map(width_of, shown), default=0.0) * letters / POINTS
    left = 0.4 + (longest or 0.2)
    side = min(WIDTH - left - 0.75, max(LEAST, CELL * size))
    turned = longest > 0.95 * side / size
    below = 0.4 + (longest * (1 if size > STEEP else 0.75) if turned else 0.1)
    font, shared = _font(matrix, side / size)
    pairs = [] if font and size <= NAMED // 2 else hardest.pairs(matrix, PAIRS)
    listed = 0.35 + PAIR * math.ceil(len(pairs) / 2) if pairs else 0.0
    how = _how(matrix, font) + said_of(names, classes)
    figure = page(side + below + listed + 0.05, head(outcome, subject), how)
    axes = panel(figure, left, below + listed, side, side)
    gamma = GAMMA if font else FAINT
    image = axes.imshow(_pooled(shares), cmap=shades(outcome.split), norm=PowerNorm(gamma, 0, 1), aspect="auto")
    image.set_extent((-0.5, size - 0.5, size - 0.5, -0.5))
    axes.set_xlabel("predicted", fontsize=LETTERS)
    axes.xaxis.set_label_coords(0.5, (0.14 - below) / side)
    axes.set_ylabel("true", fontsize=LETTERS)
    axes.yaxis.set_label_coords((0.14 - left) / side, 0.5)
    axes.spines[:].set_visible(True)
    if shown:
        axes.set_xticks([])
        axes.set_yticks([])
        _name(axes, shown, letters, turned, side / size)
    if font:
        _write(axes, matrix, shares, outcome.split, font, shared)
    _bar(figure, image, left + side + 0.1, below + listed, min(side, 2.4))
    rest = left + side + 0.75
    if WIDTH - rest > TABLE:
        _table(figure, matrix, names, rest)
    if pairs:
        _list(figure, pairs, matrix, shares, names, listed)
    return figure


def _how(matrix: Tensor, font: float) -> str:
    said = "rows are true, columns predicted; colours are shares of the row"
    written = int((matrix > 0).sum())
    if font and written > WRITTEN:
        return f"{said}, counts in the {WRITTEN} greatest cells"
    return said


def _font(matrix: Tensor, cell: float) -> tuple[float, bool]:
    """The size of the letters in cells of so many inches, 0 where they would be too small; and whether shares fit."""
    digits = len(str(int(matrix.max())))
    font, both = (min(9.0, 0.9 * POINTS * cell / (DIGIT * count)) for count in (digits, max(digits, 5)))
    if both >= READ and 2.5 * both <= POINTS * cell:
        return both, True
    font = min(font, 0.8 * POINTS * cell)
    return (font, False) if font >= READ else (0.0, False)


def _name(axes: Axes, names: Sequence[str], font: float, turned: bool, cell: float) -> None:
    """Write the names beside the rows and below the columns: as texts, for a tick takes five times as long."""
    away = 0.06 / cell + 0.5
    slope = 90 if len(names) > STEEP else 45
    aslant: dict[str, Any] = {"rotation": slope, "ha": "right", "rotation_mode": "anchor"}
    aslant["va"] = "center" if slope == 90 else "top"
    for number, name in enumerate(names):
        axes.text(-away, number, name, fontsize=font, ha="right", va="center")
        below = len(names) - 1 + away
        axes.text(number, below, name, fontsize=font, **(aslant if turned else {"ha": "center", "va": "top"}))


def _write(axes: Axes, matrix: Tensor, shares: Numbers, split: str, font: float, shared: bool) -> None:
    dark = shades(split)(shares**GAMMA)[..., :3] @ BRIGHTNESS < 0.5
    counts = matrix.flatten()
    chosen = counts.argsort(descending=True, stable=True)[: min(WRITTEN, int((counts > 0).sum()))]
    for row, column in (divmod(number, len(matrix)) for number in chosen.tolist()):
        part = shares[row, column]
        text = str(int(matrix[row, column])) + (f"\n{share(part)}" if shared else "")
        letters = "white" if dark[row, column] else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=font, color=letters, linespacing=1.05)


def _table(figure: Figure, matrix: Tensor, names: Sequence[str], left: float) -> None:
    """Recall and precision of each class, beside a small matrix."""
    height = figure.get_size_inches()[1]
    rows = [("class", "samples", "recall", "precision")]
    for number, name in enumerate(names):
        of, told, right = int(matrix[number].sum()), int(matrix[:, number].sum()), int(matrix[number, number])
        figures = (share(right / of) if of else "-", share(right / told) if told else "-")
        rows.append((fitted(name, TABLE - 2.0, LETTERS), f"{of:,}", *figures))
    for line, row in enumerate(rows):
        y = 1 - (HEAD + 0.2 + 0.24 * line) / height
        for place, text in zip((0.0, TABLE - 1.4, TABLE - 0.75, TABLE), row, strict=True):
            style: dict[str, Any] = {"ha": "right" if place else "left", "color": "black" if line else MUTED}
            figure.text((left + place) / WIDTH, y, text, fontsize=LETTERS, **style)


def _bar(figure: Figure, image: Any, left: float, bottom: float, height: float) -> None:
    """What the colours mean."""
    axes = panel(figure, left, bottom, 0.12, height)
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.05, 0.2, 0.5, 1])
    bar.ax.set_yticklabels(["0", "5%", "20%", "50%", "100%"], fontsize=SMALL)
    bar.outline.set_linewidth(0.5)


def _pooled(shares: Numbers) -> Numbers:
    """The matrix with at most `BLOCKS` rows and columns: a share that is seen must not fall between two pixels."""
    size = math.ceil(len(shares) / BLOCKS)
    if size == 1:
        return shares
    padded = np.pad(shares, (0, -len(shares) % size))
    count = len(padded) // size
    pooled: Numbers = padded.reshape(count, size, count, size).max((1, 3))
    return pooled


def _list(
    figure: Figure, pairs: Sequence[tuple[int, int]], matrix: Tensor, shares: Numbers, names: Sequence[str], tall: float
) -> None:
    """The most confused pairs in two columns, each name in a place of its own: it may be written from the right."""
    height = figure.get_size_inches()[1]
    figure.text(EDGE / WIDTH, (tall - 0.16) / height, "Most often confused", fontsize=LETTERS, fontweight="bold")
    half, room = math.ceil(len(pairs) / 2), (WIDTH - 2 * EDGE) / 2
    name = (room - 1.35) / 2
    for number, (true, other) in enumerate(pairs):
        x, y = EDGE + room * (number // half), (tall - 0.35 - PAIR * (number % half)) / height
        of = int(matrix[true].sum())
        said = f"{int(matrix[true, other]):,} of {of:,} ({share(shares[true, other])})"
        parts = [
            (0, fitted(names[true], name, SMALL)),
            (name + 0.03, "→"),
            (name + 0.2, fitted(names[other], name, SMALL)),
        ]
        for offset, text in [*parts, (2 * name + 0.25, said)]:
            figure.text((x + offset) / WIDTH, y, text, fontsize=SMALL)
