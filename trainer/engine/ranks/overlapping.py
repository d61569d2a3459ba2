"""Gradients of a large model, which are added up over the ranks while the rest of them is still being computed."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.engine.ranks.agreement import Agreement
from trainer.system.errors import LostRankError, first_line


class Overlapping:
    """torch's DistributedDataParallel, whose sums are not divided by the number of ranks: shares are shares already.

    Every parameter of `model` has to get a gradient in each step. Call `forward` in its place; the gradients of several
    batches are added up on each rank until the last of them.
    """

    def __init__(self, agreement: Agreement, model: nn.Module) -> None:
        self.agreement = agreement
        with warnings.catch_warnings():
            # torch 2.14 has another name for it, which older ones do not know, and no other way to leave buffers alone.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            self.forward: Any = DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)
        self.forward.register_comm_hook(None, _sum)
        first = next(model.parameters())
        self.tail = torch.zeros(1 + len(agreement.said()), dtype=first.dtype, device=first.device)

    def within(self, last: bool) -> AbstractContextManager[None]:
        """What a batch is computed in; `last` is that of the step."""
        return _lost_if_failed() if last else self.forward.no_sync()

    def __call__(self, loss: Tensor) -> Tensor:
        """The sum of the losses of all ranks, once the gradients are there."""
        self.tail[0] = loss
        self.tail[1:].copy_(torch.tensor(self.agreement.said()))
        self.agreement.ranks.sum(self.tail)
        self.agreement.heard(self.tail[1:])
        return self.tail[0]


def _sum(state: None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
    work: Any = dist.all_reduce(bucket.buffer(), async_op=True)
    found: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return found


@contextmanager
def _lost_if_failed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise LostRankError(first_line(error)) from error
        raise
