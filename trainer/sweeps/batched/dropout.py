"""Dropout of several models at once, each with its own rate and its own random numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

KINDS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Dropout(nn.Module):
    """Replaces the same dropout layer, one of `KINDS`, of several models.

    On a CPU each model draws from its own generator exactly what it would draw alone; on another device all models
    draw from the generator of the device. `counts` says, while there are some, how many samples each model has.
    """

    job: Tensor

    def __init__(
        self,
        kind: nn.Module,
        same: Sequence[nn.Module],
        generators: Sequence[torch.Generator],
        counts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.channels = not isinstance(kind, nn.Dropout)  # whether whole channels are dropped
        self.rates = [float(module.p) for module in same]  # type: ignore[arg-type]
        self.generators, self.counts = generators, counts
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}  # the rates: a CUDA graph can move none there
        self.register_buffer("job", torch.zeros((), dtype=torch.long), persistent=False)
        self.train(kind.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not any(self.rates):
            return x
        noise: Tensor = _Noise.apply(x.detach(), self.job, self._draw)
        return x * noise

    def of_all(self, x: Tensor) -> Tensor:
        """The same for activations (jobs, B, ...) of all models, outside of vmap."""
        return x * self._draw(x.detach()) if self.training and any(self.rates) else x

    def _draw(self, x: Tensor) -> Tensor:
        """The factors of activations `x` of shape (jobs, B, ...)."""
        shape = (*x.shape[:3], *(1 for _ in x.shape[3:])) if self.channels else x.shape
        if x.device.type != "cpu":
            where = x.device, x.dtype
            if where not in self._placed:
                self._placed[where] = torch.tensor(self.rates, dtype=x.dtype, device=x.device)
            rates = self._placed[where].view(-1, *(1 for _ in shape[1:]))
            kept = torch.rand(shape, dtype=x.dtype, device=x.device) >= rates
            return torch.where(kept, 1 / (1 - rates), 0)  # the product would be nan with a rate of 1
        # Numbers are drawn in the order of memory, which for images is the one that they have in a single model.
        form = torch.channels_last if len(shape) == 5 else torch.contiguous_format
        each = []
        counts = self.counts or [shape[1]] * shape[0]
        for rate, generator, count in zip(self.rates, self.generators, counts, strict=True):
            noise = torch.empty(shape[1:], dtype=x.dtype, memory_format=form)
            own = noise[:count]
            noise[count:] = 1
            if 0 < rate < 1:
                own.bernoulli_(1 - rate, generator=generator).div_(1 - rate)
            else:
                own.fill_(1 - rate)  # torch draws nothing either
            each.append(noise)
        return torch.stack(each)


class _Noise(torch.autograd.Function):
    """Calls `draw` outside of vmap, with the activations of all models."""

    @staticmethod
    def forward(x: Tensor, job: Tensor, draw: Any) -> Tensor:
        raise AssertionError("the numbers of the jobs are stacked, and so vmap is there")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, job: Tensor, draw: Any) -> tuple[Tensor, int]:
        stacked = x.expand(len(job), *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
        return draw(stacked), 0
