"""The table of epochs: which of its columns a terminal has room for, and how each figure is written."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.engine.measures import measure
from trainer.show.grid import fitting
from trainer.show.values import metric
from trainer.system.shown import shortened

MOST = 8  # characters of a figure
LONGEST = 20  # characters of a column's name: that of a metric of somebody's own may have any length
Row = Mapping[str, Any]


class Epochs:
    """The columns of a table of epochs; `objective` is the metric that says which epoch is best.

    `epochs` and `steps` are the largest numbers that it has to show.
    """

    def __init__(self, metrics: Sequence[str], objective: str, epochs: int, steps: int, dots: str) -> None:
        self.objective = objective
        names = [*metrics, *([objective] if objective not in metrics else [])]
        self._titles = {name: shortened(name, LONGEST, dots) for name in names}
        widths = {"epoch": max(5, len(str(epochs)) + 1), "step": max(4, len(str(steps)))}
        widths |= {name: max(MOST, len(title)) for name, title in self._titles.items()}
        self._widths = widths | {"lr": MOST, "seconds": 7, "samples_per_second": 9}
        self._titles |= {"samples_per_second": "samples/s"}
        self._worth = ["epoch", objective, *names, "seconds", "lr", "samples_per_second", "step"]
        self._written = {name: _written(name) for name in self._widths}

    def fitting(self, room: int | None) -> list[str]:
        """The columns that fit into so many characters, those of most worth; at least the epoch and the objective."""
        return fitting(self._widths, self._worth, room, least=2)

    def header(self, columns: Sequence[str]) -> str:
        """The names of these columns."""
        return "  ".join(f"{self._titles.get(name, name):>{self._widths[name]}}" for name in columns)

    def line(self, row: Row, columns: Sequence[str], mark: str = " ") -> str:
        """The figures of a row; `mark`, one character, follows the number of its epoch."""
        return "  ".join(self.cells(row, columns, mark)).rstrip()

    def cells(self, row: Row, columns: Sequence[str], mark: str = " ") -> list[str]:
        """The same, one by one, as wide as their columns."""
        cells = [
            f"{self._written[name](row[name]) if name in row else '':>{self._widths[name]}}" for name in columns[1:]
        ]
        return [f"{row['epoch']}{mark}".rjust(self._widths["epoch"]), *cells]


def figure(value: float) -> str:
    """A figure in at most `MOST` characters, with as many decimals in each row as there is room for, up to 4."""
    size = abs(value)
    if 1e-3 <= size < 100:
        return f"{value:.4f}"
    if size >= 1e-3 or value == 0 or value != value:
        for decimals in (4, 3, 2, 1, 0):
            text = f"{value:.{decimals}f}"
            if len(text) <= MOST:
                return text
    text = f"{value:.2e}"
    return text if len(text) <= MOST else f"{value:.1e}" if len(f"{value:.1e}") <= MOST else f"{value:.0e}"


def _seconds(value: float) -> str:
    if value < 1e-3:
        return f"{value:.0e}"
    return f"{value:.3f}" if value < 1 else f"{value:.1f}" if value < 1e5 else f"{value:.0f}"


def _written(name: str) -> Callable[[Any], str]:
    if name in ("epoch", "step"):
        return str
    if name == "lr":
        return lambda value: f"{value:.2e}"
    if name == "seconds":
        return _seconds
    if name == "samples_per_second":
        return lambda value: f"{value:,.0f}" if value < 1e7 - 1 else f"{value:.2e}"
    if measure(name).percent:
        return lambda value: metric(name, value)
    return figure
