"""What pictures have in common: a colour for each split, one width, and a heading that says what and how well."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainer.show.lettering import fitted
from trainer.system.errors import ConfigError, RunError, first_line
from trainer.system.shown import amount, counted, share

if TYPE_CHECKING:
    from trainer.engine.outcome import Outcome

Numbers = np.ndarray[Any, Any]
Style = Mapping[str, Any]  # how matplotlib draws a line
WIDTH, DPI = 7.5, 120  # inches, and dots in one: 900 pixels, about as wide as a page of text on a screen
SMALL, LETTERS, TITLE = 7, 8, 10  # points
BOLD = 1.13  # times as wide as others: bold letters
HEAD = 0.5  # inches of a heading
KEY = 0.17  # inches of a line of a key
EDGE = 0.1  # inches around a picture

# Okabe and Ito's colours, which people tell apart whatever colours they see. One colour is one split, everywhere.
SPLITS = {"train": "#0072b2", "val": "#d55e00", "test": "#009e73", "all": "#5b4a9c"}
CALLED = {"train": "training", "val": "validation", "test": "test", "all": "all data"}
OTHER = "#777777"  # of a split that has no colour
WRONG = "#b3002d"  # of what is wrong, which never is so by its colour alone
MARK = "#333333"  # of lines to compare with
MUTED = "#555555"  # of texts beside the matter
# Of classes: no split's colour. A tenth class has the fifth colour, and a dashed line.
CLASSES = ("#e69f00", "#56b4e9", "#cc79a7", "#7a5230", "#111111")


def colour(split: str) -> str:
    """The colour of a split."""
    return SPLITS.get(split, OTHER)


def shades(split: str) -> LinearSegmentedColormap:
    """From white to a dark shade of a split's colour."""
    red, green, blue = (int(colour(split)[i : i + 2], 16) / 255 for i in (1, 3, 5))
    dark = (0.35 * red, 0.35 * green, 0.35 * blue)
    return LinearSegmentedColormap.from_list(split, [(1.0, 1.0, 1.0), (red, green, blue), dark])


def page(height: float, what: str, how: str = "", width: float = WIDTH) -> Figure:
    """A figure under a heading: `what` is shown and how well, and in smaller letters `how` to read it.

    `height` are the inches of what is below the heading.
    """
    tall = height + HEAD
    figure = Figure(figsize=(width, tall), dpi=DPI)
    room = width - 2 * EDGE
    left = EDGE / width
    figure.text(left, 1 - 0.21 / tall, fitted(what, room / BOLD, TITLE), fontsize=TITLE, fontweight="bold")
    if how:
        figure.text(left, 1 - 0.4 / tall, fitted(how, room, LETTERS), fontsize=LETTERS, color=MUTED)
    return figure


def panel(figure: Figure, left: float, bottom: float, width: float, height: float, **shared: Any) -> Axes:
    """Axes at a place in inches; to find one by what is written beside them takes longer than to draw them."""
    wide, tall = figure.get_size_inches()
    axes = figure.add_axes((left / wide, bottom / tall, width / wide, height / tall), **shared)
    axes.tick_params(labelsize=LETTERS, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def labelled(axes: Axes, across: str, up: str, title: str = "", beside: float = 0.5) -> None:
    """Say what the axes are, and what is drawn. The name of the vertical one stands so many inches `beside` it.

    Places that are given need not be looked for among the numbers of the axes, which takes longer than to draw them.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    wide, tall = figure.get_size_inches() * axes.get_position().size
    axes.set_xlabel(across, fontsize=LETTERS)
    axes.xaxis.set_label_coords(0.5, -0.26 / tall)
    axes.set_ylabel(up, fontsize=LETTERS)
    axes.yaxis.set_label_coords(-beside / wide, 0.5)
    if title:
        axes.set_title(title, fontsize=LETTERS + 1, loc="left", y=1 + 0.06 / tall, pad=0)
    axes.grid(alpha=0.4, linewidth=0.6)
    axes.set_axisbelow(True)


def key(figure: Figure, left: float, top: float, entries: Sequence[tuple[str, Style, str]], wide: float) -> None:
    """What lines and points mean, in two columns of `wide` inches each: a legend takes longer than the lines.

    Each entry has its words, the style of its line, and figures, which stand at the end: a name may be written from
    the right. `left` and `top` are inches.
    """
    across, up = figure.get_size_inches()
    half = -(-len(entries) // 2)
    for number, (words, style, figures) in enumerate(entries):
        x, y = left + wide * (number // half), top - KEY * (number % half)
        ends = [x / across, (x + 0.13) / across, (x + 0.26) / across], [(y + 0.04) / up] * 3
        line = Line2D(*ends, transform=figure.transFigure, **{"markevery": [1], **style})
        figure.add_artist(line)
        figure.text((x + 0.34) / across, y / up, words, fontsize=LETTERS)
        if figures:
            figure.text((x + wide - 0.3) / across, y / up, figures, fontsize=LETTERS, ha="right")


def head(outcome: "Outcome", subject: str) -> str:
    """How well a model does on a split: `test: 97.8% of 360 right, digits, lenet`."""
    return heading(outcome.split, outcome.evaluation.metrics, len(outcome), subject)


def heading(split: str, metrics: Mapping[str, float], samples: int, subject: str) -> str:
    """The same of an evaluation's metrics."""
    if "accuracy" in metrics:
        said = f"{share(metrics['accuracy'])} of {samples:,} right"
    else:
        r2 = f"R² {metrics['r2']:.4g}, " if samples > 1 else ""  # of one sample there is no mean to compare with
        said = f"{r2}MAE {amount(metrics['mae'])} of {counted(samples, 'sample')}"
    return f"{'all data' if split == 'all' else split}: {said}" + (f", {subject}" if subject else "")


def save(figure: Figure, out: Path, key: str) -> None:
    """Write a figure where the `key` of a verb says, in the format of its extension.

    Raises:
        RunError, ConfigError: It cannot be written there, or there is no such format.
    """
    try:
        figure.savefig(out)
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}", f"give another: {key}=FILE.png") from error
    except ValueError as error:  # matplotlib does not know the extension
        raise ConfigError(f"{key}={out}: {first_line(error)}") from error
