"""One step of several models: gather, forward, backward, clip, update."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.engine.device import Compute
from trainer.engine.losses import Loss
from trainer.sweeps.batched.batches import Padding, StackedBatch
from trainer.sweeps.batched.optimizer import StackedOptimizer
from trainer.sweeps.batched.stack import Stack


class StackedStep:
    """Like `EagerStep`, for all jobs of `stack`: losses are (jobs,), and no job affects another."""

    on_nan = "ignore"  # each member of the team checks its own losses

    def __init__(
        self,
        stack: Stack,
        loss: Loss,
        stacked: StackedOptimizer,
        shared: bool,
        clip_norms: Sequence[float | None],
        compute: Compute,
        apart: Sequence[list[int]] = (),
    ) -> None:
        self.stack, self.loss, self.stacked, self.compute = stack, loss, stacked, compute
        self.shared, self.apart = shared, apart
        self.device = stack.device
        self.jobs: tuple[int, ...] = (stack.jobs,)
        self.optimizer = stacked.optimizer
        self.parameters = stacked.parameters
        self.limits: Tensor | None = None
        if any(norm is not None for norm in clip_norms):
            limits = [torch.inf if norm is None else norm for norm in clip_norms]
            self.limits = torch.tensor(limits, dtype=self.parameters[0].dtype, device=stack.device)

    def __call__(self, batches: Sequence[StackedBatch]) -> Tensor:
        losses = self.gradients(batches)
        self.update()
        return losses

    def gradients(self, batches: Sequence[StackedBatch]) -> Tensor:
        """Leave the gradients of `batches` in the stacked parameters, clipped, and return the losses."""
        for parameter in self.parameters:
            parameter.grad = None
        counts = [self._counts(targets, padding) for _, targets, padding in batches]
        losses = []
        for (inputs, targets, padding), count in zip(batches, counts, strict=True):
            with self.compute.autocast():
                outputs = self.stack(inputs, self.shared, padding.counts if padding is not None else ())
                mask = padding.mask if padding is not None else None
                loss = self.loss.of_each(outputs, targets, training=True, mask=mask)
            if self.loss.mean and len(batches) > 1:
                loss = loss * (count / sum(counts))
            loss.sum().backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        if self.limits is not None:
            self._clip(self.limits)
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum(0)

    def _counts(self, targets: Tensor, padding: Padding | None) -> Any:
        """How many samples the batch has: one number for all jobs, or a tensor (jobs,)."""
        return padding.mask.sum(1) if padding is not None else targets.shape[0 if self.shared else 1]

    def update(self) -> None:
        """Move the parameters along their gradients."""
        self.stacked.update()

    def learning_rate(self) -> list[float]:
        """The learning rate of each job."""
        return [float(optimizer.param_groups[0]["lr"]) for optimizer in self.stacked.own]

    def _clip(self, limits: Tensor) -> None:
        """Clip like `torch.nn.utils.clip_grad_norm_`, with a norm and a limit for each job."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack([gradient.reshape(len(gradient), -1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (limits / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *(1 for _ in gradient.shape[1:])))
