"""The training losses, each with how it adds up over batches."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A loss of (outputs, targets) -> scalar.

    `mean` says whether it averages over the samples of a batch (then batches weigh by their size) or
    sums over them (then batches add up). `label_smoothing` is for training; evaluation leaves it out.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    mean: bool
    training_function: Callable[[Tensor, Tensor], Tensor]
    per_value: Callable[..., Tensor]  # (outputs, targets, label_smoothing) -> what is averaged or summed
    label_smoothing: float = 0.0

    def of_each(self, outputs: Tensor, targets: Tensor, training: bool = False) -> Tensor:
        """Losses (jobs,) of several models' outputs (jobs, N, ...) on targets (jobs, N, ...), or (N, ...) for all."""
        jobs = len(outputs)
        if targets.dim() < outputs.dim() - (self.name == "cross_entropy"):
            targets = targets.expand(jobs, *targets.shape)
        smoothing = self.label_smoothing if training else 0.0
        values = self.per_value(outputs.flatten(0, 1), targets.flatten(0, 1), smoothing).view(jobs, -1)
        return values.mean(1) if self.mean else values.sum(1)


def _half_sse(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * (outputs - targets).square().sum()


def _each_cross_entropy(outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none", label_smoothing=label_smoothing)


def _each_square(outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    return (outputs - targets).square()


def _each_half_square(outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    return 0.5 * (outputs - targets).square()


def make(name: str, label_smoothing: float = 0.0) -> Loss:
    """`cross_entropy` (of logits and class indices), `mse` or `half_sse` (half the summed squared error)."""
    if name == "cross_entropy":
        smoothed = partial(F.cross_entropy, label_smoothing=label_smoothing)
        return Loss(name, F.cross_entropy, True, smoothed, _each_cross_entropy, label_smoothing)
    if name == "mse":
        return Loss(name, F.mse_loss, True, F.mse_loss, _each_square)
    assert name == "half_sse", name
    return Loss(name, _half_sse, False, _half_sse, _each_half_square)
