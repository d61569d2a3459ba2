"""The training losses, each with how it adds up over batches."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor


class Loss:
    """A loss of (outputs, targets), made of `of`, which takes torch's `reduction`: "none", "mean" or "sum".

    With `mean` it averages over the samples of a batch (then batches weigh by their size); otherwise it sums over them
    (then batches add up). `function` gives the scalar of an evaluation, `training_function` that of a training, which
    alone smooths labels, and in which a sample counts by its class: `weights` are (classes,), or (jobs, classes) for
    `of_each`.
    """

    def __init__(
        self,
        name: str,
        of: Callable[..., Tensor],
        mean: bool,
        label_smoothing: float = 0.0,
        weights: Tensor | None = None,
    ) -> None:
        self.name, self.mean, self.weights = name, mean, weights
        self._of, self._training_of = of, partial(of, label_smoothing=label_smoothing) if label_smoothing else of
        reduction = "mean" if mean else "sum"
        self.function: Callable[[Tensor, Tensor], Tensor] = partial(self._of, reduction=reduction)
        self.training_function: Callable[[Tensor, Tensor], Tensor] = partial(self._training_of, reduction=reduction)
        if weights is not None:
            self.training_function = self._weighed

    def _weighed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Over samples, not over weights as in torch: so several batches add up to one, whatever is in them."""
        assert self.weights is not None
        targets, counts = _weighing(targets, self.weights)
        return (self._training_of(outputs, targets, reduction="none") * counts).mean()

    def of_each(self, outputs: Tensor, targets: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        """Losses (jobs,) of several models' outputs (jobs, N, ...) on targets (jobs, N, ...), or (N, ...) for all.

        With a `mask` (jobs, N) of ones and zeros, those of zero count for nothing.
        """
        jobs = len(outputs)
        are_indices = self.name == "cross_entropy" and not targets.is_floating_point()
        if targets.dim() < outputs.dim() - are_indices:
            targets = targets.expand(jobs, *targets.shape)
        counts = None
        if training and self.weights is not None:
            targets, counts = torch.vmap(_weighing)(targets, self.weights.expand(jobs, -1))
        of = self._training_of if training else self._of
        values = of(outputs.flatten(0, 1), targets.flatten(0, 1), reduction="none").view(jobs, -1)
        if counts is not None:
            values = values * counts
        if mask is not None:
            of_samples = values.view(*mask.shape, -1)
            columns = of_samples.shape[2]
            totals = (of_samples.sum(2) * mask).sum(1)
            return totals / (mask.sum(1) * columns) if self.mean else totals
        return values.mean(1) if self.mean else values.sum(1)


class Own(Loss):
    """A loss of the user's own: a number for the outputs and targets of a batch, a mean over its samples or a sum.

    It gets outputs in the precision of the training, `dtype`, whatever evaluates: so its own tensors fit them.
    """

    def __init__(self, name: str, of: Callable[[Tensor, Tensor], Tensor], mean: bool, dtype: torch.dtype) -> None:
        super().__init__(name, of, mean)
        self.dtype = dtype
        self.function = self.training_function = self._value

    def _value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._of(outputs.to(self.dtype), targets)


def _weighing(targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The targets, and what each sample counts (N,), by its class.

    Of classes that are mixed, (N, classes), each counts by its own weight: the targets are then the shares in that.
    """
    if not targets.is_floating_point():
        return targets, weights[targets]
    counts = targets @ weights
    return targets * weights / counts.clamp(min=1e-12)[:, None], counts


def _half_squared_error(outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
    return 0.5 * F.mse_loss(outputs, targets, reduction=reduction)


def make(name: str, label_smoothing: float = 0.0, weights: Tensor | None = None) -> Loss:
    """`cross_entropy` (of logits and class indices or probabilities), `mse` or `half_sse` (half the summed squares).

    `weights` (classes,) are what the samples of each class count in training.
    """
    if name == "cross_entropy":
        return Loss(name, F.cross_entropy, True, label_smoothing, weights)
    if name == "mse":
        return Loss(name, F.mse_loss, mean=True)
    assert name == "half_sse", name
    return Loss(name, _half_squared_error, mean=False)


def stacked(each: Sequence[Loss]) -> Loss:
    """The loss of several models, for `of_each`: they differ at most in the weights of classes, as folds of data do."""
    found, weights = copy.copy(each[0]), [loss.weights for loss in each]
    found.weights = torch.stack([own for own in weights if own is not None]) if weights[0] is not None else None
    return found
