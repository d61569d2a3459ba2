"""Which pictures a run gets of its data, its model and its metrics."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainer.data.splits import Dataset, Split
from trainer.engine.evaluator import Evaluator
from trainer.show import plots
from trainer.show.curves import Rows, curves
from trainer.show.lettering import lettering
from trainer.system.shown import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 32  # images in a grid
ALONE, PAIRED = 22, 12  # letters of a class in the title of an image, where there is one, or two


def after_training(rows: Rows, evaluator: Evaluator) -> "Iterator[tuple[str, plots.Pixels]]":
    """Yield name and pixels of each picture that suits the run."""
    for name, draw in _suitable(rows, evaluator):
        yield name, _drawn(draw)


def _drawn(draw: "Callable[[], Figure]") -> plots.Pixels:
    with lettering():
        figure = draw()
    return plots.render(figure)


def _suitable(rows: Rows, evaluator: Evaluator) -> "Iterator[tuple[str, Callable[[], Figure]]]":
    loaded, built = evaluator.data, evaluator.model
    if rows:
        yield "curves", partial(curves, rows)
    if loaded.is_image and loaded.classes is not None:
        yield "samples", partial(training_grid, loaded)
    if loaded.is_image:
        kernel = first_filters(built)
        if kernel is not None:
            yield "filters", partial(plots.filters, kernel)
    if loaded.is_image and loaded.classes is not None:
        yield "predictions", partial(_predictions, evaluator, loaded.classes)
    if loaded.classes is None and _one_dimensional(loaded):
        yield "fit", partial(_fit, evaluator)


def training_grid(loaded: Dataset) -> "Figure":
    """The first training images with the names of their classes."""
    assert loaded.classes is not None
    split = loaded.train
    titles = [shortened(loaded.classes[int(t)], ALONE) for t in split.targets[:GRID]]
    return plots.samples(pixels(split, GRID), titles)


def batch(inputs: Tensor, targets: Tensor, loaded: Dataset) -> plots.Pixels:
    """The images of a batch as the model received them, with their classes; values that are not finite are black.

    Where classes are mixed, that with the largest share is shown.
    """
    if loaded.classes and targets.is_floating_point():
        targets = targets.argmax(1)
    count = min(GRID * 2, len(inputs))
    mean, std = (torch.tensor(v or [d]).view(1, -1, 1, 1) for v, d in ((loaded.mean, 0.0), (loaded.std, 1.0)))
    images = (inputs[:count].float().cpu() * std + mean).nan_to_num(0.0)
    titles = [shortened(loaded.classes[int(t)], ALONE) if loaded.classes else "" for t in targets[:count]]
    return _drawn(partial(plots.samples, images, titles))


def pixels(split: Split, count: int) -> Tensor:
    """The first images (count, C, H, W) as floats in 0..1."""
    images = split[:count]
    if images.dtype == torch.uint8:
        return images.float() / 255
    low, high = images.amin(), images.amax()
    return ((images - low) / (high - low).clamp(min=1e-12)).float()


def first_filters(built: nn.Module) -> Tensor | None:
    """The kernels (N, C, h, w) of the first convolution, or the rows of a first linear layer over square images."""
    for module in built.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight
        if isinstance(module, nn.Linear):
            for channels in (1, 3):
                side = round((module.in_features / channels) ** 0.5)
                if side > 1 and channels * side * side == module.in_features:
                    return module.weight.view(-1, channels, side, side)
            return None
    return None


def _predictions(evaluator: Evaluator, classes: tuple[str, ...]) -> "Figure":
    test = evaluator.data.test
    guesses = evaluator.outputs("test", GRID).argmax(1).tolist()
    truths = test.targets[:GRID].tolist()
    titles = [
        shortened(classes[g], ALONE)
        if g == t
        else f"{shortened(classes[g], PAIRED)}, not {shortened(classes[t], PAIRED)}"
        for g, t in zip(guesses, truths, strict=True)
    ]
    wrong = [g != t for g, t in zip(guesses, truths, strict=True)]
    return plots.samples(pixels(test, GRID), titles, wrong)


def _one_dimensional(loaded: Dataset) -> bool:
    return loaded.train.shape == (1,) and loaded.train.targets.shape[1:] == (1,)


def _fit(evaluator: Evaluator) -> "Figure":
    loaded = evaluator.data
    x = loaded.train.inputs.flatten().double()
    grid = torch.linspace(float(x.min()), float(x.max()), 200, dtype=torch.float64)
    mean, std = (loaded.mean or (0.0,))[0], (loaded.std or (1.0,))[0]
    inputs = ((grid - mean) / std)[:, None].to(evaluator.compute.device, evaluator.compute.dtype)
    train, test = ((split.inputs.flatten(), split.targets.flatten()) for split in (loaded.train, loaded.test))
    return plots.fit(train, test, (grid, evaluator.forward(inputs).flatten()))
