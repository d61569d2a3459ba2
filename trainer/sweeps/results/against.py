"""The objective of a sweep against the values of one key."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from trainer.compare.ranking import Ranked
from trainer.run.records import PRUNED
from trainer.show.lettering import class_names, lettered
from trainer.sweeps.results import axes as common
from trainer.sweeps.results.axes import COLOURS, GREY, KEY, NAMED, TICKS
from trainer.sweeps.results.grid import Grid, numbers_in
from trainer.system.shown import shortened

LINES = 6  # the most combinations of other keys that have a line each
WIDTH = 6.4  # inches, at least
LEGEND = 50  # the most letters of a line in a legend


def against(found: Grid, key: str, others: Sequence[str]) -> Figure:
    """The objective against the values of `key`: seeds as points, and their mean with one standard deviation.

    Each combination of the `others` has a colour. If they are more than `LINES`, the best for each value is shown. Each
    point stands where its number does; names, which have no number, have their combinations side by side.
    """
    values, place = found.values(key), found.places(key)
    numbers = numbers_in(values)
    xs = numbers or [float(x) for x in range(len(values))]
    lines = found.lines(others)
    few = len(lines) <= LINES
    scattered = not few and 2 * len(values) > len(found.rows)  # a random search: hardly a value comes twice
    bests = found.bests([key])
    drawn = list(lines.values()) if few else [[bests[(value,)] for value in values]]

    width = WIDTH if numbers else min(12.0, max(WIDTH, 0.3 * len(values)))
    figure = Figure(figsize=(width + (1.5 if len(drawn) > 1 else 0.0), 4.4), layout="constrained")
    axes = figure.subplots()
    log = numbers is not None and common.is_log(xs)
    if log:
        axes.set_xscale("log")
    if not few:
        points = [(xs[place(row)], value * found.scale) for row in found.rows for value in row.values]
        size = common.dot(4.0, len(points))
        axes.plot(*zip(*points, strict=True), "o", color=GREY, alpha=0.4, markersize=size, markeredgewidth=0)
    for number, line in enumerate(drawn):
        beside = 0.0 if numbers else (number - (len(drawn) - 1) / 2) * min(0.2, 0.7 / len(drawn))
        at = [xs[place(row)] + beside for row in line]
        _line(axes, at, line, found.scale, COLOURS[number], numbers is not None and not scattered, len(drawn) > 1)
        for x, row in zip(at, line, strict=True):
            if row.rank == 1:
                common.mark_best(axes, x, row, found.scale)
    axes.set_xlabel(lettered(key, KEY))
    common.y_axis(axes, found)
    common.title(figure, found, f"by {shortened(key, KEY)}", [key, *others] if few else [key])
    caption = [found.repeats(" ± standard deviation")]
    if scattered and len(values) < len(found.rows):
        caption.append("blue: the best of each value")
    elif not few and not scattered:
        caption += [common.best_of(others, len(lines)), "grey: every job"]
    lost = {row.jobs[0].status for line in drawn for row in line if row.mean is None}
    if lost:
        caption.append("×: pruned" if lost == {PRUNED} else "×: no result")
    common.caption(axes, caption)
    if len(drawn) > 1:
        _legend(figure, lines, others)
    if numbers is None:
        axes.set_xlim(-0.5, len(xs) - 0.5)
    if numbers is None or len(xs) <= TICKS:
        axes.set_xticks(xs, [lettered(value) for value in class_names(values)])
        axes.xaxis.set_minor_locator(NullLocator())
        common.separate(axes, hide=numbers is not None)
    elif log:
        common.plain(axes.xaxis, xs)
    return figure


def _line(
    axes: Axes, xs: Sequence[float], rows: Sequence[Ranked], scale: float, colour: str, joined: bool, several: bool
) -> None:
    """One combination: its seeds, their means with the spread, and crosses for those without a result.

    Of `several` lines over numbers the spread is a band, for error bars at the same number would hide each other.
    """
    placed = list(zip(xs, rows, strict=True))
    means = [(x, row.mean * scale) for x, row in placed if row.mean is not None]
    bars = [(x, row.mean * scale, row.std * scale) for x, row in placed if row.mean is not None and row.std is not None]
    seeds = [(x, value * scale) for x, row in placed if row.std is not None for value in row.values]
    lost = [x for x, row in placed if row.mean is None]
    if bars:
        axes.plot(*zip(*seeds, strict=True), "o", color=colour, alpha=0.45, markersize=4.5, markeredgewidth=0)
        x, y, spread = zip(*bars, strict=True)
        if joined and several:
            low, high = ([mean + sign * std for _, mean, std in bars] for sign in (-1, 1))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        else:
            axes.errorbar(x, y, spread, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=3)
    if means:
        mark: dict[str, Any] = {"marker": "o", "markersize": common.dot(5.0, len(means))}
        if bars and not joined:  # a short line, for nothing leads from one name to the next
            mark = {"marker": "_", "markersize": 16, "markeredgewidth": 2.2}
        axes.plot(*zip(*means, strict=True), linestyle="-" if joined else "none", color=colour, **mark)
    if lost:
        axes.plot(lost, [0.03] * len(lost), "x", color=colour, transform=axes.get_xaxis_transform(), clip_on=False)


def _legend(figure: Figure, lines: dict[tuple[str, ...], list[Ranked]], others: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=5, label=_values(name))
        for colour, name in zip(COLOURS, lines, strict=False)
    ]
    title = "\n".join(lettered(other, KEY, 28) for other in others[:NAMED])
    corner: Any = {"loc": "outside right upper", "alignment": "left"}
    figure.legend(handles=handles, title=title, fontsize=9, title_fontsize=9, **corner)


def _values(values: Sequence[str]) -> str:
    """A line of a legend: the values of its keys."""
    return lettered(", ".join(shortened(value, 24) for value in values), LEGEND)
