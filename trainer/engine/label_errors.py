"""Labels that are probably wrong, by confident learning: Northcutt, Jiang and Chuang, JAIR 70, 2021."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Suspected:
    """The `numbers` (n,) of the samples whose labels are probably wrong, the likeliest first, and the classes (n,) that
    are `suggested` in their place.
    """

    numbers: Tensor
    suggested: Tensor


def suspected(probabilities: Tensor, given: Tensor) -> Suspected:
    """Which of the `given` labels (N,) are probably wrong, by probabilities (N, classes) of a model that has not seen
    them.

    How many of each class is told by `wrong_shares`. These are the samples whose label has the least probability, among
    those for which another class is the likeliest ("prune by class"); the least probable label of all comes first.
    """
    own = probabilities.gather(1, given[:, None])[:, 0]
    counts = torch.bincount(given, minlength=probabilities.shape[1])
    wanted = (counts * wrong_shares(probabilities, given)).round().long()
    suggested = probabilities.argmax(1)
    order = own.argsort(stable=True)
    order = order[(suggested != given)[order]]
    by_class = order[given[order].argsort(stable=True)]
    labels = given[by_class]
    first = torch.searchsorted(labels, labels)  # where the samples of each one's class begin
    chosen = torch.zeros(len(given), dtype=torch.bool)
    chosen[by_class[torch.arange(len(by_class)) - first < wanted[labels]]] = True
    numbers = order[chosen[order]]
    return Suspected(numbers, suggested[numbers])


def wrong_shares(probabilities: Tensor, given: Tensor) -> Tensor:
    """The estimated share (classes,) of each class's labels that is wrong; 0 for one of which nothing is certain.

    The threshold of a class is the mean probability that its own samples have of it. A sample counts as of the class
    that is likeliest among those whose probability reaches their threshold, and for nothing where none does. The share
    is that of the samples that count as of another class than their label.
    """
    likely = probabilities.masked_fill(probabilities < thresholds(probabilities, given), -1.0)
    confidence, counted = likely.max(1)
    certain = confidence >= 0
    classes = probabilities.shape[1]
    every = torch.bincount(given[certain], minlength=classes)
    wrong = torch.bincount(given[certain & (counted != given)], minlength=classes)
    return wrong.double() / every.clamp(min=1)


def thresholds(probabilities: Tensor, given: Tensor) -> Tensor:
    """The mean probability (classes,) that the samples of each class have of it; infinite for one without samples."""
    own = probabilities.gather(1, given[:, None])[:, 0]
    classes = probabilities.shape[1]
    counts = torch.bincount(given, minlength=classes)
    return (torch.bincount(given, own, minlength=classes) / counts).masked_fill(counts == 0, torch.inf)
