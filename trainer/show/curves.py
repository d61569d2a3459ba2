"""Curves of trainings, without a display, without pyplot's state and without torch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from trainer.engine.measures import label, measure
from trainer.show.figures.style import CALLED, EDGE, LETTERS, MARK, WIDTH, colour, labelled, page, panel
from trainer.show.lettering import fitted, lettered
from trainer.show.trained import Best
from trainer.system.shown import share

Rows = Sequence[dict[str, float]]
Points = Sequence[tuple[float, float]]
POINTS = 1000  # a curve gets no more points than about that
PANELS = 12  # of metrics: a file may name any number
ACROSS, TALL = 3, 2.0  # panels in a row, and inches of one
NAME = 120  # letters of a run above
LEGEND = 40  # letters of a run in the legend
SPAN = 30.0  # values that span a greater factor are on a logarithmic axis
LOWEST = -1.0  # of R²: how much worse than the mean a model was before it was any good is of no interest
COLOURS = ("#882255", "#e69f00")  # of two sides that are compared: no colour of a split
_STYLES = {"train": ":", "val": "-", "test": "--"}


def curves(rows: Rows, what: str = "", best: Best | None = None, rates: Points = ()) -> Figure:
    """Losses and each metric over the epochs, those of a metric on the same axes, and the learning rate if it changes.

    `what` stands above. `rates` are the learning rates after single steps, as (step, rate), where they are known.
    """
    metrics = _metrics(rows)[:PANELS]
    changes = len({row["lr"] for row in rows}) > 1 or len({rate for _, rate in rates}) > 1
    count = len(metrics) + changes
    across = min(ACROSS, max(count, 1)) if count != 4 else 2
    lines = math.ceil(count / across)
    figure = page(lines * (TALL + 0.75), what, _how(rows, best))
    splits = [split for split in (*CALLED, None) if any(key.startswith(f"{split}/") for row in rows for key in row)]
    _legend(figure, [split for split in splits if split])
    room = (WIDTH - EDGE) / across
    for number, metric in enumerate([*metrics, *(["lr"] if changes else [])]):
        line, place = divmod(number, across)
        axes = panel(figure, place * room + 0.58, (lines - 1 - line) * (TALL + 0.75) + 0.42, room - 0.68, TALL)
        if metric == "lr":
            _rate(axes, rows, rates)
        else:
            _metric(axes, metric, rows, best)
        if best is not None:
            axes.axvline(_epoch(rows, best.step), color=MARK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    return figure


def _how(rows: Rows, best: Best | None) -> str:
    said = f"{len(rows):,} evaluations" if len(rows) > 1 else "one evaluation"
    if best is None:
        return f"{said}; no validation split picked a best epoch"
    value = share(best.value) if measure(best.metric).percent else f"{best.value:.4g}"
    return f"{said}; the dashed line is the best epoch, {best.epoch}: {label(best.metric).removesuffix(' (%)')} {value}"


def _legend(figure: Figure, splits: Sequence[str]) -> None:
    """The splits in their colours, at the right of the heading."""
    wide, tall = figure.get_size_inches()
    for number, split in enumerate(reversed(splits)):
        x, y = 1 - (EDGE + 0.85 * number) / wide, 1 - 0.4 / tall
        figure.text(x, y, f"— {CALLED[split]}", fontsize=LETTERS, fontweight="bold", color=colour(split), ha="right")


def _metric(axes: Axes, metric: str, rows: Rows, best: Best | None) -> None:
    for key in _of(metric, rows):
        points = _points(rows, key)
        split = key.split("/")[0]
        marker = "o" if len(points) < 20 else ""
        axes.plot(
            *zip(*points, strict=True), marker=marker, markersize=3, linewidth=1.4, color=colour(split), label=split
        )
    title = measure(metric).label
    if best is not None and best.metric.rpartition("/")[2] == metric:
        split = best.metric.split("/")[0]
        axes.plot(_epoch(rows, best.step), best.value, "*", markersize=10, color=colour(split), markeredgecolor="white")
    _dress(axes, metric, [rows], title)
    if metric == "r2" and axes.get_ylim()[0] < 2 * LOWEST:
        axes.set_ylim(bottom=LOWEST)
        axes.set_title("R², from -1 on", loc="left")


def _rate(axes: Axes, rows: Rows, rates: Points) -> None:
    steps = _steps(rows)
    if rates:
        points = [(step / steps, rate) for step, rate in rates]
        axes.plot(*zip(*_thinned(points), strict=True), color=MARK, linewidth=1.4)
    else:
        points = _points(rows, "lr")
        axes.plot(*zip(*points, strict=True), color=MARK, linewidth=1.4, drawstyle="steps-pre")
    found = [rate for _, rate in points]
    if min(found) > 0 and sum(rate < max(found) / SPAN for rate in found) > len(found) / 4:  # not one that ends low
        _logarithmic(axes, found)
    _across(axes, "learning rate")


def side_by_side(sides: Mapping[str, Sequence[Rows]], names: Sequence[str] = ()) -> Figure:
    """The losses and metrics of several sides in one picture: a colour for each, a kind of line for each split.

    A side has the rows of one run, or of several that are repetitions of each other, whose lines are thin. The `names`
    stand above.
    """
    every = [rows for runs in sides.values() for rows in runs]
    metrics = _metrics(row for rows in every for row in rows)[:PANELS]
    figure = Figure(figsize=(5.2 * max(1, len(metrics)), 4.0), layout="constrained", dpi=110)
    figure.suptitle("\n".join(lettered(name, NAME) for name in names), fontsize=9, x=0.01, ha="left")
    for axes, metric in zip(figure.subplots(1, max(1, len(metrics)), squeeze=False)[0], metrics, strict=False):
        for own, (name, runs) in zip(COLOURS, sides.items(), strict=False):
            said: set[str] = set()
            for rows in runs:
                for key in _of(metric, rows):
                    split = key.split("/")[0]
                    called = "" if split in said else f"{lettered(name, LEGEND)} {lettered(split)}"
                    said.add(split)
                    width = 1.5 if len(runs) == 1 else 0.8
                    points = _points(rows, key)
                    style = _STYLES.get(split, "-.")
                    marker = "." if len(points) == 1 else ""
                    axes.plot(*zip(*points, strict=True), style, color=own, lw=width, marker=marker, label=called)
        _dress(axes, metric, every, lettered(metric))
        axes.legend(handles=[line for line in axes.get_lines() if not str(line.get_label()).startswith("_")])
    return figure


def _metrics(rows: Iterable[dict[str, float]]) -> list[str]:
    """The kinds of metrics that rows have, the loss first."""
    found = sorted({key.split("/")[1] for row in rows for key in row if "/" in key}, key=lambda m: (m != "loss", m))
    return [metric for metric in found if metric != "top5"]


def _of(metric: str, rows: Rows) -> list[str]:
    """The keys of a kind of metric, one for each split that was measured."""
    return sorted({k for row in rows for k in row if k == metric or k.endswith(f"/{metric}")})


def _dress(axes: Axes, metric: str, runs: Sequence[Rows], title: str) -> None:
    values = [row[k] for rows in runs for row in rows for k in row if k.endswith(f"/{metric}")]
    if measure(metric).log and values and min(values) > 0 and max(values) > SPAN * min(values):
        _logarithmic(axes, values)
    elif measure(metric).percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    _across(axes, fitted(title, 2.4, LETTERS + 1))


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if max(values) > 1e3 * min(values) else (1.0, 3.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _across(axes: Axes, title: str) -> None:
    labelled(axes, "epoch", "", title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _points(rows: Rows, key: str) -> list[tuple[float, float]]:
    return _thinned([(_x(rows, i), row[key]) for i, row in enumerate(rows) if key in row])


def _thinned(points: list[Any]) -> list[Any]:
    """Evenly chosen points, about as many as a curve has pixels, among them the last one."""
    stride = max(1, len(points) // POINTS)
    return points[(len(points) - 1) % stride :: stride]


def _steps(rows: Rows) -> float:
    """How many steps an epoch has."""
    return next((row["step"] / row["epoch"] for row in rows if "seconds" in row), rows[-1]["step"])


def _epoch(rows: Rows, step: int) -> float:
    """The epoch, and the part of one, that ends with a step."""
    return step / _steps(rows)


def _x(rows: Rows, index: int) -> float:
    """The epoch that a row belongs to; an evaluation within an epoch lies between two epochs."""
    row = rows[index]
    return row["epoch"] if "seconds" in row else _epoch(rows, int(row["step"]))
