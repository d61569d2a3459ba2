"""Random changes to training images, per sample, on whole batches, wherever the data lie."""

import torch
from torch import Tensor

from trainer import schema


class Augmenter:
    """Flip, shift and cut out, drawn for a whole epoch at once: a pure function of the generator.

    Works on images (B, H, W, C) before normalisation, so that padding and holes are black.
    """

    def __init__(self, config: schema.Augment, height: int, width: int) -> None:
        self.config = config
        self.height, self.width = height, width

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """(samples, 5) int64: mirrored or not, shift down and right, centre of the hole."""
        high = (2, 2 * self.config.crop + 1, 2 * self.config.crop + 1, self.height, self.width)
        return torch.stack([torch.randint(h, (samples,), generator=generator) for h in high], dim=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The changed copies of `images`, given the rows of `draw` that are theirs."""
        if self.config.flip:
            images = torch.where(drawn[:, 0].bool()[:, None, None, None], images.flip(2), images)
        if self.config.crop:
            images = self._crop(images, drawn[:, 1], drawn[:, 2])
        if self.config.cutout:
            images = images.masked_fill(self._hole(drawn[:, 3], drawn[:, 4]), 0)
        return images

    def _crop(self, images: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """As torchvision's RandomCrop(size, padding=crop), with an offset for each sample."""
        crop = self.config.crop
        padded = torch.nn.functional.pad(images, (0, 0, crop, crop, crop, crop))
        rows = down[:, None] + torch.arange(self.height, device=images.device)
        columns = right[:, None] + torch.arange(self.width, device=images.device)
        sample = torch.arange(len(images), device=images.device)
        return padded[sample[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _hole(self, y: Tensor, x: Tensor) -> Tensor:
        """(B, H, W, 1): the square around (y, x), cut at the border (DeVries and Taylor, 2017)."""
        side = self.config.cutout
        rows = torch.arange(self.height, device=y.device) - (y[:, None] - side // 2)
        columns = torch.arange(self.width, device=x.device) - (x[:, None] - side // 2)
        inside_rows, inside_columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
        return (inside_rows[:, :, None] & inside_columns[:, None, :])[..., None]
