"""The eager training step."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from trainer.loop import Batch
from trainer.losses import Loss


class EagerStep:
    """Forward, backward, clipping and the optimizer, as a tutorial writes them.

    Several batches make one step: their gradients add up to those of one large batch.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        clip_norm: float | None,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.clip_norm, self.autocast = clip_norm, autocast
        self.parameters = [p for p in model.parameters() if p.requires_grad]

    def __call__(self, batches: Sequence[Batch]) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        total = sum(len(targets) for _, targets in batches)
        losses = []
        for inputs, targets in batches:
            with self.autocast():
                loss = self.loss.training_function(self.model(inputs), targets)
            if self.loss.mean and len(batches) > 1:
                loss = loss * (len(targets) / total)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()
