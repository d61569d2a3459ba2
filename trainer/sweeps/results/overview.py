"""Pictures of many settings at once: a search over its trials, what matters, and all keys side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.compare.ranking import Ranked, badness
from trainer.run.records import PRUNED
from trainer.show.lettering import lettered
from trainer.sweeps.results import axes as common
from trainer.sweeps.results.axes import BEST, COLOURS, GREY, KEY
from trainer.sweeps.results.grid import UNSET, Grid, numbers_in
from trainer.sweeps.results.heat_map import colour_map, normed
from trainer.system.shown import shortened

AXES = 9  # the most keys side by side
NAMES = 12  # the most names along an axis
EDGE = 0.03  # so near to the end of an axis texts stand within it
BARS = 20  # the most keys whose importance is drawn


def history(found: Grid) -> Figure:
    """The objective of each trial in the order of the trials, and the best so far."""
    rows = sorted(found.rows, key=_number)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    reached = [(_number(row), row.mean * found.scale) for row in rows if row.mean is not None]
    size = common.dot(5.0, len(reached))
    axes.plot(*zip(*reached, strict=True), "o", color=COLOURS[0], alpha=0.7, markersize=size, markeredgewidth=0)
    best, line = math.inf, []
    for number, value in reached:
        best = min(best, badness(value, found.direction))
        line.append((number, abs(best) if found.direction == "max" and value >= 0 else badness(best, found.direction)))
    line.append((_number(rows[-1]), line[-1][1]))
    axes.step(*zip(*line, strict=True), where="post", color=COLOURS[1], linewidth=1.6)
    pruned = [(_number(row), row.jobs[0].value) for row in rows if row.jobs[0].status == PRUNED]
    cut = [(number, value * found.scale) for number, value in pruned if value is not None and math.isfinite(value)]
    if cut:
        axes.plot(*zip(*cut, strict=True), "o", color=GREY, markerfacecolor="none", markersize=5)
    lost = [_number(row) for row in rows if row.mean is None and row.jobs[0].status != PRUNED]
    if lost:
        axes.plot(lost, [0.03] * len(lost), "x", color=GREY, transform=axes.get_xaxis_transform(), clip_on=False)
    top = next(row for row in found.rows if row.rank == 1)
    common.mark_best(axes, _number(top), top, found.scale)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    common.y_axis(axes, found)
    common.title(figure, found, f"over {len(rows):,} trials")
    parts = ["line: the best so far", "hollow: pruned" if cut else "", "×: no result" if lost else ""]
    common.caption(axes, parts)
    return figure


def importance(found: Grid, shares: Mapping[str, float]) -> Figure:
    """How much of the differences between trials each key explains, the greatest above."""
    ordered = sorted(shares.items(), key=lambda pair: pair[1])[-BARS:]
    figure = Figure(figsize=(6.4, 1.6 + 0.32 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    names, values = [lettered(key, KEY, 30) for key, _ in ordered], [100 * share for _, share in ordered]
    bars = axes.barh(range(len(names)), values, color=COLOURS[0], height=0.65)
    axes.bar_label(bars, [f"{value:.0f}%" for value in values], padding=4, fontsize=9)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, 1.12 * max(values))
    axes.set_xlabel("importance (%)")
    axes.tick_params(axis="y", length=0)
    said = lettered(f"{ordered[-1][0]} matters most: {values[-1]:.0f}%", 2 * common.TITLE, common.TITLE)
    figure.suptitle(said, x=0.01, ha="left", fontsize=11)
    common.caption(axes, [f"share of the differences in {found.objective} that each explains (fANOVA)"])
    return figure


def parallel(found: Grid, keys: Sequence[str]) -> Figure:
    """Each setting as a line through its values of the `keys` to its objective; the best is drawn above all.

    Of thousands of settings, some are drawn that stand for those of similar rank.
    """
    keys = keys[:AXES]
    every = sorted((row for row in found.rows if row.mean is not None), key=lambda row: row.rank or 0)
    rows = every[:: math.ceil(len(every) / common.CROWD)][::-1]
    means = [(row.mean or 0.0) * found.scale for row in rows]
    figure = Figure(figsize=(2.2 + 1.5 * len(keys), 4.8), layout="constrained")
    axes = figure.subplots()
    heights = [_axis(axes, place, found, rows, key) for place, key in enumerate(keys)]
    norm = normed(found, min(means), max(means))
    last = [float(norm(value)) for value in means]
    lines = [[*enumerate(line)] for line in zip(*heights, last, strict=True)]
    colours = matplotlib.colormaps[colour_map(found)]
    axes.add_collection(LineCollection(lines, colors=colours(np.array(last)), linewidths=1.3, alpha=0.75, zorder=2))
    axes.plot(
        *zip(*lines[-1], strict=True), color=BEST, linewidth=2.6, marker="o", markersize=4, clip_on=False, zorder=4
    )
    axes.set_xlim(-0.15, len(keys) + 0.02)
    axes.set_ylim(0, 1)  # as high as the scale of the colours beside it
    axes.set_xticks(range(len(keys)), [lettered(key, KEY, 20) for key in keys], fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=common.objective(found), pad=0.0, aspect=30)
    bar.ax.tick_params(labelsize=8)
    common.title(figure, found, f"of {len(every):,} settings", keys)
    drawn = f", {len(rows)} of them are drawn, evenly by rank" if len(rows) < len(every) else ""
    common.caption(axes, [f"each line is one setting, coloured by what it reached{drawn}", "red: the best"])
    return figure


def _axis(axes: Axes, place: int, found: Grid, rows: Sequence[Ranked], key: str) -> list[float]:
    """Draw the axis of a key at `place`, and give the height of each row on it, from 0 to 1."""
    axes.axvline(place, color="#444444", linewidth=1.0, zorder=3)
    values = found.values(key)
    numbers = numbers_in(values)
    if numbers is None:
        at = {value: number / max(1, len(values) - 1) for number, value in enumerate(values)}
        ticks = [(at[value], shortened(value, 16)) for value in values[:: math.ceil(len(values) / NAMES)]]
    else:
        log = common.is_log(numbers)
        places = [math.log(number) if log else number for number in numbers]
        low, width = places[0], (places[-1] - places[0]) or 1.0
        at = {value: (number - low) / width for value, number in zip(values, places, strict=True)}
        ticks = [((tick - low) / width, f"{math.exp(tick) if log else tick:.3g}") for tick in _round(places, log)]
    for height, text in ticks:
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
        side: Any = "bottom" if height < EDGE else "top" if height > 1 - EDGE else "center"  # within the picture
        axes.text(place + 0.04, height, lettered(text, 16), fontsize=8, va=side, ha="left", bbox=box, zorder=5)
    return [at[row.overrides.get(key, UNSET)] for row in rows]


def _round(places: Sequence[float], log: bool) -> list[float]:
    """Where an axis of numbers has its texts: at each of a few, or else at its ends and at round ones between."""
    if len(places) <= 6:
        return [*places]
    if log:
        decades = range(math.ceil(places[0] / math.log(10)), math.floor(places[-1] / math.log(10)) + 1)
        return [math.log(10) * decade for decade in decades] or [places[0], places[-1]]
    return [tick for tick in MaxNLocator(nbins=5).tick_values(places[0], places[-1]) if places[0] <= tick <= places[-1]]


def _number(row: Ranked) -> int:
    return min(job.job for job in row.jobs)
