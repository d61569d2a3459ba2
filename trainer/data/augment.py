"""Random changes to training images, per sample, on whole batches, on the device where the samples lie."""

import torch
from torch import Tensor

from trainer.config.data import Augment


class Augmenter:
    """Flips, shifts, crops and cutouts, drawn for a whole epoch at once: a pure function of the generator.

    It works on images (B, H, W, C) before normalisation, so that padding and holes are black.
    """

    def __init__(self, config: Augment, height: int, width: int) -> None:
        self.config = config
        self.height, self.width = height, width

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Draw (samples, 7) int64: mirrored or not, crop down and right, centre of the hole, shift down and right."""
        crop, shift = 2 * self.config.crop + 1, 2 * self.config.shift + 1
        high = (2, crop, crop, self.height, self.width, shift, shift)
        return torch.stack([torch.randint(h, (samples,), generator=generator) for h in high], dim=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Return changed copies of `images`, given the rows of `draw` that are theirs."""
        if self.config.flip:
            images = torch.where(drawn[:, 0].bool()[:, None, None, None], images.flip(2), images)
        if self.config.shift:
            images = self._shift(images, drawn[:, 5], drawn[:, 6])
        if self.config.crop:
            images = self._crop(images, drawn[:, 1], drawn[:, 2])
        if self.config.cutout:
            images = images.masked_fill(self._hole(drawn[:, 3], drawn[:, 4]), 0)
        return images

    def _crop(self, images: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Crop as torchvision's RandomCrop(size, padding=crop) does, with an offset for each sample."""
        crop = self.config.crop
        padded = torch.nn.functional.pad(images, (0, 0, crop, crop, crop, crop))
        return self._window(padded, *self._places(down, right))

    def _shift(self, images: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Move images by whole pixels and mirror the border in (as in Jordan's airbench, 2024)."""
        shift = self.config.shift
        rows, columns = self._places(down - shift, right - shift)
        return self._window(images, _mirrored(rows, self.height), _mirrored(columns, self.width))

    def _places(self, down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H) and (B, W): the row and the column that each pixel comes from."""
        rows = down[:, None] + torch.arange(self.height, device=down.device)
        return rows, right[:, None] + torch.arange(self.width, device=right.device)

    def _window(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        sample = torch.arange(len(images), device=images.device)
        return images[sample[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _hole(self, y: Tensor, x: Tensor) -> Tensor:
        """(B, H, W, 1): the square around (y, x), cut at the border (DeVries and Taylor, 2017)."""
        side = self.config.cutout
        rows = torch.arange(self.height, device=y.device) - (y[:, None] - side // 2)
        columns = torch.arange(self.width, device=x.device) - (x[:, None] - side // 2)
        inside_rows, inside_columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
        return (inside_rows[:, :, None] & inside_columns[:, None, :])[..., None]


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places outside 0..size-1 reflected into it, without repeating the border, for moves shorter than `size`."""
    inside = places.abs()
    return size - 1 - (size - 1 - inside).abs()
