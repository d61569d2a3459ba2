"""Where the time of an epoch goes: its parts, its operators, each of its steps, and what was tried."""

from collections.abc import Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.show.figures.style import EDGE, LETTERS, MARK, SMALL, WIDTH, labelled, page, panel
from trainer.show.lettering import fitted
from trainer.system.shown import counted

# A colour for each part of an epoch, of those that people tell apart whatever colours they see.
COLOURS = ("#56b4e9", "#0072b2", "#003d66", "#e69f00", "#009e73", "#cc79a7", "#999999", "#7a5230")
OPERATORS, POINTS = 8, 2000
BAR, NAMES = 0.21, 1.75  # inches of a bar, and of the names beside bars
GAIN, NONE = "#009e73", "#999999"


def draw(
    lines: Sequence[tuple[str, float, bool]],
    seconds: float,
    moments: Sequence[float],
    operators: Sequence[tuple[str, float]],
    trials: Sequence[tuple[str, Sequence[float], bool]],
    subject: str,
) -> Figure:
    """The picture of a profile.

    `lines` are the parts of an epoch of so many `seconds`: names, seconds, and whether it is a part of the one before.
    `moments` are the seconds after which each step was over, `operators` names and milliseconds of a step, and `trials`
    what was tried: names, how many times as fast in each round, and whether that is a gain.
    """
    shown = operators[:OPERATORS]
    above = BAR * max(len(lines), len(shown))
    below = 1.35
    wide = (WIDTH - EDGE) / 2
    how = "the parts of an epoch add up to the whole; operators by torch's profiler, in a few steps"
    figure = page(above + below + 1.75, f"an epoch of {seconds:.3g} s, {subject}", how)
    base = below + 1.35
    size = wide - NAMES - 0.55
    _parts(panel(figure, NAMES, base, size, above), lines, seconds)
    _bars(panel(figure, wide + NAMES, base, size, above), shown)
    right = wide if trials else 2 * wide
    _steps(panel(figure, 0.6, 0.45, right - 0.75, below), moments)
    if trials:
        _trials(panel(figure, wide + NAMES, 0.45, size, below), trials)
    return figure


def _parts(axes: Axes, lines: Sequence[tuple[str, float, bool]], seconds: float) -> None:
    colours = iter(COLOURS)
    colour = COLOURS[0]
    for number, (_, value, within) in enumerate(lines):
        colour = colour if within else next(colours)
        axes.barh(number, value / seconds, 0.45 if within else 0.75, color=colour, alpha=0.45 if within else 1.0)
        axes.text(value / seconds, number, f"  {value / seconds:.1%}", va="center", fontsize=SMALL)
    _named(axes, [f"{name}   " if within else name for name, _, within in lines], [v / seconds for _, v, _ in lines])
    labelled(axes, "share of the epoch", "", "parts of an epoch")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _bars(axes: Axes, operators: Sequence[tuple[str, float]]) -> None:
    for number, (_, milliseconds) in enumerate(operators):
        axes.barh(number, milliseconds, 0.75, color=COLOURS[1])
        axes.text(milliseconds, number, f"  {milliseconds:.3g}", va="center", fontsize=SMALL)
    _named(axes, [name for name, _ in operators], [value for _, value in operators])
    labelled(axes, "ms in a step", "", "operators that take longest")


def _named(axes: Axes, names: Sequence[str], values: Sequence[float]) -> None:
    """The names of bars, from above to below, and room for the figures at their ends."""
    axes.set_yticks(range(len(names)), [fitted(name, NAMES - 0.15, LETTERS) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.3 * max([*values, 1e-9]))
    axes.tick_params(axis="y", length=0)


def _steps(axes: Axes, moments: Sequence[float]) -> None:
    each = [1000 * (now - before) for before, now in zip([0.0, *moments], moments, strict=False)]
    stride = max(1, len(each) // POINTS)
    axes.plot(range(1, len(each) + 1, stride), each[::stride], ".", markersize=2, color=COLOURS[1])
    middle = median(each) if each else 0.0
    axes.axhline(middle, color=MARK, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_ylim(0, None)
    title = f"{counted(len(each), 'step')}, half of them below {middle:.3g} ms"
    labelled(axes, "step of the epoch", "ms", title, beside=0.42)


def _trials(axes: Axes, trials: Sequence[tuple[str, Sequence[float], bool]]) -> None:
    for number, (_, ratios, gains) in enumerate(trials):
        colour = GAIN if gains else NONE
        axes.barh(number, median(ratios), 0.5, color=colour, alpha=0.5)
        axes.plot(ratios, [number] * len(ratios), "o", markersize=3.5, color=colour, markeredgecolor="white")
        axes.text(max(ratios), number, f"  {median(ratios):.2f}", va="center", fontsize=SMALL)
    axes.axvline(1.0, color=MARK, linewidth=0.8, linestyle=(0, (2, 2)))
    _named(axes, [name for name, _, _ in trials], [max(ratios) for _, ratios, _ in trials])
    axes.set_ylim(max(2.5, len(trials) - 0.5), -0.5)
    labelled(axes, "times as fast as without", "", "what was tried")
