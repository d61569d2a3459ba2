"""An order in which samples that are larger than memory can be read: random within windows of random stretches.

The file is cut into stretches of samples that lie one after the other. The stretches are permuted, so many of them as
fit into memory are a window, and the samples of a window are permuted: a shuffle of two levels. It is a pure function
of the generator and of how the samples lie, whoever reads them, and wherever they are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.splits import Split

STRETCHES = 256  # of a window: so many places of the file each batch is drawn from
FEWEST = 64  # of a small window, whose stretches are shorter
LEAST = 2**16  # bytes each: shorter reads are slow, even where no head has to move


@dataclass(frozen=True)
class Shuffle:
    """Windows of `window` samples, a multiple of the batch size, and stretches of `stretch` samples.

    `places` (N,) are the numbers of the split's samples in the order in which they lie in the file; None: 0, 1, 2, ...
    """

    total: int
    window: int
    stretch: int
    places: Tensor | None = None

    def order(self, generator: torch.Generator, drawn: Tensor | None = None) -> Tensor:
        """The numbers of the samples of an epoch: each once, or as often as it was `drawn` (N,)."""
        lying = self.places if drawn is None else self._as_they_lie(drawn)
        count = -(-self.total // self.stretch)
        stretches = torch.randperm(count, generator=generator)
        order = (stretches[:, None] * self.stretch + torch.arange(self.stretch)).flatten()
        order = order[order < self.total]
        if lying is not None:
            order = lying[order]
        for start in range(0, self.total, self.window):
            window = order[start : start + self.window]
            window[:] = window[torch.randperm(len(window), generator=generator)]
        return order

    def _as_they_lie(self, drawn: Tensor) -> Tensor:
        if self.places is None:
            return drawn.sort().values
        ranks = torch.empty_like(self.places)
        ranks[self.places] = torch.arange(self.total)
        return drawn[ranks[drawn].argsort(stable=True)]

    @property
    def share(self) -> float:
        """The share of the samples that a batch is drawn from."""
        return self.window / self.total

    @property
    def spread(self) -> int:
        """How many stretches of the file that share is made of."""
        return -(-self.window // self.stretch)


def in_windows(split: Split, nbytes: int, batch_size: int) -> Shuffle | None:
    """The shuffle of a split by windows of at most `nbytes`, and at least a batch; None: all samples are one window.

    All windows are about as large, so that the last batches of an epoch are drawn from as many samples as the first.
    """
    total = len(split)
    each = split.nbytes / total
    most = max(1, int(nbytes / each) // batch_size) * batch_size
    if most >= total:
        return None
    windows = -(-total // most)
    window = -(-total // (windows * batch_size)) * batch_size
    stretch = max(1, window // STRETCHES, min(round(LEAST / each), window // FEWEST))
    rows = split.rows
    lie_so = rows is None or bool((rows.diff() > 0).all())
    return Shuffle(total, window, stretch, None if rows is None or lie_so else rows.argsort(stable=True))
