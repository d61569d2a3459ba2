"""Many images in one picture, pixel by pixel, with a few words above each."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.image import FigureImage
from torch import Tensor
from torch.nn.functional import interpolate

from trainer.show.figures.style import DPI, EDGE, HEAD, SMALL, WIDTH, page
from trainer.show.lettering import fitted, width_of

Pixels = np.ndarray[Any, Any]
COLUMNS, ROWS = 6, 4  # of images, at most
SIDE, GAP = 140, 6  # pixels of the room that an image has, and between two
LINE = 1.3 * SMALL * DPI / 72  # pixels of a line of words
BLANK = 0.5 * LINE  # between the rows
TOP = 0.05  # inches below the heading


class Line(NamedTuple):
    """Words above an image: at its left, perhaps after a sign, and at its right; and the colour of them all.

    The sign stands by itself, for a name may be written from the right.
    """

    left: str
    right: str = ""
    colour: str = "black"
    sign: str = ""


class Cell(NamedTuple):
    """An image (C, H, W) in 0..1 with the lines above it."""

    image: Tensor
    lines: Sequence[Line] = ()


class _Exact(FigureImage):
    """An image whose pixels are the figure's, as long as it is drawn in its own size: to resample it takes 20 ms."""

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        figure = self.get_figure(root=True)
        if magnification == 1 and figure is not None and getattr(renderer, "dpi", None) == figure.dpi:
            return self._A[::-1], self.ox, self.oy, None  # type: ignore[attr-defined]
        return super().make_image(renderer, magnification, unsampled)


def draw(cells: Sequence[Cell], what: str, how: str) -> Figure:
    """The images in rows, in this order, each in the room of `SIDE` pixels: small ones larger, large ones smaller.

    `what` they are stands above, and `how` to read the words.
    """
    columns, side = COLUMNS, SIDE
    images = [resized(cell.image, side) for cell in cells]
    height = max(image.shape[0] for image in images)
    lines = max(len(cell.lines) for cell in cells)
    above = math.ceil(lines * LINE + 0.3 * LINE) if lines else 0
    rows = math.ceil(len(cells) / columns)
    tall = rows * (above + height) + math.ceil((rows - 1) * BLANK)
    figure = page(TOP + tall / DPI + EDGE, what, how)
    canvas = blank(tall, columns * (side + GAP) - GAP)
    left, top = round(DPI * EDGE), round((HEAD + TOP) * DPI)
    total = DPI * figure.get_size_inches()[1]
    for number, (cell, image) in enumerate(zip(cells, images, strict=True)):
        row, column = divmod(number, columns)
        x, y = column * (side + GAP), round(row * (above + height + BLANK))
        for place, line in enumerate(cell.lines):
            base = total - top - y - round((place + 0.8) * LINE)
            _words(figure, line, (left + x) / (WIDTH * DPI), base / total)
        canvas[y + above : y + above + image.shape[0], x : x + image.shape[1], :3] = image
    paste(figure, canvas, left, top)
    return figure


def blank(height: int, width: int) -> Pixels:
    """White pixels (height, width, 4)."""
    return np.full((height, width, 4), 255, np.uint8)


def paste(figure: Figure, pixels: Pixels, left: int, top: int) -> None:
    """Put pixels (h, w, 4) into a figure, so many of its own pixels from its upper left corner."""
    below = round(DPI * figure.get_size_inches()[1]) - top - len(pixels)
    image = _Exact(figure, offsetx=left, offsety=below, origin="upper")
    image.set_data(pixels)
    figure.images.append(image)


def _words(figure: Figure, line: Line, x: float, y: float) -> None:
    room, start = SIDE / DPI, 0.0
    style: dict[str, Any] = {"fontsize": SMALL, "color": line.colour}
    if line.right:
        right = fitted(line.right, room, SMALL)
        figure.text(x + room / WIDTH, y, right, ha="right", **style)
        room -= (width_of(right) + 0.5) * SMALL / 72
    if line.sign:
        figure.text(x, y, line.sign, **style)
        start = (width_of(line.sign) + 0.4) * SMALL / 72
    if line.left:
        figure.text(x + start / WIDTH, y, fitted(line.left, room - start, SMALL), **style)


def resized(image: Tensor, side: int) -> Pixels:
    """An image (C, H, W) in 0..1 as (h, w, 3) uint8 that fits into `side`: each pixel as a square of several, or the
    mean of several as one."""
    _, height, width = image.shape
    times = side / max(height, width)
    if times < 1:
        size = [max(1, round(times * height)), max(1, round(times * width))]
        image = interpolate(image[None].float(), size=size, mode="area")[0]
    pixels = (255 * coloured(image)).round().to(torch.uint8).numpy()
    return pixels if times < 2 else pixels.repeat(int(times), 0).repeat(int(times), 1)


def coloured(image: Tensor) -> Tensor:
    """An image (C, H, W) in 0..1 as (H, W, 3): in colour if it has three channels, otherwise their mean in grey."""
    channels = image if image.shape[0] == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)
    return channels.permute(1, 2, 0).clamp(0, 1)
