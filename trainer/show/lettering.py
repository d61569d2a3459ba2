"""Texts in pictures: any name is drawn as the letters that it has, in the room that there is, without a warning."""

import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import matplotlib
from matplotlib.figure import Figure

from trainer.show.fonts import fonts
from trainer.system.garbage import uncollected
from trainer.system.shown import is_mark, printable, shortened

T = TypeVar("T")
STYLE: Any = {  # whatever the user's own matplotlibrc says: on white, which prints well
    "text.usetex": False,
    "text.parse_math": True,
    "text.hinting": "no_hinting",  # as wide as they are measured, and drawn in two thirds of the time
    "font.size": 10,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "grid.color": "#b0b0b0",
    "text.color": "black",
    "axes.labelcolor": "black",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "axes.unicode_minus": True,
}
LETTER = 0.7  # of the font's size: the width of a letter, amply
WIDEST = 1.1  # that of the widest letter of ASCII
MISSING = "?"  # stands for letters that no font of this machine has
GROWTHS, GROWTH = 8, 1.25


@contextmanager
def lettering() -> Iterator[None]:
    """Within the block pictures are made and drawn, in fonts that have their letters as far as there are such."""
    wanted = {**STYLE, "font.family": fonts().families}
    before = {name: matplotlib.rcParams[name] for name in wanted}  # `rc_context` copies all three hundred
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    matplotlib.rcParams.update(wanted)
    log.setLevel(logging.ERROR)  # that a font has no bold letters is nothing to say
    try:
        with uncollected(), warnings.catch_warnings():
            for message in ("Glyph .* missing", "Matplotlib currently does not support .* natively"):
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        matplotlib.rcParams.update(before)
        log.setLevel(level)


def lettered(text: str, most: int = 24, width: int | None = None) -> str:
    """`text` for matplotlib, in the room of `most` letters, and in lines of `width`; a dollar begins no formula."""
    found = _drawable(shortened(text, most))
    while len(found) > 1 and not found.isascii() and width_of(found) > LETTER * most:  # a letter may be as wide as ten
        found = shortened(found, len(found) - 1)
    return _plain(textwrap.fill(found, width) if width else found)


def fitted(text: str, inches: float, size: float) -> str:
    """`text` for matplotlib in letters of `size` points, its middle left out if it is wider than so many `inches`."""
    room = inches * 72 / size
    if len(text) * WIDEST <= room and text.isascii() and text.isprintable():
        return _plain(text)
    found = _drawable(shortened(text, max(2, int(4 * room))))  # no letter that is seen has less than a quarter of an em
    most = len(found)
    while most > 2 and width_of(found) > room:
        most = min(most - 1, int(most * room / width_of(found)) + 1)
        found = shortened(found, most)
    return _plain(found)


def class_names(classes: Sequence[str]) -> list[str]:
    """What classes are called in pictures: one whose letters no font has is `#` and its number."""
    return [f"#{number}" if lacks(name) else name for number, name in enumerate(classes)]


def said_of(names: Sequence[str], classes: Sequence[str]) -> str:
    """What is to be said of names that `class_names` gives; "" where they are those of the classes."""
    one = next((name for name, given in zip(names, classes, strict=True) if name != given), None)
    return f"; no font has the letters of {one}" if one is not None else ""


def lacks(text: str) -> bool:
    """Whether no font of this machine has one of its letters."""
    return not text.isascii() and any(fonts().width(letter) is None for letter in printable(text[:1000]))


def width_of(text: str) -> float:
    """How wide a text is drawn, amply, in units of the font's size."""
    return sum(fonts().width(letter) or 0.0 for letter in text if not is_mark(letter))


def _drawable(text: str) -> str:
    """`text` with a sign in place of the letters that no font has, and so many are one."""
    if text.isascii():
        return text
    shown: list[str] = []
    for letter in text:
        if fonts().width(letter) is not None:
            shown.append(letter)
        elif not shown or shown[-1] != MISSING:
            shown.append(MISSING)
    return "".join(shown)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def roomy(figure: Figure, draw: Callable[[], T]) -> T:
    """What `draw` gives. If names leave no room for what the figure is of, it is drawn larger."""
    for _ in range(GROWTHS):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "constrained_layout not applied")
            try:
                return draw()
            except UserWarning:
                figure.set_size_inches(*(GROWTH * figure.get_size_inches()))
    return draw()
