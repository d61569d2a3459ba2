"""The gradients of all ranks, added up."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from trainer.engine.ranks.agreement import Agreement

# Parameters from which on torch's DistributedDataParallel is faster. Two ranks on two cores, MLPs, batch 64 in all; a
# step of it took so many times one with the buffer: 1.8 (25 thousand parameters), 1.1 (270 thousand), 1.15 (1.2
# million), 0.7 (5 million), 0.7 (13 million), in medians of seven turns while other programs had the cores, too.
LARGE = 2_000_000


class Reduction:
    """Adds up the gradients of `parameters`, the loss, and what the ranks say to one another, in one buffer at once.

    A small model's gradients take less time on their way than a message does, so that there is but one.
    """

    def __init__(self, agreement: Agreement, parameters: Sequence[Tensor]) -> None:
        self.agreement, self.ranks, self.parameters = agreement, agreement.ranks, parameters
        first = parameters[0]
        total, said = sum(each.numel() for each in parameters), len(agreement.said())
        self.flat = torch.zeros(total + 1 + said + len(parameters), dtype=first.dtype, device=first.device)
        *pieces, tail = self.flat.split_with_sizes([*(each.numel() for each in parameters), 1 + said + len(parameters)])
        self.views = [piece.as_strided(of.shape, _strides(of)) for piece, of in zip(pieces, parameters, strict=True)]
        self.whole = False  # whether each parameter had a gradient in the last step
        self.loss, self.said = tail[:1], tail[1 : 1 + said]
        self.rest, self.used = tail[1:], tail[1 + said :]

    def __call__(self, loss: Tensor) -> Tensor:
        """Put the sums over all ranks in the place of the gradients; the sum of the losses.

        A parameter without a gradient on any rank has none afterwards, either: an optimizer leaves it as it is.
        """
        gradients = [each.grad for each in self.parameters]
        there = [gradient is not None for gradient in gradients]
        self._gather(gradients)
        self.loss.copy_(loss)
        self.rest.copy_(torch.tensor([*self.agreement.said(), *map(float, there)]))
        self.ranks.sum(self.flat)
        self.agreement.heard(self.said)
        if not all(there):
            there = [times > 0 for times in self.used.tolist()]
        self.whole = all(there)
        for parameter, view, is_there in zip(self.parameters, self.views, there, strict=True):
            parameter.grad = view if is_there else None
        found: Tensor = self.loss[0]
        return found

    def within(self, last: bool) -> AbstractContextManager[None]:
        """What a batch is computed in: nothing is under way meanwhile."""
        return nullcontext()

    def _gather(self, gradients: Sequence[Tensor | None]) -> None:
        views = [view for view, gradient in zip(self.views, gradients, strict=True) if gradient is not None]
        if len(views) < len(gradients):
            self.flat.zero_()
        torch._foreach_copy_(views, [gradient for gradient in gradients if gradient is not None])


def _strides(of: Tensor) -> tuple[int, ...]:
    """Those of a dense tensor, which kernels of convolutions may have channels-last; of any other those in order."""
    last = sum((side - 1) * stride for side, stride in zip(of.shape, of.stride(), strict=True))
    return of.stride() if last + 1 == of.numel() else torch.empty(of.shape, device="meta").stride()
