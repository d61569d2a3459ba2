"""How sure the figures of a test are: 95% intervals by the percentile bootstrap (Efron, 1979).

A split is drawn anew `RESAMPLES` times from its own samples, with replacement, and each figure computed of each. What
the middle 95% of them span says how far the figure would move with other samples of the same kind; it does not say how
far it would move with another training.
"""

import math

import numpy as np
import torch
from torch import Tensor

from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome

RESAMPLES = 1000
SEED = 0
CELLS = 4000  # of a confusion matrix: drawing more, as hundreds of classes have, takes too long for what it says
DRAWN = 10_000  # samples that are drawn one by one
_AT_ONCE = 100  # resamples, whose counts are in memory together: a divisor of their number

Intervals = dict[str, tuple[float, float]]


def intervals(outcome: Outcome) -> Intervals:
    """The 95% intervals of an outcome's figures, by the names that its evaluation has for them.

    Of classes: accuracy, top-5 accuracy, balanced accuracy and F1. Of quantities: MSE, MAE and R². AUC and average
    precision have none, for each resample would have to be ranked; and what is not finite has none.
    """
    if outcome.classes is not None:
        return of_classes(outcome.evaluation)
    found = of_values(outcome.outputs, outcome.targets)
    return {name: ends for name, ends in found.items() if all(map(math.isfinite, ends))}


def of_classes(evaluation: Evaluation) -> Intervals:
    """Those of classes. With more than `CELLS` kinds of answers there are none of balanced accuracy and F1."""
    generator = np.random.default_rng(SEED)
    total, shares = sum(evaluation.counts), ("accuracy", "top5")
    found = {
        name: _middle(torch.from_numpy(generator.binomial(total, evaluation.metrics[name], RESAMPLES) / total))
        for name in shares
        if name in evaluation.metrics
    }
    places = evaluation.confusion.nonzero() if evaluation.confusion is not None else torch.empty(0, 2)
    if evaluation.confusion is None or len(places) > CELLS:
        return found
    true, guessed = places.T
    counts = evaluation.confusion[true, guessed].double()
    drawn = torch.from_numpy(generator.multinomial(total, (counts / total).numpy(), RESAMPLES)).double()
    blank = torch.zeros(RESAMPLES, len(evaluation.counts), dtype=torch.float64)
    of_true, of_guessed = blank.index_add(1, true, drawn), blank.index_add(1, guessed, drawn)
    right = true == guessed
    hits = blank.index_add(1, true[right], drawn[:, right])
    # As `Evaluation.further`: means over the classes that occur, or that occur or were guessed. 0 / 0 is none of these.
    found["balanced_accuracy"] = _middle((hits / of_true).nanmean(1))
    found["f1"] = _middle((2 * hits / (of_true + of_guessed)).nanmean(1))
    return found


def of_values(outputs: Tensor, targets: Tensor) -> Intervals:
    """Those of quantities: predictions and targets (N, columns), in the same units.

    More than `DRAWN` samples are put into so many groups at random, and groups are drawn.
    """
    total = len(targets)
    errors, centred = (outputs - targets).double(), targets.double() - targets.double().mean(0)
    moments = torch.stack([errors.square(), errors.abs(), centred, centred.square(), torch.ones_like(errors)])
    generator = np.random.default_rng(SEED)
    if total > DRAWN:
        groups = torch.from_numpy(generator.permutation(total) % DRAWN)
        moments = moments.new_zeros(len(moments), DRAWN, errors.shape[1]).index_add(1, groups, moments)
        total = DRAWN
    sums = []
    for _ in range(0, RESAMPLES, _AT_ONCE):
        numbers = generator.integers(0, total, (_AT_ONCE, total), dtype=np.int32)
        counts = torch.from_numpy(np.stack([np.bincount(row, minlength=total) for row in numbers])).double()
        sums.append(torch.einsum("rn,knc->krc", counts, moments))
    squared, absolute, mean, square = (found := torch.cat(sums, 1))[:4] / found[4]
    variation = square - mean.square()  # as in `metrics.Regression`
    r2 = torch.where(variation > 0, 1 - squared / variation, torch.where(squared > 0, 0.0, 1.0))
    return {"mse": _middle(squared.mean(1)), "mae": _middle(absolute.mean(1)), "r2": _middle(r2.mean(1))}


def _middle(values: Tensor) -> tuple[float, float]:
    """What the middle 95% of values (N,) span."""
    low, high = values.quantile(values.new_tensor([0.025, 0.975])).tolist()
    return low, high
