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

    The threshold of a class is the mean probability that its own samples have of it. A sample counts as of the class
    that is likeliest among those whose probability reaches their threshold; it is suspected where that is another than
    the given one. The first is the one whose given label has the least probability.
    """
    own = probabilities.gather(1, given[:, None])[:, 0]
    likely = probabilities.masked_fill(probabilities < thresholds(probabilities, given), -1.0)
    confidence, suggested = likely.max(1)
    numbers = ((confidence >= 0) & (suggested != given)).nonzero()[:, 0]
    numbers = numbers[own[numbers].argsort(stable=True)]
    return Suspected(numbers, suggested[numbers])


def thresholds(probabilities: Tensor, given: Tensor) -> Tensor:
    """The mean probability (classes,) that the samples of each class have of it; infinite for one without samples."""
    own = probabilities.gather(1, given[:, None])[:, 0]
    classes = probabilities.shape[1]
    counts = torch.bincount(given, minlength=classes)
    return (torch.bincount(given, own, minlength=classes) / counts).masked_fill(counts == 0, torch.inf)
