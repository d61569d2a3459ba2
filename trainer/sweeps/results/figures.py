"""A sweep's pictures: the objective against each swept key, and heat maps of pairs of keys; without pyplot."""

import itertools
import math
import re
from collections.abc import Container, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from trainer.compare.ranking import Ranked, ranked
from trainer.engine.measures import label, measure
from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome
from trainer.show.lettering import lettered, lettering, roomy
from trainer.sweeps.results.grid import Grid, numbers_in
from trainer.system.atomic import storing
from trainer.system.inside import unlinked
from trainer.system.shown import shortened

LINES = 6  # the most combinations of other keys that have a line each
PAIRS = 3  # the most heat maps
SPAN = 20.0  # values that span a greater factor are on a logarithmic axis
ORDERS = 30.0  # the same for an objective that goes to zero
TICKS = 12  # an axis of more numbers has round ticks instead of a tick for each
WIDTH = 6.4  # inches, at least
LONGEST_FILE = 150  # letters of a picture's name
KEY = 60  # the most letters of a key
LEGEND = 50  # the most letters of a line in a legend
NAMED = 6  # the most keys in a caption
CAPTION = 76  # the most letters of a caption's line
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # colour-blind people see them apart
GREY = "#8a8a8a"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def save(jobs: Sequence[Outcome], directory: Path) -> list[Path]:
    """Draw what there is to see of the jobs, each picture as a PNG in `directory`; return the files.

    Raises:
        StorageError: a file cannot be written.
    """
    paths: list[Path] = []
    with lettering(), matplotlib.rc_context(STYLE):
        for name, figure in figures(jobs):
            path = directory / _file_name(name, {path.name for path in paths})
            with storing(path):
                directory.mkdir(parents=True, exist_ok=True)
                with open(path, "wb", opener=unlinked) as file:
                    roomy(figure, partial(figure.savefig, file, dpi=130, format="png"))
            paths.append(path)
    return paths


def _file_name(name: str, taken: Container[str]) -> str:
    """The file of a picture, which may not be one that is `taken`."""
    plain = shortened(re.sub(r"[^A-Za-z0-9._-]", "_", name), LONGEST_FILE, "...")
    names = (f"{plain}.png" if number == 1 else f"{plain}-{number}.png" for number in itertools.count(1))
    return next(found for found in names if found not in taken)


def figures(jobs: Sequence[Outcome]) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of each swept key and of pairs of them, for each objective by itself."""
    rows = ranked(jobs)
    objectives = list(dict.fromkeys(row.objective for row in rows if row.values))
    for objective in objectives:
        # Rows without a value have no objective: if there are several, nobody knows which one is theirs.
        found = Grid([r for r in rows if r.objective == objective or (not r.values and len(objectives) == 1)])
        prefix = f"{objective}-" if len(objectives) > 1 else ""
        keys = [key for key in found.keys if len(found.values(key)) > 1]
        for key in keys:
            yield f"{prefix}{key}", against(found, key, [k for k in keys if k != key])
        for pair in [p for p in itertools.combinations(keys, 2) if found.is_grid(p)][:PAIRS]:
            yield f"{prefix}{pair[0]}-{pair[1]}", heat_map(found, pair, [k for k in keys if k not in pair])


def against(found: Grid, key: str, others: Sequence[str]) -> Figure:
    """The objective against the values of `key`: seeds as points, and their mean with one standard deviation.

    Each combination of the `others` has a colour. If they are more than `LINES`, the best for each value is shown.
    """
    values, place = found.values(key), found.places(key)
    numbers = numbers_in(values)
    xs = numbers or [float(x) for x in range(len(values))]
    lines = found.lines(others)
    best_of = len(lines) > LINES
    scattered = best_of and len(values) == len(found.rows)  # a random search: no value comes twice
    bests = [row for row in (found.best({key: value}) for value in values) if row is not None]
    drawn = [bests] if best_of else list(lines.values())

    width = WIDTH if numbers else min(12.0, max(WIDTH, 0.3 * len(values)))
    figure = Figure(figsize=(width + (1.5 if len(drawn) > 1 else 0.0), 4.2), layout="constrained")
    axes = figure.subplots()
    # Of many numbers that were drawn at random, a few small ones are chance.
    log = numbers is not None and min(xs) > 0 and _spans(xs[len(xs) // 8 :] if len(xs) > TICKS else xs, SPAN)
    if log:
        axes.set_xscale("log")
    if best_of:
        points = [(xs[place(row)], value * found.scale) for row in found.rows for value in row.values]
        axes.plot(*zip(*points, strict=True), "o", color=GREY, alpha=0.4, markersize=4, markeredgewidth=0)
    for number, line in enumerate(drawn):
        # Next to each other, for error bars would hide each other; not so far that a number seems another one.
        apart = min(0.012, 0.1 / len(values)) if numbers else min(0.2, 0.7 / len(drawn)) / max(1, len(values) - 1)
        share = (number - (len(drawn) - 1) / 2) * apart
        moved = [_moved(xs[place(row)], xs, share, log) for row in line]
        _line(axes, moved, line, found.scale, COLOURS[number], numbers is not None and not scattered)
    axes.set_xlabel(lettered(key, KEY))
    axes.set_ylabel(_objective(found))
    _y_axis(axes, found)
    caption = [found.repeats(" ± standard deviation")]
    if best_of and not scattered:
        caption += [_best_of(others, len(lines)), "grey: every job"]
    lost = {row.jobs[0].status for line in drawn for row in line if row.mean is None}
    if lost:
        caption.append("×: pruned" if lost == {PRUNED} else "×: no result")
    _caption(axes, caption)
    if len(drawn) > 1:
        handles = [
            Line2D([], [], color=colour, marker="o", markersize=5, label=_values(name))
            for colour, name in zip(COLOURS, lines, strict=False)
        ]
        title = "\n".join(lettered(other, KEY, 28) for other in others[:NAMED])
        corner: Any = {"loc": "outside right upper", "alignment": "left"}
        figure.legend(handles=handles, title=title, fontsize=9, title_fontsize=9, **corner)
    if numbers is None:
        axes.set_xlim(-0.5, len(xs) - 0.5)
    if numbers is None or len(xs) <= TICKS:
        axes.set_xticks(xs, [lettered(value) for value in values])
        axes.xaxis.set_minor_locator(NullLocator())
        _separate(axes, hide=numbers is not None)
    elif log:
        _plain(axes.xaxis, xs)
    return figure


def heat_map(found: Grid, keys: tuple[str, str], others: Sequence[str]) -> Figure:
    """The mean over the seeds for each pair of values of two keys, with the best of the others; the best is framed."""
    across, up = (found.values(key) for key in keys)
    cells = [[found.best({keys[0]: x, keys[1]: y}) for x in across] for y in up]
    means = np.array([[math.nan if c is None or c.mean is None else c.mean for c in line] for line in cells])
    means *= found.scale
    size = max(WIDTH, 3.0 + 0.75 * len(across)), max(3.4, 1.8 + 0.5 * len(up))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    norm, colours = _norm(found, means), matplotlib.colormaps["viridis" if found.direction == "max" else "viridis_r"]
    axes.imshow(means, norm=norm, cmap=colours, aspect="auto", origin="lower")
    axes.set_facecolor("#eeeeee")  # of cells without a result
    for (y, x), value in np.ndenumerate(means):
        dark = not math.isnan(value) and np.dot(colours(float(norm(value)))[:3], (0.299, 0.587, 0.114)) < 0.5
        text = _cell(found, cells[y][x])
        axes.text(x, y, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    best = next(row for row in found.rows if row.rank == 1)
    corner = found.places(keys[0])(best) - 0.5, found.places(keys[1])(best) - 0.5
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#d62728", linewidth=2.5, clip_on=False, zorder=3))
    for axis, values, key in ((axes.xaxis, across, keys[0]), (axes.yaxis, up, keys[1])):
        axis.set_ticks(range(len(values)), [lettered(value) for value in values])
        axis.set_ticks(np.arange(0.5, len(values) - 1), minor=True)  # between the cells
        axis.set_label_text(lettered(key, KEY, 30))
    axes.tick_params(which="both", length=0)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.spines[:].set_visible(False)
    _caption(axes, [found.repeats(), _best_of(others, len(found.lines(others))), "the best is framed"])
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=_objective(found), pad=0.02)
    if isinstance(norm, LogNorm):
        _plain(bar.ax.yaxis, [float(np.nanmin(means)), float(np.nanmax(means))])
    _separate(axes)
    return figure


def _line(axes: Axes, xs: Sequence[float], rows: Sequence[Ranked], scale: float, colour: str, joined: bool) -> None:
    """One combination: its seeds, their means with error bars, and crosses for those without a result."""
    placed = list(zip(xs, rows, strict=True))
    means = [(x, row.mean * scale) for x, row in placed if row.mean is not None]
    bars = [(x, row.mean * scale, row.std * scale) for x, row in placed if row.mean is not None and row.std is not None]
    seeds = [(x, value * scale) for x, row in placed if row.std is not None for value in row.values]
    lost = [x for x, row in placed if row.mean is None]
    if bars:
        axes.plot(*zip(*seeds, strict=True), "o", color=colour, alpha=0.45, markersize=4.5, markeredgewidth=0)
        x, y, spread = zip(*bars, strict=True)
        axes.errorbar(x, y, spread, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=3)
    if means:
        mark: dict[str, Any] = {"marker": "o", "markersize": 5}
        if bars and not joined:  # a short line, for nothing leads from one name to the next
            mark = {"marker": "_", "markersize": 16, "markeredgewidth": 2.2}
        axes.plot(*zip(*means, strict=True), linestyle="-" if joined else "none", color=colour, **mark)
    if lost:
        axes.plot(lost, [0.03] * len(lost), "x", color=colour, transform=axes.get_xaxis_transform(), clip_on=False)


def _separate(axes: Axes, hide: bool = False) -> None:
    """Keep the texts along x apart: `hide` those that have no room, or else write all of them aslant or upright."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    roomy(figure, figure.draw_without_rendering)  # their extents are known only then
    labels = axes.get_xticklabels()
    extents = [label.get_window_extent() for label in labels]
    if hide:
        end, shown = -math.inf, []
        for label, extent in zip(labels, extents, strict=True):
            shown.append(label.get_text() if extent.x0 > end else "")
            end = extent.x1 + 8 if shown[-1] else end
        axes.set_xticklabels(shown)
    elif any(first.x1 + 4 > second.x0 for first, second in itertools.pairwise(extents)):
        upright = extents[-1].x1 - extents[0].x0 < 35 * len(labels)  # so few pixels for each
        for label in labels:
            label.set(rotation=90 if upright else 30, ha="right", va="center" if upright else "top")
            label.set_rotation_mode("anchor")


def _y_axis(axes: Axes, found: Grid) -> None:
    values = [value * found.scale for row in found.rows for value in row.values]
    axes.grid(axis="y", alpha=0.3, linewidth=0.8)
    axes.set_axisbelow(True)
    if measure(found.objective).log and _spans(values, ORDERS):
        axes.set_yscale("log")
        _plain(axes.yaxis, values)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7))


def _plain(axis: Any, values: Sequence[float]) -> None:
    """A logarithmic axis with 0.001 instead of powers of ten; within two decades also 0.002 and 0.005."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if max(values) < 100 * min(values) else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _norm(found: Grid, means: Any) -> Normalize:
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    if measure(found.objective).log and _spans([low, high], ORDERS):
        return LogNorm(low, high)
    return Normalize(low, high) if low < high else Normalize(low - 0.5, high + 0.5)


def _caption(axes: Axes, parts: Sequence[str]) -> None:
    text = lettered("; ".join(part for part in parts if part), 6 * CAPTION, CAPTION)
    axes.set_title(text, fontsize=9, color="#555555", loc="left")


def _best_of(others: Sequence[str], count: int) -> str:
    """What a caption says of the keys that have no axis."""
    kind = "values" if len(others) == 1 else "combinations"
    return f"best of {count} {kind} of {_keys(others)}" if others else ""


def _keys(keys: Sequence[str]) -> str:
    """Some keys in a sentence, of which a random search may have many."""
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(shortened(key, KEY) for key in keys[:NAMED]) + more


def _values(values: Sequence[str]) -> str:
    """A line of a legend: the values of its keys."""
    return lettered(", ".join(shortened(value, 24) for value in values), LEGEND)


def _objective(found: Grid) -> str:
    """The objective as an axis is labelled."""
    return lettered(label(found.objective), KEY)


def _cell(found: Grid, row: Ranked | None) -> str:
    """A cell's text: the mean, or how the jobs ended."""
    if row is None:
        return ""
    if row.mean is None:
        return lettered(row.jobs[0].status)
    return f"{row.mean * 100:.2f}" if measure(found.objective).percent else f"{row.mean:.3g}"


def _spans(values: Sequence[float], factor: float) -> bool:
    return min(values) > 0 and max(values) > factor * min(values)


def _moved(x: float, xs: Sequence[float], share: float, log: bool) -> float:
    """`x` moved by a share of the axis."""
    low, high = min(xs), max(xs)
    return x * float(high / low) ** share if log else x + share * (high - low)
