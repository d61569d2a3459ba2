"""What makes the probabilities of a trained model honest: a temperature and, of two classes, a threshold.

The temperature is that of Guo et al., On Calibration of Modern Neural Networks, 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.system.errors import DataError

LOWEST, HIGHEST = 0.01, 100.0  # temperatures that are looked for: outside, the samples do not tell one
_STEPS = 200  # far more than are needed: without Newton's, halving alone would take 50


@dataclass(frozen=True)
class Calibration:
    """What logits are divided by, and of two classes the probability of the second from which on it is predicted.

    Without a threshold, the likeliest class is predicted.
    """

    temperature: float = 1.0
    threshold: float | None = None

    def __str__(self) -> str:
        """What was fitted; "" if nothing."""
        said = [f"temperature {self.temperature:.4g}"] if self.temperature != 1 else []
        return ", ".join([*said, *([f"threshold {self.threshold:.4g}"] if self.threshold is not None else [])])

    def scaled(self, logits: Tensor) -> Tensor:
        """The logits (N, classes) whose softmax are the probabilities."""
        return logits / self.temperature

    def probabilities(self, logits: Tensor) -> Tensor:
        """Those of logits (N, classes)."""
        return self.scaled(logits).softmax(1)

    def predicted(self, logits: Tensor) -> Tensor:
        """The classes (N,) that logits (N, classes) speak for."""
        return (
            logits.argmax(1) if self.threshold is None else (self.probabilities(logits)[:, 1] >= self.threshold).long()
        )


NONE = Calibration()  # of a model as it was trained


def said(description: Mapping[str, Any], classes: tuple[str, ...] | None) -> Calibration:
    """The calibration that a checkpoint's description holds; of classes alone, and a threshold of two."""
    if classes is None:
        return NONE
    threshold = description.get("threshold") if len(classes) == 2 else None
    return Calibration(float(description.get("temperature") or 1.0), None if threshold is None else float(threshold))


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature at which logits (N, classes), in double precision, have the least cross-entropy with the class
    indices (N,).

    Its inverse is found by Newton's method within a bracket, for the cross-entropy is convex in it.

    Raises:
        DataError: There is none: every sample is told right, or the logits are worse than none.
    """
    if not bool(logits.isfinite().all()):
        raise DataError("the model's outputs are not finite", "evaluate other weights")
    low, high = 1 / HIGHEST, 1 / LOWEST
    if _slope(logits, targets, high)[0] <= 0:
        raise DataError(
            f"no temperature fits: the model makes no mistake in {len(targets):,} samples, and the surer, the better",
            "use more samples (data.val_fraction in training, or another file: data.path=FILE)",
        )
    if _slope(logits, targets, low)[0] >= 0:
        raise DataError("no temperature fits: the model tells classes worse than chance does", "evaluate other weights")
    inverse = 1.0
    for _ in range(_STEPS):
        slope, curvature = _slope(logits, targets, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        following = inverse - slope / curvature if curvature > 0 else high
        if not low < following < high:
            following = (low * high) ** 0.5
        if abs(following - inverse) <= 1e-13 * inverse:
            break
        inverse = following
    return 1 / inverse


def _slope(logits: Tensor, targets: Tensor, inverse: float) -> tuple[float, float]:
    """The first and the second derivative of the mean cross-entropy by the inverse of the temperature."""
    likely = (logits * inverse).softmax(1)
    mean = (likely * logits).sum(1)
    true = logits.gather(1, targets[:, None])[:, 0]
    spread = (likely * (logits - mean[:, None]).square()).sum(1)
    return float((mean - true).mean()), float(spread.mean())


def fit_threshold(second: Tensor, targets: Tensor) -> float:
    """The probability of the second of two classes from which on predicting it has the best F1.

    `second` are the probabilities (N,) of that class, and `targets` class indices (N,). A threshold lies in the middle
    between two probabilities that occur; of several that are equally good, it is the one nearest to 0.5.

    Raises:
        DataError: No sample is of the second class.
    """
    total = int((targets == 1).sum())
    if not total:
        raise DataError("no threshold fits: no sample is of the second class", "use more samples")
    ordered, order = second.double().sort(descending=True)
    below = torch.cat([ordered[1:], ordered.new_zeros(1)])
    last = ordered != below  # of the samples of one probability, which are told together
    last[-1] = True
    found = (targets[order] == 1).cumsum(0)[last]
    told = last.nonzero()[:, 0] + 1
    f1 = 2 * found.double() / (told + total)
    upper, lower = ordered[last], below[last]
    middle = (upper + lower) / 2
    thresholds = torch.where(middle > lower, middle, upper)  # rounding may put the middle of two neighbours on one
    best = thresholds[f1 == f1.max()]
    return float(best[(best - 0.5).abs().argmin()])
