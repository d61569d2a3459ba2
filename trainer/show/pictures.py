"""Which pictures a run gets of its data, its model and its metrics."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainer.data.splits import Dataset, Split
from trainer.show.curves import curves
from trainer.show.figures import filters, fit, grid
from trainer.show.figures.grid import COLUMNS, ROWS, Cell, Line
from trainer.show.figures.style import heading
from trainer.show.lettering import class_names, lettering
from trainer.show.rendering import Pixels, render
from trainer.show.trained import Trained
from trainer.system.shown import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = COLUMNS * ROWS  # images in a grid
BATCH = 2 * MOST


def after_training(trained: Trained) -> Iterator[tuple[str, Pixels]]:
    """Yield name and pixels of each picture that suits the run."""
    for name, draw in _suitable(trained):
        with lettering():
            figure = draw()
        if figure is not None:
            yield name, render(figure)


def _suitable(trained: Trained) -> "Iterator[tuple[str, Callable[[], Figure | None]]]":
    evaluator, loaded = trained.evaluator, trained.evaluator.data
    what = heading("test", trained.test.metrics, len(loaded.test), trained.subject)
    if trained.rows:
        yield "curves", partial(curves, trained.rows, what, trained.best, trained.rates)
    if loaded.is_image:
        if loaded.classes is not None:
            yield "samples", partial(training_grid, loaded, trained.subject)
        kernels = filters.kernels(evaluator.model)
        if kernels is not None:
            yield "filters", partial(filters.draw, kernels, trained.subject)
    if fit.suits(evaluator):
        yield "fit", partial(fit.draw, evaluator, what)


def training_grid(loaded: Dataset, subject: str) -> "Figure":
    """The first training images with the names of their classes."""
    assert loaded.classes is not None
    split = loaded.train
    images, names = pixels(split, MOST), class_names(loaded.classes)
    cells = [Cell(image, [Line(names[int(t)])]) for image, t in zip(images, split.targets, strict=False)]
    what = f"training: {counted(len(split), 'image')} of {counted(len(names), 'class', 'classes')}, {subject}"
    shape = "x".join(map(str, loaded.train.shape))
    return grid.draw(cells, what, f"the first {len(cells)} as they are in the data, of {shape}")


def batch(inputs: Tensor, targets: Tensor, loaded: Dataset) -> Pixels:
    """The images of a batch as the model received them, with their classes; values that are not finite are black.

    Where classes are mixed, that with the largest share is shown.
    """
    if loaded.classes and targets.is_floating_point():
        targets = targets.argmax(1)
    mean, std = (torch.tensor(v or [d]).view(1, -1, 1, 1) for v, d in ((loaded.mean, 0.0), (loaded.std, 1.0)))
    images = (inputs[:BATCH].float().cpu() * std + mean).nan_to_num(0.0)
    what = f"the batch whose loss was not finite: {counted(len(inputs), 'image')}, {loaded.name}"
    with lettering():
        names = class_names(loaded.classes or ())
        lines = [[Line(names[int(t)])] if names else [] for t in targets[: len(images)]]
        cells = [Cell(image, said) for image, said in zip(images, lines, strict=True)]
        figure = grid.draw(cells, what, f"the first {len(cells)} as the model received them; not finite is black")
    return render(figure)


def pixels(split: Split, count: int) -> Tensor:
    """The first images (count, C, H, W) as floats in 0..1."""
    images = split[:count]
    if images.dtype == torch.uint8:
        return images.float() / 255
    low, high = images.amin(), images.amax()
    return ((images - low) / (high - low).clamp(min=1e-12)).float()
