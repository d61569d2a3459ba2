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


def _half_sse(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * (outputs - targets).square().sum()


def make(name: str, label_smoothing: float = 0.0) -> Loss:
    """`cross_entropy` (of logits and class indices), `mse` or `half_sse` (half the summed squared error)."""
    if name == "cross_entropy":
        smoothed = partial(F.cross_entropy, label_smoothing=label_smoothing)
        return Loss(name, F.cross_entropy, True, smoothed)
    if name == "mse":
        return Loss(name, F.mse_loss, True, F.mse_loss)
    assert name == "half_sse", name
    return Loss(name, _half_sse, False, _half_sse)
