"""How well scores put the samples of a class before all others: from the scores of all samples, exactly."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 2**22  # scores, samples times classes, up to which they are kept: 16 MiB


@dataclass(frozen=True)
class Ranking:
    """Samples in the order of their scores for a class, the highest first; samples of one score are told together.

    For each score that occurs, of the samples with at least that: how many are `found`, which are of the class, and
    how many are `wrong`, (scores,) float64. Both reach at least 1.
    """

    found: Tensor
    wrong: Tensor

    @property
    def auc(self) -> float:
        """The area under the ROC curve."""
        gained = _steps(self.found)
        area = (_steps(self.wrong) * (self.found - gained / 2)).sum() / (self.found[-1] * self.wrong[-1])
        return float(area)

    @property
    def average_precision(self) -> float:
        """As scikit-learn has it: the curve of precision is not interpolated."""
        return float((_steps(self.found) * self.precision).sum() / self.found[-1])

    @property
    def recall(self) -> Tensor:
        """The share of the class that is found, the true positive rate."""
        return self.found / self.found[-1]

    @property
    def fallout(self) -> Tensor:
        """The share of all others that are taken for the class, the false positive rate."""
        return self.wrong / self.wrong[-1]

    @property
    def precision(self) -> Tensor:
        """The share of what is taken for the class that is of it."""
        return self.found / (self.found + self.wrong)


def _steps(total: Tensor) -> Tensor:
    return total.diff(prepend=total.new_zeros(1))


def rankings(outputs: Tensor, targets: Tensor) -> Iterator[tuple[int, Ranking]]:
    """Each class that is looked for, by its number, with its ranking; of logits (N, classes) and class indices (N,).

    Of two classes the second is the one that is looked for. Of more, each that occurs is looked for among all others.
    Where there are no two classes, nothing is to be looked for.
    """
    classes = torch.unique(targets).tolist()
    if len(classes) < 2:
        return
    # Not probabilities, which round to 1: what is surest would all be the same.
    if outputs.shape[1] == 2:
        yield 1, ranked(outputs[:, 1].double() - outputs[:, 0].double(), targets == 1)
        return
    scores = outputs.double().log_softmax(1)
    for one in classes:
        yield one, ranked(scores[:, one], targets == one)


def ranked(scores: Tensor, right: Tensor) -> Ranking:
    """The ranking for one class: scores (N,), and which samples are of it."""
    ordered, order = scores.sort(descending=True)
    last = torch.ones_like(right)  # of the samples that have the same score
    last[:-1] = ordered[1:] != ordered[:-1]
    found = right[order].cumsum(0)[last].double()
    told = (last.nonzero()[:, 0] + 1).double()
    return Ranking(found, told - found)


def figures(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """`auc`, the area under the ROC curve, and `average_precision`, as means over the classes that are looked for."""
    each = [(found.auc, found.average_precision) for _, found in rankings(outputs, targets)]
    if not each:
        return {}
    auc, precision = (sum(values) / len(each) for values in zip(*each, strict=True))
    return {"auc": auc, "average_precision": precision}
