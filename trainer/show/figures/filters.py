"""The filters of a first layer: what it looks for."""

import math
from collections.abc import Iterable, Sequence

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor, nn

from trainer.show.figures import grid
from trainer.show.figures.grid import Pixels
from trainer.show.figures.style import DPI, EDGE, HEAD, LETTERS, WIDTH, page
from trainer.system.shown import counted

COLUMNS, MOST = 16, 32  # filters in a row, and those that are shown
LARGEST, GAP = 140, 5  # pixels of a filter at most, and between two
SCALINGS = {
    "per filter": "each from its least weight to its greatest",
    "over all filters": "on one scale, so that strong filters stand out",
    "zero-centred": "mean over the channels on one scale: red above zero, blue below",
}
TITLED = 0.26  # inches for the title of a scaling
SMALLEST = 2  # weights of a side: a filter of one weight is no picture


def kernels(built: nn.Module) -> Tensor | None:
    """Weights (N, C, h, w) of the first convolution, or of a first linear layer over square images.

    None where there is no such layer, or its filters have nothing to see: each of a single weight.
    """
    for module in built.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight if min(module.kernel_size) >= SMALLEST else None
        if isinstance(module, nn.Linear):
            for channels in (1, 3):
                side = round((module.in_features / channels) ** 0.5)
                if side >= SMALLEST and channels * side * side == module.in_features:
                    return module.weight.view(-1, channels, side, side)
            return None
    return None


def draw(weight: Tensor, subject: str = "", scalings: Iterable[str] = SCALINGS) -> Figure | None:
    """Filters (N, C, h, w) in each of the `scalings`, those of three channels in colour, except zero-centred.

    Filters that say nothing are left out: constant ones, and those with weights that are not finite. None where no
    filter is left.
    """
    found = weight.detach().float().cpu()
    spans = found.amax((1, 2, 3)) - found.amin((1, 2, 3))
    telling = found[(spans > 0) & spans.isfinite()]
    if not len(telling):
        return None
    shown, names = telling[:MOST], [*scalings]
    side = min(LARGEST, round(DPI * (WIDTH - 2 * EDGE)) // min(COLUMNS, len(shown)) - GAP)
    blocks = [_mosaic([grid.resized(image, side) for image in _scaled(shown, name)]) for name in names]
    title = round(TITLED * DPI)
    height = sum(title + len(block) for block in blocks) / DPI
    figure = page(height + EDGE, _what(found, subject), _how(len(found), len(telling), len(shown)))
    top, (wide, tall) = round(HEAD * DPI), figure.get_size_inches()
    for name, block in zip(names, blocks, strict=True):
        above = 1 - (top + 0.7 * title) / DPI / tall
        figure.text(EDGE / wide, above, f"{name}: {SCALINGS[name]}", fontsize=LETTERS)
        grid.paste(figure, block, round(EDGE * DPI), top + title)
        top += title + len(block)
    return figure


def _what(found: Tensor, subject: str) -> str:
    size = "x".join(map(str, found.shape[2:]))
    said = f"first layer: {counted(len(found), 'filter')} of {size}, {counted(found.shape[1], 'channel')}"
    return f"{said}, {subject}" if subject else said


def _how(found: int, telling: int, shown: int) -> str:
    notes = ["smooth shapes are learnt, noise is not"]
    if shown < telling:
        notes.append(f"the first {shown} are shown")
    if telling < found:
        notes.append(f"{counted(found - telling, 'constant or broken filter')} left out")
    return "; ".join(notes)


def _scaled(weight: Tensor, scaling: str) -> Tensor:
    """A picture (3, h, w) in 0..1 of each filter."""
    if scaling == "zero-centred":
        mean = weight.mean(1)
        shares = 0.5 + 0.5 * mean / (float(mean.abs().max()) or 1.0)
        return torch.from_numpy(colormaps["RdBu_r"](shares.numpy())[..., :3]).permute(0, 3, 1, 2)
    every = (1, 2, 3) if scaling == "per filter" else (0, 1, 2, 3)
    low, high = weight.amin(every, keepdim=True), weight.amax(every, keepdim=True)
    return (weight - low) / (high - low)


def _mosaic(images: Sequence[Pixels]) -> Pixels:
    """One picture (height, width, 4) of all of them, which have one size."""
    height, width, _ = images[0].shape
    columns = min(COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    canvas = grid.blank(rows * (height + GAP), columns * (width + GAP) - GAP)
    for number, image in enumerate(images):
        y, x = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        canvas[y : y + height, x : x + width, :3] = image
    return canvas
