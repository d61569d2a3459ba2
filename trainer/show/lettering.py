"""Texts in pictures: any name is drawn as the letters that it has, in the room that there is, without a warning."""

import gc
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from trainer.system.shown import shortened

T = TypeVar("T")
STYLE: Any = {"text.usetex": False, "text.parse_math": True}  # whatever the user's own matplotlibrc says
LETTER = 0.7  # of the font's size: the width of a letter, amply
GROWTHS, GROWTH = 8, 1.25


@contextmanager
def lettering() -> Iterator[None]:
    """Within the block pictures are made and drawn: letters that the font does not have are boxes, in silence.

    A picture has thousands of objects. Python would look for garbage among all that the program has, which takes as
    long as two pictures: it waits until the block ends.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            for message in ("Glyph .* missing", "Matplotlib currently does not support .* natively"):
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        if collecting:
            gc.enable()


def lettered(text: str, most: int = 24, width: int | None = None) -> str:
    """`text` for matplotlib, in the room of `most` letters, and in lines of `width`; a dollar begins no formula."""
    found = shortened(text, most)
    while len(found) > 1 and not found.isascii() and _width(found) > LETTER * most:  # a letter may be as wide as ten
        found = shortened(text, len(found) - 1)
    return (textwrap.fill(found, width) if width else found).replace("$", r"\$")


def _width(text: str) -> float:
    """How wide a text is drawn, in units of the font's size."""
    font = FontProperties(size=10)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 10


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
