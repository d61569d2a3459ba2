"""Pillow's bilinear resizing as matrix products that an exported graph holds: the same pixels, to the bit, of images
of any size.

Pillow weighs the pixels below a triangle as wide as two output pixels, in whole numbers of 22 bits, first along one
side and then along the other, and rounds to 8 bits after each. Products and sums of such numbers are exact in double
precision, whatever their order.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trainer.data.image import Way

_ONE = 2.0**22  # a weight of 1, as Pillow writes it


class Resized(nn.Module):
    """Images (N, H, W, C) uint8 of any size as (N, C, size, size) floats of whole numbers, read as `way` says.

    From version 13 on Pillow takes the vertical side first where an image is tall; `tall_first` says so.
    """

    def __init__(self, way: Way, tall_first: bool) -> None:
        super().__init__()
        self.size, self.resize, self.tall_first = way.size, way.resize, tall_first

    def forward(self, pixels: Tensor) -> Tensor:
        rows = torch.arange(pixels.shape[1], dtype=torch.float64, device=pixels.device)
        columns = torch.arange(pixels.shape[2], dtype=torch.float64, device=pixels.device)
        height, width = rows[-1] + 1, columns[-1] + 1  # tensors, for a graph computes with others in single precision
        tall, wide = self._scaled(height, width)
        ready = (height == self.size) & (width == self.size) & (tall == self.size) & (wide == self.size)
        images = pixels.permute(0, 3, 1, 2)
        return _either(ready, self._as_they_are, self._fitted, images, rows, columns).float()

    def _as_they_are(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        places = torch.arange(self.size, device=images.device)  # chosen one by one: a graph does not know their number
        return images.index_select(2, places).index_select(3, places).double()

    def _fitted(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        height, width = rows[-1] + 1, columns[-1] + 1
        tall, wide = self._scaled(height, width)
        down, across = self._weights(rows, height, tall), self._weights(columns, width, wide)
        if not self.tall_first:
            return _across_first(images, down, across)
        turned = (height > tall) & (height - tall > 2 * (width - wide))
        return _either(turned, _down_first, _across_first, images, down, across)

    def _scaled(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """The height and width to which images are scaled; they are cropped to `size`."""
        if self.resize is None:
            size = torch.full_like(height, self.size)
            return size, size
        short = torch.minimum(height, width)
        return torch.floor(self.resize * height / short), torch.floor(self.resize * width / short)

    def _weights(self, pixels: Tensor, length: Tensor, scaled: Tensor) -> Tensor:
        """The weights (size, length) of the `pixels` (length,) of a side that is scaled to `scaled` and then cropped.

        Where the crop is larger than the image all weights are 0, which makes pixels black.
        """
        margin = scaled - self.size
        start = torch.where(margin >= 0, torch.round(margin / 2), -torch.floor(-margin / 2))  # half to even, as Python
        place = torch.arange(self.size, dtype=torch.float64, device=pixels.device)[:, None] + start
        scale = length / scaled
        reach = scale.clamp(min=1)
        shares = (1 - ((pixels - (place + 0.5) * scale + 0.5) * (1 / reach)).abs()).clamp(min=0)
        weights = torch.floor(shares / shares.sum(1, keepdim=True) * _ONE + 0.5)
        return torch.where((place >= 0) & (place < scaled), weights, 0.0)


def tall_images_first() -> bool:
    """Whether the Pillow that is installed resizes tall images vertically first."""
    image = np.random.default_rng(0).integers(0, 256, (33, 31), dtype=np.uint8)
    found = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    way = Way(32, channels=1)
    return bool((_pixels(way, image, True) == found).all()) and not (_pixels(way, image, False) == found).all()


def _pixels(way: Way, image: np.ndarray, tall_first: bool) -> np.ndarray:
    found: np.ndarray = Resized(way, tall_first)(torch.from_numpy(image)[None, :, :, None])[0, 0].numpy()
    return found


def _either(first: Tensor, one: Callable[..., Tensor], other: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """What `one` makes of the values if `first` is true, else `other`; outside of a graph torch would compile both."""
    if torch.compiler.is_exporting():
        return torch.cond(first, one, other, values)  # type: ignore[no-any-return]
    return (one if first else other)(*values)


def _across_first(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    # `across.T` would be an input of its own to torch 2.11, which then takes the graph for one that changes its inputs.
    return _rounded(down @ _rounded(nn.functional.linear(images.double(), across)))


def _down_first(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _rounded(nn.functional.linear(_rounded(down @ images.double()), across))


def _rounded(sums: Tensor) -> Tensor:
    """Weighted sums as pixels: whole numbers of 0 to 255, a half rounded up."""
    return torch.floor((sums + _ONE / 2) * (1 / _ONE)).clamp(0, 255)
