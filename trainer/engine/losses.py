"""The training losses, each with how it adds up over batches."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor


class Loss:
    """A loss of (outputs, targets), made of `of`, which takes torch's `reduction`: "none", "mean" or "sum".

    With `mean` it averages over the samples of a batch (then batches weigh by their size); otherwise it sums over them
    (then batches add up). `function` gives the scalar of an evaluation, `training_function` that of a training, which
    alone smooths labels.
    """

    def __init__(self, name: str, of: Callable[..., Tensor], mean: bool, label_smoothing: float = 0.0) -> None:
        self.name, self.mean = name, mean
        self._of, self._training_of = of, partial(of, label_smoothing=label_smoothing) if label_smoothing else of
        reduction = "mean" if mean else "sum"
        self.function: Callable[[Tensor, Tensor], Tensor] = partial(self._of, reduction=reduction)
        self.training_function: Callable[[Tensor, Tensor], Tensor] = partial(self._training_of, reduction=reduction)

    def of_each(self, outputs: Tensor, targets: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        """Losses (jobs,) of several models' outputs (jobs, N, ...) on targets (jobs, N, ...), or (N, ...) for all.

        With a `mask` (jobs, N) of ones and zeros, those of zero count for nothing.
        """
        jobs = len(outputs)
        are_indices = self.name == "cross_entropy" and not targets.is_floating_point()
        if targets.dim() < outputs.dim() - are_indices:
            targets = targets.expand(jobs, *targets.shape)
        of = self._training_of if training else self._of
        values = of(outputs.flatten(0, 1), targets.flatten(0, 1), reduction="none").view(jobs, -1)
        if mask is not None:
            of_samples = values.view(*mask.shape, -1)
            columns = of_samples.shape[2]
            totals = (of_samples.sum(2) * mask).sum(1)
            return totals / (mask.sum(1) * columns) if self.mean else totals
        return values.mean(1) if self.mean else values.sum(1)


def _half_squared_error(outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
    return 0.5 * F.mse_loss(outputs, targets, reduction=reduction)


def make(name: str, label_smoothing: float = 0.0) -> Loss:
    """`cross_entropy` (of logits and class indices or probabilities), `mse` or `half_sse` (half the summed squares)."""
    if name == "cross_entropy":
        return Loss(name, F.cross_entropy, mean=True, label_smoothing=label_smoothing)
    if name == "mse":
        return Loss(name, F.mse_loss, mean=True)
    assert name == "half_sse", name
    return Loss(name, _half_squared_error, mean=False)
