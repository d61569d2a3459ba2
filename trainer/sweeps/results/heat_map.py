"""The objective of a sweep for each pair of values of two keys."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trainer.compare.ranking import Ranked
from trainer.engine.measures import measure
from trainer.show.lettering import class_names, lettered
from trainer.sweeps.results import axes as common
from trainer.sweeps.results.axes import BEST, KEY, ORDERS
from trainer.sweeps.results.grid import Grid
from trainer.system.shown import shortened

WIDTH = 6.4  # inches, at least


def heat_map(found: Grid, keys: tuple[str, str], others: Sequence[str]) -> Figure:
    """The mean over the seeds for each pair of values of two keys, with the best of the others; the best is framed."""
    across, up = (found.values(key) for key in keys)
    bests = found.bests(keys)
    cells = [[bests.get((x, y)) for x in across] for y in up]
    means = np.array([[math.nan if c is None or c.mean is None else c.mean for c in line] for line in cells])
    means *= found.scale
    size = max(WIDTH, 3.0 + 0.75 * len(across)), max(3.6, 2.0 + 0.5 * len(up))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    norm = normed(found, float(np.nanmin(means)), float(np.nanmax(means)))
    colours = matplotlib.colormaps[colour_map(found)]
    axes.imshow(means, norm=norm, cmap=colours, aspect="auto", origin="lower")
    axes.set_facecolor("#eeeeee")  # of cells without a result
    for (y, x), value in np.ndenumerate(means):
        dark = not math.isnan(value) and np.dot(colours(float(norm(value)))[:3], (0.299, 0.587, 0.114)) < 0.5
        text = _cell(found, cells[y][x])
        axes.text(x, y, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    best = next(row for row in found.rows if row.rank == 1)
    corner = found.places(keys[0])(best) - 0.5, found.places(keys[1])(best) - 0.5
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=BEST, linewidth=2.5, clip_on=False, zorder=3))
    for axis, values, key in ((axes.xaxis, across, keys[0]), (axes.yaxis, up, keys[1])):
        axis.set_ticks(range(len(values)), [lettered(value) for value in class_names(values)])
        axis.set_ticks(np.arange(0.5, len(values) - 1), minor=True)  # between the cells
        axis.set_label_text(lettered(key, KEY, 30))
    axes.tick_params(which="both", length=0)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.spines[:].set_visible(False)
    common.title(figure, found, f"by {shortened(keys[0], KEY)} and {shortened(keys[1], KEY)}", keys)
    best_of = common.best_of(others, len(found.lines(others)))
    common.caption(axes, [found.repeats(), best_of, "the best is framed"])
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=common.objective(found), pad=0.02)
    if isinstance(norm, LogNorm):
        common.plain(bar.ax.yaxis, [float(np.nanmin(means)), float(np.nanmax(means))])
    common.separate(axes)
    return figure


def colour_map(found: Grid) -> str:
    """Colours of which light ones are good."""
    return "viridis" if found.direction == "max" else "viridis_r"


def normed(found: Grid, low: float, high: float) -> Normalize:
    """The scale of the colours, logarithmic for losses of several orders of magnitude."""
    if measure(found.objective).log and common.spans([low, high], ORDERS):
        return LogNorm(low, high)
    return Normalize(low, high) if low < high else Normalize(low - 0.5, high + 0.5)


def _cell(found: Grid, row: Ranked | None) -> str:
    """A cell's text: the mean, or how the jobs ended."""
    if row is None:
        return ""
    if row.mean is None:
        return lettered(row.jobs[0].status)
    return f"{row.mean * 100:.2f}" if measure(found.objective).percent else f"{row.mean:.3g}"
