"""The eager training step."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from trainer.data.batches import Batch
from trainer.engine.losses import Loss
from trainer.engine.optimizers import lean


class EagerStep:
    """Forward, backward, clipping and the optimizer, as a tutorial writes them.

    Several batches make one step: their gradients add up to those of one large batch.
    """

    jobs: tuple[int, ...] = ()
    apart: Sequence[list[int]] = ()

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        clip_norm: float | None,
        autocast: Callable[[], AbstractContextManager[object]],
        on_nan: str = "stop",
    ) -> None:
        self.forward: Callable[[Tensor], Tensor] = model  # or what it was compiled to
        self.loss, self.optimizer = loss, optimizer
        self.clip_norm, self.autocast, self.on_nan = clip_norm, autocast, on_nan
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.buffers = list(model.buffers())
        self.device = self.parameters[0].device
        self._update = lean(optimizer)

    def __call__(self, batches: Sequence[Batch]) -> Tensor:
        loss = self.gradients(batches)
        self.update()
        return loss

    def gradients(self, batches: Sequence[Batch]) -> Tensor:
        """Leave the gradients of `batches` in the parameters, clipped; their loss."""
        for parameter in self.parameters:
            parameter.grad = None
        weighed = self.loss.mean and len(batches) > 1
        total = sum(len(targets) for _, targets in batches) if weighed else 0
        losses = []
        for inputs, targets in batches:
            with self.autocast():
                loss = self.loss.training_function(self.forward(inputs), targets)
            if weighed:
                loss = loss * (len(targets) / total)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def update(self) -> None:
        """Move the parameters along their gradients."""
        self._update()

    def learning_rate(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])


class SkippingStep(EagerStep):
    """Takes no step where the loss or a gradient is not finite, and then gives a loss of nan.

    What the forward pass has changed, such as the running means of batch normalisation, is put back. Looking at each
    step waits for the device.
    """

    def __call__(self, batches: Sequence[Batch]) -> Tensor:
        before = [(buffer, buffer.clone()) for buffer in self.buffers]
        loss = self.gradients(batches)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if bool((loss + norm).isfinite()):
            self.update()
            return loss
        for buffer, values in before:
            buffer.copy_(values)
        return torch.full_like(loss, torch.nan)
