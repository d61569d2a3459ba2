"""Curves of trainings, without a display, without pyplot's state and without torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.engine.measures import measure
from trainer.show.lettering import lettered, lettering, roomy

Rows = Sequence[dict[str, float]]
POINTS = 1000  # a curve gets no more points than about that
PANELS = 12  # of metrics: a file may name any number
NAME = 120  # letters of a run above
LEGEND = 40  # letters of a run in the legend
COLOURS = ("tab:blue", "tab:orange")
_STYLES = {"train": ":", "val": "-", "test": "--"}


def curves(rows: Rows) -> Figure:
    """Losses and each metric over the epochs, and the learning rate if it changes."""
    metrics = _metrics(rows)
    if len({row["lr"] for row in rows}) > 1:
        metrics.append("lr")
    figure = Figure(figsize=(4.6 * len(metrics), 3.6), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for key in _of(metric, rows):
            points = _points(rows, key)
            marker = "o" if len(points) < 20 else ""
            split = lettered(key.split("/")[0])
            axes.plot(*zip(*points, strict=True), marker=marker, markersize=3, label=split)
        _dress(axes, metric, [rows])
        if metric != "lr":
            axes.legend(handles=axes.get_lines())
    return figure


def side_by_side(sides: Mapping[str, Sequence[Rows]], names: Sequence[str] = ()) -> Figure:
    """The losses and metrics of several sides in one picture: a colour for each, a kind of line for each split.

    A side has the rows of one run, or of several that are repetitions of each other, whose lines are thin. The `names`
    stand above.
    """
    every = [rows for runs in sides.values() for rows in runs]
    metrics = _metrics(row for rows in every for row in rows)[:PANELS]
    figure = Figure(figsize=(5.2 * max(1, len(metrics)), 4.0), layout="constrained")
    figure.suptitle("\n".join(lettered(name, NAME) for name in names), fontsize=9, x=0.01, ha="left")
    for axes, metric in zip(figure.subplots(1, max(1, len(metrics)), squeeze=False)[0], metrics, strict=False):
        for colour, (label, runs) in zip(COLOURS, sides.items(), strict=False):
            said: set[str] = set()
            for rows in runs:
                for key in _of(metric, rows):
                    split = key.split("/")[0]
                    name = "" if split in said else f"{lettered(label, LEGEND)} {lettered(split)}"
                    said.add(split)
                    width = 1.5 if len(runs) == 1 else 0.8
                    points = _points(rows, key)
                    style = _STYLES.get(split, "-.")
                    marker = "." if len(points) == 1 else ""
                    axes.plot(*zip(*points, strict=True), style, color=colour, lw=width, marker=marker, label=name)
        _dress(axes, metric, every)
        axes.legend(handles=[line for line in axes.get_lines() if not str(line.get_label()).startswith("_")])
    return figure


def write_png(figure: Figure, file: IO[bytes]) -> None:
    """Draw a figure into a file."""
    with lettering():
        figure.set_dpi(110)
        canvas = FigureCanvasAgg(figure)
        roomy(figure, canvas.draw)
        canvas.print_png(file)  # type: ignore[no-untyped-call]


def _metrics(rows: Iterable[dict[str, float]]) -> list[str]:
    """The kinds of metrics that rows have, the loss first."""
    found = sorted({key.split("/")[1] for row in rows for key in row if "/" in key}, key=lambda m: (m != "loss", m))
    return [metric for metric in found if metric != "top5"]


def _of(metric: str, rows: Rows) -> list[str]:
    """The keys of a kind of metric, one for each split that was measured."""
    return sorted({k for row in rows for k in row if k == metric or k.endswith(f"/{metric}")})


def _dress(axes: Axes, metric: str, runs: Sequence[Rows]) -> None:
    values = [row[k] for rows in runs for row in rows for k in row if k.endswith(f"/{metric}")]
    if measure(metric).log and values and min(values) > 0 and max(values) > 30 * min(values):
        axes.set_yscale("log")
    axes.set_title(lettered(metric))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.grid(alpha=0.3)


def _points(rows: Rows, key: str) -> list[tuple[float, float]]:
    return _thinned([(_x(rows, i), row[key]) for i, row in enumerate(rows) if key in row])


def _thinned(points: list[Any]) -> list[Any]:
    """Evenly chosen points, about as many as a curve has pixels, among them the last one."""
    stride = max(1, len(points) // POINTS)
    return points[(len(points) - 1) % stride :: stride]


def _x(rows: Rows, index: int) -> float:
    """The epoch that a row belongs to; an evaluation within an epoch lies between two epochs."""
    row = rows[index]
    if "seconds" in row:
        return row["epoch"]
    steps = next((r["step"] / r["epoch"] for r in rows if "seconds" in r), row["step"])
    return row["step"] / steps
