"""The training losses, each with how it adds up over batches."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor


class Loss:
    """A loss of (outputs, targets), made of `of`, which takes torch's `reduction`: "none", "mean" or "sum".

    With `mean` it averages over the samples of a batch (then batches weigh by their size); otherwise it sums over them
    (then batches add up). `function` gives the scalar of an evaluation, `training_function` that of a training, which
    alone smooths labels and weighs classes: it is made of `training_of`.
    """

    def __init__(
        self, name: str, of: Callable[..., Tensor], mean: bool, training_of: Callable[..., Tensor] | None = None
    ) -> None:
        self.name, self.mean = name, mean
        self._of, self._training_of = of, training_of or of
        reduction = "mean" if mean else "sum"
        self.function: Callable[[Tensor, Tensor], Tensor] = partial(self._of, reduction=reduction)
        self.training_function: Callable[[Tensor, Tensor], Tensor] = partial(self._training_of, reduction=reduction)

    def of_each(self, outputs: Tensor, targets: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        """Losses (jobs,) of several models' outputs (jobs, N, ...) on targets (jobs, N, ...), or (N, ...) for all.

        With a `mask` (jobs, N) of ones and zeros, those of zero count for nothing.
        """
        jobs = len(outputs)
        if targets.dim() < outputs.dim() - (self.name == "cross_entropy"):
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


def _weighed(outputs: Tensor, targets: Tensor, reduction: str, weights: Tensor, label_smoothing: float) -> Tensor:
    """Cross-entropy in which a sample counts by the weight of its class.

    The mean is over samples, not over weights as in torch: so several batches add up to one, whatever is in them.
    """
    values = F.cross_entropy(outputs, targets, reduction="none", label_smoothing=label_smoothing) * weights[targets]
    return values if reduction == "none" else values.mean() if reduction == "mean" else values.sum()


def make(name: str, label_smoothing: float = 0.0, weights: Tensor | None = None) -> Loss:
    """`cross_entropy` (of logits and class indices), `mse` or `half_sse` (half the summed squared error).

    `weights` (classes,) are what the samples of each class count in training.
    """
    if name == "cross_entropy":
        of: Callable[..., Tensor] = F.cross_entropy
        if weights is not None:
            of = partial(_weighed, weights=weights, label_smoothing=label_smoothing)
        elif label_smoothing:
            of = partial(F.cross_entropy, label_smoothing=label_smoothing)
        return Loss(name, F.cross_entropy, True, of)
    if name == "mse":
        return Loss(name, F.mse_loss, mean=True)
    assert name == "half_sse", name
    return Loss(name, _half_squared_error, mean=False)
