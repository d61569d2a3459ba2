"""How well scores put the samples of a class before all others: from the scores of all samples, exactly."""

import torch
from torch import Tensor

LARGEST = 2**22  # scores, samples times classes, up to which they are kept: 16 MiB


def figures(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """`auc`, the area under the ROC curve, and `average_precision`, of logits (N, classes) and class indices (N,).

    Of two classes the second is the one that is looked for. Of more, each is looked for among all others, and the mean
    of the classes that occur is taken. Where there are no two classes, neither is defined.
    """
    classes = torch.unique(targets).tolist()
    if len(classes) < 2:
        return {}
    # Not probabilities, which round to 1: what is surest would all be the same.
    if outputs.shape[1] == 2:
        each = [_of_one(outputs[:, 1].double() - outputs[:, 0].double(), targets == 1)]
    else:
        scores = outputs.double().log_softmax(1)
        each = [_of_one(scores[:, one], targets == one) for one in classes]
    auc, precision = (sum(values) / len(each) for values in zip(*each, strict=True))
    return {"auc": auc, "average_precision": precision}


def _of_one(scores: Tensor, right: Tensor) -> tuple[float, float]:
    """Both figures for one class: scores (N,), and which samples are of it.

    As scikit-learn has them: samples of one score are told together, and the curve of precision is not interpolated.
    """
    ordered, order = scores.sort(descending=True)
    last = torch.ones_like(right)  # of the samples that have the same score
    last[:-1] = ordered[1:] != ordered[:-1]
    found = right[order].cumsum(0)[last].double()
    told = (last.nonzero()[:, 0] + 1).double()
    wrong = told - found
    gained = found.diff(prepend=found.new_zeros(1))
    area = (wrong.diff(prepend=wrong.new_zeros(1)) * (found - gained / 2)).sum() / (found[-1] * wrong[-1])
    return float(area), float((gained * found / told).sum() / found[-1])
