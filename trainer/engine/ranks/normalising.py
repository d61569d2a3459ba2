"""Batch normalisation over the samples of all ranks: the statistics of the whole batch, as one process has them.

torch's own, SyncBatchNorm, takes tensors of GPUs only, and adds up squares, in which small variances are lost.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trainer.engine.ranks import Ranks
from trainer.models.library import BATCH_NORMS


class Normalising(TorchFunctionMode):
    """Within it, `F.batch_norm` normalises by the batch of all `ranks`, if it would by the batch.

    So every layer that calls it does, in whatever class it lies, and no layer changes its name. Say before each pass
    that the model has `given` samples, and how many the batch has on all ranks; `counts` is whether those that are
    given are of the batch.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks
        self.given, self.whole, self.counts = 1, 1, True

    def __deepcopy__(self, memo: Any) -> "Normalising":
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return (self._normalised if func is F.batch_norm else func)(*args, **kwargs)

    def _normalised(
        self,
        inputs: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """As `F.batch_norm`."""
        if not training:
            return F.batch_norm(inputs, running_mean, running_var, weight, bias, training, momentum, eps)
        mean, var = self._statistics(inputs.detach())
        count = inputs.numel() // inputs.shape[1] * self.whole // self.given
        if count < 2:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {inputs.size()}")
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), momentum)
        found: Tensor = _Normalised.apply(inputs, weight, bias, mean, (var + eps).rsqrt(), count, self.ranks)
        return found

    def _statistics(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel (C,) over all ranks.

        Those of the ranks are put together as by Chan, Golub and LeVeque (1983), which loses no digits.
        """
        over = [dim for dim in range(inputs.dim()) if dim != 1]
        wide = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
        var, mean = torch.var_mean(wide, over, correction=0)
        own = inputs.numel() // inputs.shape[1] if self.counts else 0
        message = torch.cat([mean.new_full((1,), own), mean, var])
        counts, means, variances = self.ranks.gathered(message).split_with_sizes([1, len(mean), len(mean)], 1)
        shares = counts / counts.sum()
        mean = (shares * means).sum(0)
        var = (shares * (variances + (means - mean).square())).sum(0)
        return mean, var


class _Normalised(torch.autograd.Function):
    """(x - mean) * inverse * weight + bias, whose gradient goes through mean and inverse of all ranks, too."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        inverse: Tensor,
        count: int,
        ranks: Ranks,
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight, mean, inverse)
        ctx.count, ctx.ranks = count, ranks
        scale = inverse if weight is None else inverse * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        return (inputs * _of_channels(scale, inputs) + _of_channels(shift, inputs)).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        inputs, weight, mean, inverse = ctx.saved_tensors
        over = [dim for dim in range(inputs.dim()) if dim != 1]
        normalised = (inputs - _of_channels(mean, inputs)) * _of_channels(inverse, inputs)
        wide = gradient.to(mean.dtype)
        sums = torch.stack([wide.sum(over), (wide * normalised).sum(over)])
        to_bias, to_weight = sums.clone()
        ctx.ranks.sum(sums)
        of_mean, of_var = (_of_channels(each / ctx.count, inputs) for each in sums)
        scale = inverse if weight is None else inverse * weight
        to_inputs = (gradient - of_mean - normalised * of_var) * _of_channels(scale, inputs)
        wanted = ctx.needs_input_grad
        return (
            to_inputs.to(inputs.dtype) if wanted[0] else None,
            to_weight.to(weight.dtype) if weight is not None and wanted[1] else None,
            to_bias.to(mean.dtype) if wanted[2] else None,
            *[None] * 4,
        )


def _of_channels(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *(1 for _ in like.shape[2:]))


def normalise_together(model: nn.Module, within: Normalising) -> bool:
    """Let the layers of batch normalisation of `model` run `within` it; whether there are any."""
    layers: list[Any] = [module for module in model.modules() if isinstance(module, BATCH_NORMS)]
    for layer in layers:
        plain = partial(nn.BatchNorm1d.forward, layer) if type(layer) is nn.SyncBatchNorm else layer.forward
        layer.forward = partial(_forward, layer, plain, within)
    return bool(layers)


def _forward(layer: nn.Module, plain: Callable[[Tensor], Tensor], within: Normalising, inputs: Tensor) -> Tensor:
    if not layer.training:
        return plain(inputs)
    with within:
        return plain(inputs)
