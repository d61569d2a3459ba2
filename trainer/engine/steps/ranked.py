"""The step that several ranks take together, each with its part of every batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainer.data.parts import Part
from trainer.engine.ranks import Ranks
from trainer.engine.ranks.agreement import Agreement
from trainer.engine.ranks.draws import Draws
from trainer.engine.ranks.normalising import Normalising, normalise_together
from trainer.engine.ranks.overlapping import Overlapping
from trainer.engine.ranks.reduction import LARGE, Reduction
from trainer.engine.steps.eager import EagerStep, SkippingStep


class Together:
    """What makes the model of one rank compute its part as if it had the whole batch.

    Random numbers are drawn for the whole batch, and batch normalisation goes by the statistics of the whole, unless
    it is not `synced`.
    """

    def __init__(self, model: nn.Module, ranks: Ranks, synced: bool) -> None:
        self.draws = Draws(model)
        self.normalising = Normalising(ranks)
        if synced:
            normalise_together(model, self.normalising)

    @contextmanager
    def computing(self, part: Part) -> Iterator[None]:
        """Within the block, the model is given the samples of `part`."""
        given, within = len(part.inputs), self.normalising
        within.given, within.whole, within.counts = given, part.whole, len(part.targets) > 0
        with self.draws.of(part.rows, given, part.whole):
            yield


class RankedStep(EagerStep):
    """The step of one process, whose gradients and loss are sums over all ranks.

    Each adds the gradients of its own samples, as their shares of the mean over the whole step where the loss is a
    mean. What becomes of the sums, clipping and the update, is then the same on every rank, to the bit.
    """

    def __init__(self, model: nn.Module, *args: Any, agreement: Agreement, synced: bool) -> None:
        super().__init__(model, *args)
        self.together = Together(model, agreement.ranks, synced)
        self.model, self.agreement = model, agreement
        self.large = sum(parameter.numel() for parameter in self.parameters) >= LARGE
        self.reduction: Reduction | Overlapping = Reduction(agreement, self.parameters)

    def gradients(self, batches: Sequence[Part]) -> Tensor:  # type: ignore[override]
        """Leave the gradients of all ranks' parts of `batches` in the parameters, clipped; their loss."""
        for parameter in self.parameters:
            parameter.grad = None
        total = sum(part.whole for part in batches)
        losses = []
        for number, part in enumerate(batches, 1):
            with self.reduction.within(last=number == len(batches)):
                with self.autocast(), self.together.computing(part):
                    own = self._loss(self.forward(part.inputs), part, total)
                own.backward()  # type: ignore[no-untyped-call]
            losses.append(own.detach())
        self.together.draws.rest()
        found = self.reduction(losses[0] if len(losses) == 1 else torch.stack(losses).sum())
        if self.large:
            self._overlap()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        return found

    def _overlap(self) -> None:
        """Add up the gradients while others are computed from the next step on, if each parameter has had one."""
        self.large = False
        if isinstance(self.reduction, Reduction) and self.reduction.whole:
            self.reduction = Overlapping(self.agreement, self.model)
            self.forward = self.reduction.forward

    def _loss(self, outputs: Tensor, part: Part, total: int) -> Tensor:
        """The share of the step's loss that the rank's own samples have."""
        own = len(part.targets)
        if not own:
            return outputs.sum() * 0
        loss: Tensor = self.loss.training_function(outputs, part.targets)
        return loss * (own / total) if self.loss.mean else loss


class RankedSkippingStep(SkippingStep, RankedStep):
    """The same where a step whose loss or gradient is not finite is not taken: all ranks find that of the same sums."""
