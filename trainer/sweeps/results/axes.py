"""What the pictures of a sweep have in common: the axes that values have, titles, and how the best is marked."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from trainer.compare.ranking import Ranked
from trainer.engine.measures import label, measure
from trainer.show.lettering import lettered, roomy
from trainer.show.values import metric
from trainer.sweeps.results.grid import UNSET, Grid
from trainer.system.shown import shortened

SPAN = 20.0  # values that span a greater factor are on a logarithmic axis
FEW_SPAN = 4.0  # the same of values like 0.001, 0.003, 0.01, or 16, 32, 64, which are steps of about one factor
UNEVEN, EVEN = 1.9, 1.4  # the greatest step through the least: of the values, and of their logarithms
ORDERS = 30.0  # what an objective that goes to zero spans on a logarithmic axis
TICKS = 12  # an axis of more numbers has round ticks instead of a tick for each
KEY = 60  # the most letters of a key
VALUE = 24  # the most letters of a value in a sentence
NAMED = 6  # the most keys in a caption, and in what the best is said to be
CAPTION = 76  # the most letters of a caption's line
CROWD = 600  # so many points or lines are seen apart
TITLE = 62  # the same of a title's
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # colour-blind people see them apart
GREY, BEST = "#8a8a8a", "#d62728"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def is_log(xs: Sequence[float]) -> bool:
    """Whether numbers belong on a logarithmic axis: they span much, or are steps of about one factor."""
    if min(xs) <= 0:
        return False
    # Of many numbers that were drawn at random, a few small ones are chance.
    if spans(xs[len(xs) // 8 :] if len(xs) > TICKS else xs, SPAN):
        return True
    if len(xs) < 3 or max(xs) < FEW_SPAN * min(xs):
        return False
    return _uneven(xs) >= UNEVEN and _uneven([math.log(x) for x in xs]) <= EVEN


def _uneven(xs: Sequence[float]) -> float:
    steps = [after - before for before, after in itertools.pairwise(xs)]
    return max(steps) / min(steps) if min(steps) > 0 else 1.0


def spans(values: Sequence[float], factor: float) -> bool:
    """Whether the values are positive and span more than a factor."""
    return min(values) > 0 and max(values) > factor * min(values)


def objective(found: Grid) -> str:
    """The objective as an axis is labelled."""
    return lettered(label(found.objective), KEY)


def title(figure: Figure, found: Grid, what: str, keys: Sequence[str] = ()) -> None:
    """Say above a picture what it shows, and how good the best is: at which values of `keys`."""
    best = next((row for row in found.rows if row.rank == 1 and row.mean is not None), None)
    words = label(found.objective).removesuffix(" (%)")
    said = f"{words} {what}"
    if best is not None and best.mean is not None:
        where = [f"{key}={shortened(best.overrides.get(key, UNSET), VALUE)}" for key in keys[:NAMED]]
        said += f": best {metric(found.objective, best.mean)}" + (f" at {', '.join(where)}" if where else "")
    # The lines below each other begin where the caption does.
    figure.suptitle(lettered(said, 4 * TITLE, TITLE), x=0.01, ha="left", fontsize=11)


def caption(axes: Axes, parts: Sequence[str]) -> None:
    """Say below the title how it is read."""
    text = lettered("; ".join(part for part in parts if part), 6 * CAPTION, CAPTION)
    axes.set_title(text, fontsize=9, color="#555555", loc="left")


def best_of(others: Sequence[str], count: int) -> str:
    """What a caption says of the keys that have no axis."""
    kind = "values" if len(others) == 1 else "combinations"
    return f"best of {count} {kind} of {_keys(others)}" if others else ""


def mark_best(axes: Axes, x: float, row: Ranked, scale: float) -> None:
    """A star where the best is."""
    if row.mean is not None:
        axes.scatter([x], [row.mean * scale], marker="*", s=170, color=BEST, edgecolor="white", linewidth=0.8, zorder=6)


def dot(size: float, count: int) -> float:
    """The size of each of so many points: of thousands, small ones do not become one area."""
    return size * min(1.0, math.sqrt(CROWD / max(1, count)))


def y_axis(axes: Axes, found: Grid) -> None:
    """The axis of the objective."""
    values = [value * found.scale for row in found.rows for value in row.values]
    axes.set_ylabel(objective(found))
    axes.grid(axis="y", alpha=0.3, linewidth=0.8)
    axes.set_axisbelow(True)
    if measure(found.objective).log and spans(values, ORDERS):
        axes.set_yscale("log")
        plain(axes.yaxis, values)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7))


def plain(axis: Any, values: Sequence[float]) -> None:
    """A logarithmic axis with 0.001 instead of powers of ten; within two decades also 0.002 and 0.005."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if max(values) < 100 * min(values) else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def separate(axes: Axes, hide: bool = False) -> None:
    """Keep the texts along x apart: `hide` those that have no room, or else write all of them aslant or upright."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    roomy(figure, figure.draw_without_rendering)  # their extents are known only then
    labels = axes.get_xticklabels()
    extents = [text.get_window_extent() for text in labels]
    if hide:
        end, shown = -math.inf, []
        for text, extent in zip(labels, extents, strict=True):
            shown.append(text.get_text() if extent.x0 > end else "")
            end = extent.x1 + 8 if shown[-1] else end
        axes.set_xticklabels(shown)
    elif any(first.x1 + 4 > second.x0 for first, second in itertools.pairwise(extents)):
        upright = extents[-1].x1 - extents[0].x0 < 35 * len(labels)  # so few pixels for each
        for text in labels:
            text.set(rotation=90 if upright else 30, ha="right", va="center" if upright else "top")
            text.set_rotation_mode("anchor")


def _keys(keys: Sequence[str]) -> str:
    """Some keys in a sentence, of which a random search may have many."""
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(shortened(key, KEY) for key in keys[:NAMED]) + more
