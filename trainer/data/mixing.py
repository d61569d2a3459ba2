"""mixup and CutMix: each sample of a batch with another one of it, and the targets in the same proportion.

As in torchvision, a sample is mixed with the one before it in the batch, whose order is random.
"""

import numpy as np
import torch
from torch import Tensor


class Mixer:
    """Mixes whole samples (mixup, Zhang et al., 2018) or puts rectangles of one image into another (CutMix, Yun et al.,
    2019), by shares from Beta(N, N) with N = `mixup` or `cutmix`. Where both are given, each batch gets one at random.

    Classes, of which there are `classes`, become a probability for each; values of a regression (`classes` is None) are
    mixed themselves. `shape` is (H, W) of images, or () of tables, for which there is no CutMix.
    """

    def __init__(
        self, mixup: float | None, cutmix: float | None, shape: tuple[int, ...], classes: int | None = None
    ) -> None:
        assert mixup or cutmix
        self.mixup, self.cutmix, self.shape, self.classes = mixup, cutmix, shape, classes

    def draw(self, batches: int, generator: torch.Generator) -> Tensor:
        """Draw (batches, 6) float32: whether it is CutMix, the share of a sample itself, and a rectangle.

        The rectangle is the first row and column and those behind the last.
        """
        drawing = np.random.Generator(np.random.PCG64(int(torch.randint(2**62, (), generator=generator))))
        cuts = drawing.random(batches) < 0.5 if self.mixup and self.cutmix else np.full(batches, bool(self.cutmix))
        alphas = np.where(cuts, self.cutmix or 1.0, self.mixup or 1.0)
        shares = drawing.beta(alphas, alphas)
        box = np.zeros((batches, 4))
        if self.cutmix:
            sides = np.array(self.shape)
            centre = drawing.integers(sides, size=(batches, 2))
            half = (0.5 * np.sqrt(1 - shares)[:, None] * sides).astype(int)
            box = np.concatenate([(centre - half).clip(0), (centre + half).clip(max=sides)], axis=1)
            outside = 1 - np.prod(box[:, 2:] - box[:, :2], axis=1) / np.prod(sides)
            shares = np.where(cuts, outside, shares)
        return torch.from_numpy(np.column_stack([cuts, shares, box]).astype(np.float32))

    def mix(self, inputs: Tensor, targets: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Mix inputs (B, H, W, C) or (B, F), and their targets, by a row of `draw`.

        With J rows it is a batch of J jobs, one after the other, each of which is mixed within itself.
        """
        if self.classes is not None:
            targets = (targets[:, None] == torch.arange(self.classes, device=targets.device)).to(inputs.dtype)
        share = drawn[:, 1].to(inputs.dtype)
        kept = share.view(-1, 1, *(1 for _ in inputs.shape[1:]))
        if self.cutmix:
            kept = torch.where((drawn[:, 0] > 0).view(kept.shape), self._outside(drawn).to(inputs.dtype), kept)
        return _mixed(inputs, kept), _mixed(targets, share.view(-1, 1, 1))

    def _outside(self, drawn: Tensor) -> Tensor:
        """(J, 1, H, W, 1): the pixels that are not in the rectangle."""
        y, x = (torch.arange(side, device=drawn.device) for side in self.shape)
        top, left, bottom, right = (numbers[:, None] for numbers in drawn[:, 2:].unbind(1))
        rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
        return ~(rows[:, :, None] & columns[:, None, :])[:, None, :, :, None]


def _mixed(values: Tensor, kept: Tensor) -> Tensor:
    """`values` (J * B, ...) times `kept` (J, 1, ...), and those of the sample before times what is left of 1."""
    each = values.view(len(kept), -1, *values.shape[1:])
    return (each * kept + each.roll(1, dims=1) * (1 - kept)).view(values.shape)
