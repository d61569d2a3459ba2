"""Regression on one feature: the samples, and the line that the model draws through them."""

from typing import Any

import torch
from matplotlib.figure import Figure

from trainer.engine.evaluator import Evaluator
from trainer.show.figures.style import CALLED, colour, key, labelled, page, panel
from trainer.show.lettering import lettered

POINTS = 200  # of the line
MOST = 5000  # samples of a split that are drawn


def suits(evaluator: Evaluator) -> bool:
    """Whether the data have one feature and one target."""
    train = evaluator.data.train
    return evaluator.data.classes is None and train.shape == (1,) and train.targets.shape[1:] == (1,)


def draw(evaluator: Evaluator, what: str) -> Figure:
    """Training and test samples, and what the model says of each value between the least and the greatest of them."""
    data = evaluator.data
    x = torch.cat([split.inputs.flatten().double() for split in (data.train, data.test)])
    grid = torch.linspace(float(x.min()), float(x.max()), POINTS, dtype=torch.float64)
    mean, std = (data.mean or (0.0,))[0], (data.std or (1.0,))[0]
    inputs = ((grid - mean) / std)[:, None].to(evaluator.compute.device, evaluator.compute.dtype)
    line = evaluator.forward(inputs).flatten()
    figure = page(3.6, what, "points are samples, the line is what the model predicts")
    axes = panel(figure, 0.75, 0.45, 6.6, 3.1)
    entries = []
    for name, marker in (("train", "o"), ("test", "x")):
        split = data.split(name)
        some = slice(None, None, max(1, len(split) // MOST))
        points = split.inputs.flatten()[some].tolist(), split.targets.flatten()[some].tolist()
        style: dict[str, Any] = {"marker": marker, "color": colour(name), "markersize": 4, "linestyle": ""}
        axes.plot(*points, alpha=0.7, **style)
        entries.append((CALLED[name], style, ""))
    entries.append(("model", {"color": "black", "linewidth": 1.5}, ""))
    axes.plot(grid.tolist(), line.tolist(), **entries[-1][1])
    key(figure, 5.2, 3.8, entries, 1.1)
    across = data.columns[0] if data.columns else "x"
    labelled(axes, lettered(across, 60), lettered(data.quantities[0] if data.quantities else "y", 40))
    return figure
