"""Changes of brightness, contrast, saturation and sharpness, each image by a factor of its own.

The formulas are those of torchvision's functions of these names.
"""

from collections.abc import Callable
from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor


class Pixels:
    """Images (B, H, W, C) as floats (B, C, H, W), `values` from 0 to `top`, which are whole numbers for `uint8`."""

    def __init__(self, images: Tensor) -> None:
        self.dtype = images.dtype
        self.is_whole = images.dtype == torch.uint8
        self.top = 255.0 if self.is_whole else 1.0
        self.values = images.permute(0, 3, 1, 2).float().contiguous()  # in which warping is twice as fast

    def some(self, chosen: Tensor) -> "Pixels":
        """Those of the images that are `chosen`, by a mask (B,)."""
        other = copy(self)
        other.values = self.values[chosen]
        return other

    def images(self) -> Tensor:
        """The images (B, H, W, C), of the type that they had."""
        return self.values.permute(0, 2, 3, 1).to(self.dtype).contiguous()

    def grey(self) -> Tensor:
        """(B, 1, H, W): the luma of colours, or the mean of other channels than three."""
        if self.values.shape[1] != 3:
            return self.values.mean(1, keepdim=True)
        red, green, blue = self.values.unbind(1)
        grey = (red * 0.2989 + green * 0.587 + blue * 0.114)[:, None]
        return grey.floor() if self.is_whole else grey

    def blended(self, other: Tensor | None, factors: Tensor) -> Tensor:
        """The values times `factors` (B,), and the `other` (None: black) times what is left of 1, within the range."""
        factors = factors[:, None, None, None]
        mixed = self.values * factors
        if other is not None:
            mixed += other * (1 - factors)
        mixed.clamp_(0, self.top)
        return mixed.floor_() if self.is_whole else mixed


def brightness(pixels: Pixels, factors: Tensor) -> Tensor:
    return pixels.blended(None, factors)


def contrast(pixels: Pixels, factors: Tensor) -> Tensor:
    return pixels.blended(pixels.grey().mean((1, 2, 3), keepdim=True), factors)


def saturation(pixels: Pixels, factors: Tensor) -> Tensor:
    if pixels.values.shape[1] != 3:
        return pixels.values
    return pixels.blended(pixels.grey(), factors)


def sharpness(pixels: Pixels, factors: Tensor) -> Tensor:
    """Blend with the images blurred by a 3x3 kernel; the border, where it does not fit, stays."""
    values = pixels.values
    channels, height, width = values.shape[1:]
    if height <= 2 or width <= 2:
        return values
    kernel = torch.full((channels, 1, 3, 3), 1 / 13, device=values.device)
    kernel[:, :, 1, 1] = 5 / 13
    blurred = values.clone()
    inner = F.conv2d(values, kernel, groups=channels)
    blurred[:, :, 1:-1, 1:-1] = inner.round() if pixels.is_whole else inner
    return pixels.blended(blurred, factors)


JITTER: dict[str, Callable[[Pixels, Tensor], Tensor]] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
}
