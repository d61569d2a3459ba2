"""Figures as pixels and as files, without a display and without pyplot's state."""

from typing import IO, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainer.show.lettering import lettering, roomy

Pixels = np.ndarray[Any, Any]


def render(figure: Figure) -> Pixels:
    """The pixels of a figure, (height, width, 3) uint8."""
    return np.asarray(_drawn(figure).buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def write_png(figure: Figure, file: IO[bytes]) -> None:
    """Draw a figure into a file."""
    _drawn(figure).print_png(file)  # type: ignore[no-untyped-call]


def _drawn(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    with lettering():
        roomy(figure, canvas.draw)
    return canvas
