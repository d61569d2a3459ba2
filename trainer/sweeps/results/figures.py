"""A sweep's pictures: the objective against each swept key and over pairs of keys; without pyplot, as in `plots`."""

import itertools
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from trainer.sweeps.job import PRUNED, Job
from trainer.sweeps.results.ranking import Row, ranked
from trainer.system.atomic import storing
from trainer.system.streams import printable

LINES = 6  # so many combinations of other keys have a line each
PAIRS = 3
CELLS = 24  # the most rows or columns of a heat map
SPAN = 20.0  # values that span a greater factor are on a logarithmic axis
TICKS = 12  # more values than that have an axis of round numbers
UNSET = "default"  # the value of a key that a job does not set
WORDS = {"val": "validation", "train": "training", "top5": "top-5 accuracy", "mse": "MSE", "mae": "MAE", "r2": "R²"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # colour-blind people see them apart
GREY = "#8a8a8a"
CAPTION: dict[str, Any] = {"fontsize": 9, "color": "#555555", "loc": "left"}
STYLE: Any = {
    "text.parse_math": False,  # dollars in a name are dollars
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def save(jobs: Sequence[Job], directory: Path) -> list[Path]:
    """Draw what there is to see of the jobs, each picture as a PNG in `directory`; the files.

    Raises:
        StorageError: a file cannot be written.
    """
    paths = []
    with matplotlib.rc_context(STYLE):  # also while drawing: ticks get their texts only then
        for name, figure in figures(jobs):
            path = directory / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.png"
            with storing(path):
                directory.mkdir(parents=True, exist_ok=True)
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Glyph .* missing")  # letters that the font lacks are boxes
                    figure.savefig(path, dpi=130)
            paths.append(path)
    return paths


def figures(jobs: Sequence[Job]) -> Iterator[tuple[str, Figure]]:
    """(name, figure): one per swept key and one per pair of them, for each objective by itself."""
    rows = ranked(jobs)
    objectives = list(dict.fromkeys(row.objective for row in rows if row.values))
    for objective in objectives:
        # Rows without a value have no objective: where there are several, nobody knows whose they are.
        same = [row for row in rows if row.objective == objective or (not row.values and len(objectives) == 1)]
        prefix = f"{objective}-" if len(objectives) > 1 else ""
        keys = [key for key in dict.fromkeys(k for row in same for k in row.overrides) if len(_values(same, key)) > 1]
        for key in keys:
            yield f"{prefix}{key}", against(same, key, [k for k in keys if k != key])
        for pair in [p for p in itertools.combinations(keys, 2) if _is_grid(same, p)][:PAIRS]:
            yield f"{prefix}{pair[0]}-{pair[1]}", heat_map(same, pair, [k for k in keys if k not in pair])


def against(rows: Sequence[Row], key: str, others: Sequence[str]) -> Figure:
    """The objective against the values of `key`: seeds as points, and their mean with one standard deviation.

    Each combination of the `others` has a colour; where they are more than `LINES`, the best for each value is shown.
    """
    values = _values(rows, key)
    numbers = _numbers(values)
    xs = numbers or [float(x) for x in range(len(values))]
    lines = _lines(rows, others)
    names = list(lines)
    best_of = len(lines) > LINES
    scattered = best_of and len(values) == len(rows)  # a random search: no value comes twice
    drawn = [_bests(rows, key, values)] if best_of else list(lines.values())

    labels = [_short(value) for value in values]
    room = sum(max(0.6, 0.09 * len(label) + 0.2) for label in labels) if len(labels) <= TICKS or not numbers else 0.0
    width = min(12.0, max(5.4, 1.2 + room, 1.0 + 0.09 * len(key)))
    legend = max(0.9, 0.4 + 0.08 * max(map(len, [*map(_joined, names), *others]))) if len(drawn) > 1 else 0.0
    figure = Figure(figsize=(width + legend, 4.2), layout="constrained")
    axes = figure.subplots()
    # Of many numbers that were drawn, a few small ones are chance.
    log = numbers is not None and min(numbers) > 0
    log = log and _spans(xs[len(xs) // 8 :] if len(xs) > TICKS else xs, SPAN)
    if log:
        axes.set_xscale("log")
    objective = _objective(rows)
    scale = _scale(objective)
    if best_of:
        points = [(xs[_at(values, row, key)], value * scale) for row in rows for value in row.values]
        axes.plot(*zip(*points, strict=True), "o", color=GREY, alpha=0.4, markersize=4, markeredgewidth=0)
    for number, line in enumerate(drawn):
        # Next to each other, for error bars would hide each other; not so far that a number seems another one.
        apart = min(0.012, 0.1 / len(values)) if numbers else min(0.2, 0.7 / len(drawn)) / max(1, len(values) - 1)
        share = (number - (len(drawn) - 1) / 2) * apart
        places = [_moved(xs[_at(values, row, key)], xs, share, log) for row in line]
        joined = numbers is not None and not scattered
        _line(axes, places, line, scale, COLOURS[number], joined)
    _x_axis(axes, xs, labels, numbers is not None, log, width - 1.2)
    _y_axis(axes, objective, [value * scale for row in rows for value in row.values])
    axes.set_xlabel(key)
    axes.set_ylabel(_label(objective))
    caption = [_seeds(rows, " ± standard deviation")]
    if best_of and not scattered:
        caption += [_best_of(others, len(lines)), "grey: every job"]
    lost = {row.jobs[0].status for line in drawn for row in line if row.mean is None}
    if lost:
        caption.append("×: pruned" if lost == {PRUNED} else "×: no result")
    axes.set_title(_wrapped(caption, width), **CAPTION)
    if len(drawn) > 1:
        handles = [
            Line2D([], [], color=COLOURS[number], marker="o", markersize=5, label=_joined(name))
            for number, name in enumerate(names)
        ]
        figure.legend(
            handles=handles, title="\n".join(others), loc="outside right upper", alignment="left", fontsize=9
        ).get_title().set_fontsize(9)
    return figure


def heat_map(rows: Sequence[Row], keys: tuple[str, str], others: Sequence[str]) -> Figure:
    """The mean over the seeds for each pair of values of two keys, with the best of the others; the best is framed."""
    across, up = (_values(rows, key) for key in keys)
    objective = _objective(rows)
    cells = [[_best(rows, {keys[0]: x, keys[1]: y}) for x in across] for y in up]
    means = np.array([[math.nan if c is None or c.mean is None else c.mean for c in line] for line in cells])
    means *= _scale(objective)
    texts = [[_cell(objective, cell) for cell in line] for line in cells]
    columns, lines = [_short(value) for value in across], [_short(value) for value in up]
    wide = min(1.4, max(0.75, 0.2 + 0.09 * max(map(len, [*itertools.chain(*texts), *columns]))))
    width = max(4.4, 2.2 + 0.08 * max(map(len, lines)) + max(wide * len(columns), 0.08 * len(keys[0])))
    slant = 0.04 * max(map(len, columns)) if _crowded(columns, wide) else 0.0
    figure = Figure(
        figsize=(width, max(2.8, 1.4 + slant + max(0.5 * len(lines), 0.08 * len(keys[1])))), layout="constrained"
    )
    axes = figure.subplots()
    norm, colours = _norm(objective, means), _colours(rows)
    axes.imshow(means, norm=norm, cmap=colours, aspect="auto", origin="lower")
    axes.set_facecolor("#eeeeee")  # where nothing came out
    for (y, x), value in np.ndenumerate(means):
        dark = not math.isnan(value) and _dark(colours(float(norm(value))))
        axes.text(x, y, texts[y][x], ha="center", va="center", fontsize=9, color="white" if dark else "black")
    best = min((row for row in rows if row.rank is not None), key=lambda row: row.rank or 0)
    corner = _at(across, best, keys[0]) - 0.5, _at(up, best, keys[1]) - 0.5
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#d62728", linewidth=2.5, clip_on=False, zorder=3))
    for axis, names, key in ((axes.xaxis, columns, keys[0]), (axes.yaxis, lines, keys[1])):
        axis.set_ticks(range(len(names)), names)
        axis.set_ticks(np.arange(0.5, len(names) - 1), minor=True)  # between the cells
        axis.set_label_text(key)
    _turn(axes, columns, wide)
    axes.tick_params(which="both", length=0)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.spines[:].set_visible(False)
    caption = [_seeds(rows), _best_of(others, len(_lines(rows, others))), "the best is framed"]
    axes.set_title(_wrapped(caption, width - 0.8), **CAPTION)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=_label(objective), pad=0.02)
    if isinstance(norm, LogNorm):
        _plain(bar.ax.yaxis, [float(np.nanmin(means)), float(np.nanmax(means))])
    return figure


def _line(axes: Axes, xs: Sequence[float], rows: Sequence[Row], scale: float, colour: str, joined: bool) -> None:
    """One combination: its seeds, their means with error bars, and crosses where nothing came out."""
    placed = list(zip(xs, rows, strict=True))
    seeds = [(x, value * scale) for x, row in placed if row.std is not None for value in row.values]
    if seeds:
        axes.plot(*zip(*seeds, strict=True), "o", color=colour, alpha=0.45, markersize=4.5, markeredgewidth=0)
        bars = [
            (x, row.mean * scale, row.std * scale) for x, row in placed if row.mean is not None and row.std is not None
        ]
        x, y, spread = zip(*bars, strict=True)
        axes.errorbar(x, y, spread, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=3)
    means = [(x, row.mean * scale) for x, row in placed if row.mean is not None]
    if means:
        bar = bool(seeds) and not joined  # a short line, for nothing leads from one name to the next
        mark: dict[str, Any] = {"marker": "_", "markersize": 16, "markeredgewidth": 2.2} if bar else {"marker": "o"}
        axes.plot(
            *zip(*means, strict=True), linestyle="-" if joined else "none", color=colour, **{"markersize": 5, **mark}
        )
    lost = [x for x, row in placed if row.mean is None]
    if lost:
        axes.plot(lost, [0.03] * len(lost), "x", color=colour, transform=axes.get_xaxis_transform(), clip_on=False)


def _x_axis(axes: Axes, xs: Sequence[float], labels: Sequence[str], numeric: bool, log: bool, inches: float) -> None:
    """Ticks at the values, with as many of their names as there is room for."""
    if not numeric:
        axes.set_xlim(-0.5, len(xs) - 0.5)
        axes.set_xticks(range(len(xs)), labels)
        _turn(axes, labels, inches / len(xs))
        return
    if len(xs) > TICKS:
        if log:
            _plain(axes.xaxis, xs)
        return
    end, shown = -math.inf, []
    for x, label in zip(xs, labels, strict=True):
        middle, half = 0.9 * inches * _share(x, xs, log), 0.045 * len(label)
        shown.append(label if middle - half > end + 0.08 else "")
        end = middle + half if shown[-1] else end
    axes.set_xticks(xs, shown)
    axes.xaxis.set_minor_locator(NullLocator())


def _turn(axes: Axes, labels: Sequence[str], inches: float) -> None:
    """Names along x that are longer than the room for each are written aslant; very many upright."""
    if _crowded(labels, inches):
        aslant = inches > 0.35
        for label in axes.get_xticklabels():
            label.set(rotation=30 if aslant else 90, ha="right", va="top" if aslant else "center")
            label.set_rotation_mode("anchor")


def _crowded(labels: Sequence[str], inches: float) -> bool:
    return any(0.085 * len(label) + 0.1 > inches for label in labels)


def _y_axis(axes: Axes, objective: str, values: Sequence[float]) -> None:
    axes.grid(axis="y", alpha=0.3, linewidth=0.8)
    axes.set_axisbelow(True)
    if _is_error(objective) and _spans(values, 30.0):
        axes.set_yscale("log")
        _plain(axes.yaxis, values)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7))


def _plain(axis: Any, values: Sequence[float]) -> None:
    """A logarithmic axis with 0.001 instead of powers of ten; within two decades also 0.002 and 0.005."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if max(values) < 100 * min(values) else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _lines(rows: Sequence[Row], others: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """The rows of each combination of the other keys, in the order of their values."""
    orders = {key: _values(rows, key) for key in others}
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: [_at(orders[key], row, key) for key in others]):
        found.setdefault(tuple(row.overrides.get(key, UNSET) for key in others), []).append(row)
    return {name: sorted(line, key=_first_job) for name, line in found.items()}


def _bests(rows: Sequence[Row], key: str, values: Sequence[str]) -> list[Row]:
    """The best row of each value of `key`."""
    found = [_best(rows, {key: value}) for value in values]
    return [row for row in found if row is not None]


def _best(rows: Sequence[Row], wanted: dict[str, str]) -> Row | None:
    """The best row with these values, if there is one; of those without a result, the first."""
    found = [row for row in rows if all(row.overrides.get(k, UNSET) == value for k, value in wanted.items())]
    return min(found, key=lambda row: row.rank or len(rows) + 1, default=None)


def _values(rows: Sequence[Row], key: str) -> list[str]:
    """The values of a key: numbers from small to large, anything else in the order of the jobs."""
    found = list(dict.fromkeys(row.overrides.get(key, UNSET) for row in sorted(rows, key=_first_job)))
    return sorted(found, key=float) if _numbers(found) else found


def _numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers, where all are."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _at(values: Sequence[str], row: Row, key: str) -> int:
    return values.index(row.overrides.get(key, UNSET))


def _first_job(row: Row) -> int:
    return min(job.job for job in row.jobs)


def _is_grid(rows: Sequence[Row], pair: tuple[str, str]) -> bool:
    """Whether a table of the two keys is not too large and mostly filled: that of a random search is neither."""
    across, up = (len(_values(rows, key)) for key in pair)
    filled = {tuple(row.overrides.get(key, UNSET) for key in pair) for row in rows}
    return max(across, up) <= CELLS and 2 * len(filled) > across * up


def _spans(values: Sequence[float], factor: float) -> bool:
    return min(values) > 0 and max(values) > factor * min(values)


def _share(x: float, xs: Sequence[float], log: bool) -> float:
    """How far `x` is on an axis from the least to the greatest of `xs`."""
    low, high, x = (math.log(v) if log else v for v in (min(xs), max(xs), x))
    return (x - low) / ((high - low) or 1.0)


def _moved(x: float, xs: Sequence[float], share: float, log: bool) -> float:
    """`x` moved by a share of the axis."""
    low, high = min(xs), max(xs)
    return x * float(high / low) ** share if log else x + share * (high - low)


def _objective(rows: Sequence[Row]) -> str:
    return next(row.objective for row in rows if row.values)


def _scale(objective: str) -> float:
    return 100.0 if objective.endswith(("accuracy", "top5")) else 1.0


def _is_error(objective: str) -> bool:
    """Whether it goes to zero as a model gets better: orders of magnitude matter then."""
    return objective.endswith(("loss", "mse", "mae"))


def _label(objective: str) -> str:
    """`val/accuracy` as `validation accuracy (%)`."""
    words = " ".join(WORDS.get(word, word) for word in objective.split("/"))
    return f"{words} (%)" if _scale(objective) == 100 else words


def _seeds(rows: Sequence[Row], spread: str = "") -> str:
    counts = {len(row.values) for row in rows if row.values}
    few, many = min(counts), max(counts)
    return f"mean{spread} of {few if few == many else f'{few} to {many}'} seeds" if many > 1 else ""


def _best_of(others: Sequence[str], count: int) -> str:
    """What a caption says of the keys that have no axis."""
    return (
        f"best of {count} {'values' if len(others) == 1 else 'combinations'} of {', '.join(others)}" if others else ""
    )


def _wrapped(parts: Sequence[str], inches: float) -> str:
    return textwrap.fill("; ".join(part for part in parts if part), max(30, int(14 * (inches - 1))))


def _cell(objective: str, row: Row | None) -> str:
    """A cell's text: the mean, or how the jobs ended."""
    if row is None:
        return ""
    if row.mean is None:
        return row.jobs[0].status
    return f"{row.mean * 100:.2f}" if _scale(objective) == 100 else f"{row.mean:.3g}"


def _norm(objective: str, means: Any) -> Normalize:
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    if _is_error(objective) and _spans([low, high], 30.0):
        return LogNorm(low, high)
    return Normalize(low, high) if low < high else Normalize(low - 0.5, high + 0.5)


def _colours(rows: Sequence[Row]) -> Colormap:
    """Light is good."""
    direction = next(row.direction for row in rows if row.values)
    return matplotlib.colormaps["viridis" if direction == "max" else "viridis_r"]


def _dark(colour: Any) -> bool:
    red, green, blue, _ = colour
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def _joined(values: Sequence[str]) -> str:
    return ", ".join(map(_short, values))


def _short(value: str) -> str:
    """A value as it fits into a picture."""
    value = printable(value)
    return value if len(value) <= 24 else f"{value[:23]}…"
