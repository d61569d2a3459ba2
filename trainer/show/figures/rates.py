"""The learning-rate range test: the loss while the rate grows, and what short trainings at single rates came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from trainer.show.figures.style import MARK, MUTED, OTHER, colour, key, labelled, page, panel

SIDE = 3.4  # inches
ROOM = 0.25  # of the span of the losses, above and below them
ABOVE = 1.3  # times the first loss: what is higher has left the picture


@dataclass(frozen=True)
class Tested:
    """The losses of single steps at growing `rates` and their running mean, until the loss turned; and the loss after
    trainings at the rates that were `tried`, which was `start` before and may be inf."""

    rates: Sequence[float]
    losses: Sequence[float]
    smooth: Sequence[float]
    tried: Mapping[float, float]
    start: float


def draw(tested: Tested, chosen: float, suggested: float, band: tuple[float, float], subject: str) -> Figure:
    """The range test and the rates that were tried; `chosen` is that of the config, `band` the ends of the good."""
    tried, start = tested.tried, tested.start
    figure = page(
        SIDE + 1.05,
        f"optim.lr: {_typed(suggested)} is suggested, {_typed(chosen)} is chosen, {subject}",
        f"rates from {_typed(band[0])} to {_typed(band[1])} do well; the curve is one training whose rate grows, "
        "each point a training at one rate",
    )
    axes = panel(figure, 0.75, 0.45, 6.6, SIDE)
    axes.set_xscale("log")
    every = [*tested.smooth, start, *(loss for loss in tried.values() if loss <= ABOVE * start)]
    low, high = min(every), min(max(every), ABOVE * start)
    room = ROOM * (high - low) / 2 or 1.0
    low, high = low - room, high + room
    plain = colour("train")
    single: dict[str, Any] = {"color": OTHER, "alpha": 0.45, "linewidth": 0.7}
    line: dict[str, Any] = {"color": plain, "linewidth": 1.8}
    point: dict[str, Any] = {"color": colour("val"), "marker": "o", "markersize": 5, "linestyle": ""}
    now: dict[str, Any] = {"color": MARK, "linewidth": 1.2, "linestyle": "--"}
    better: dict[str, Any] = {"color": colour("test"), "linewidth": 1.8}
    axes.axvspan(*band, color=colour("test"), alpha=0.12, linewidth=0)
    axes.plot(tested.rates, np.clip(tested.losses, low, high), **single)
    axes.plot(tested.rates[: len(tested.smooth)], np.clip(tested.smooth, low, high), **line)
    places = sorted(tried)
    axes.plot(places, [min(tried[rate], high) for rate in places], clip_on=False, **point)
    for rate in (rate for rate in places if tried[rate] > high):
        axes.annotate(
            "diverged", (rate, high), (0, -11), textcoords="offset points", ha="center", fontsize=7, color=MUTED
        )
    axes.axvline(chosen, **now)
    axes.axvline(suggested, **better)
    axes.set_xlim(min(tested.rates[0], *places), max(tested.rates[-1], *places) * 1.3)
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_formatter(NullFormatter())
    labelled(axes, "learning rate", "loss")
    entries = [
        ("steps, the rate growing", single, ""),
        ("their running mean", line, ""),
        ("after a training at one rate", point, ""),
        (f"suggested: {_typed(suggested)}", better, ""),
        (f"chosen: {_typed(chosen)}", now, ""),
    ]
    key(figure, 0.75, SIDE + 0.92, entries, 2.6)
    return figure


def _typed(rate: float) -> str:
    return f"{rate:.3g}"
