"""TrivialAugment (Müller and Hutter, 2021): one operation for each image, of random strength, in its wide form.

The operations and their strengths are those of torchvision's TrivialAugmentWide, but that images are sheared about
their centre, interpolated bilinearly, and mirrored at the border.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainer.data import colours
from trainer.data.colours import Pixels
from trainer.data.warping import moved, turned, warp

MOST = 30  # the highest level of strength, which begins at 0
Change = Callable[[Pixels, Tensor], Tensor]


def apply(pixels: Pixels, operation: Tensor, level: Tensor, sign: Tensor, at_once: bool) -> None:
    """Change each image by the operation (B,) of that number, at a `level` (B,) up to `MOST`.

    The `sign` (B,), -1 or 1, says which way to move or turn, and whether a factor is below or above 1. With `at_once`
    all operations are computed for all images: so nothing waits for a device, and a CUDA graph can hold it. Otherwise
    each is computed for the images that have drawn it.
    """
    values, signed = pixels.values.clone(), level * sign
    for number, change in enumerate(OPERATIONS.values()):
        chosen = operation == number
        if at_once:
            values = torch.where(chosen[:, None, None, None], change(pixels, signed), values)
        elif chosen.any():
            values[chosen] = change(pixels.some(chosen), signed[chosen])
    pixels.values = values


def _factors(signed: Tensor) -> Tensor:
    return 1 + 0.99 * signed / MOST


def _sheared_x(pixels: Pixels, signed: Tensor) -> Tensor:
    shear, none = 0.99 * signed / MOST, torch.zeros_like(signed)
    return warp(pixels, moved(none, none, shear, none))


def _sheared_y(pixels: Pixels, signed: Tensor) -> Tensor:
    shear, none = 0.99 * signed / MOST, torch.zeros_like(signed)
    return warp(pixels, moved(none, none, none, shear))


def _steps(signed: Tensor) -> Tensor:
    """Up to 32 whole pixels."""
    return (32 * signed).div(MOST, rounding_mode="trunc").float()


def _moved_x(pixels: Pixels, signed: Tensor) -> Tensor:
    none = torch.zeros_like(signed)
    return warp(pixels, moved(_steps(signed), none, none, none))


def _moved_y(pixels: Pixels, signed: Tensor) -> Tensor:
    none = torch.zeros_like(signed)
    return warp(pixels, moved(none, _steps(signed), none, none))


def _turned(pixels: Pixels, signed: Tensor) -> Tensor:
    degrees = -135 * signed / MOST
    return warp(pixels, turned(degrees, torch.ones_like(degrees)))


def _posterised(pixels: Pixels, signed: Tensor) -> Tensor:
    """Keep the highest 8 to 2 bits of each value's eight."""
    levels = torch.exp2(8 - (signed.abs() * 6 / MOST).round())[:, None, None, None]
    scale = 256.0 if pixels.is_whole else 1.0
    return torch.minimum((pixels.values * (levels / scale)).floor(), levels - 1) * (scale / levels)


def _solarised(pixels: Pixels, signed: Tensor) -> Tensor:
    """Invert the values from a threshold on."""
    threshold = ((MOST - signed.abs()) * pixels.top / MOST)[:, None, None, None]
    return torch.where(pixels.values >= threshold, pixels.top - pixels.values, pixels.values)


def _stretched(pixels: Pixels, signed: Tensor) -> Tensor:
    """Stretch each channel to the whole range; one of a single value stays."""
    values = pixels.values
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    stretched = ((values - low) / ((high - low) / pixels.top)).clamp(0, pixels.top)
    found = torch.where(high > low, stretched, values)
    return found.floor() if pixels.is_whole else found


def _equalised(pixels: Pixels, signed: Tensor) -> Tensor:
    """Make the values of each channel about equally frequent, as Pillow and torchvision do for eight bits."""
    values = pixels.values if pixels.is_whole else (pixels.values.clamp(0, 1) * 255.999).floor()
    flat = values.flatten(2).flatten(0, 1).long()  # (B*C, H*W)
    first = torch.arange(len(flat), device=flat.device)[:, None] * 256
    counts = flat.new_zeros(len(flat) * 256)
    counts.scatter_add_(0, (flat + first).flatten(), torch.ones_like(flat).flatten())
    counts = counts.view(-1, 256)
    of_highest = counts.gather(1, flat.amax(1, keepdim=True))
    step = (flat.shape[1] - of_highest) // 255
    below = torch.cat([torch.zeros_like(first), counts.cumsum(1)[:, :-1]], dim=1)
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    equalised = torch.where(step > 0, table.gather(1, flat), flat).view_as(values).to(values.dtype)
    return equalised if pixels.is_whole else equalised / 255


OPERATIONS: dict[str, Change] = {
    "Identity": lambda pixels, signed: pixels.values,
    "ShearX": _sheared_x,
    "ShearY": _sheared_y,
    "TranslateX": _moved_x,
    "TranslateY": _moved_y,
    "Rotate": _turned,
    "Brightness": lambda pixels, signed: colours.brightness(pixels, _factors(signed)),
    "Color": lambda pixels, signed: colours.saturation(pixels, _factors(signed)),
    "Contrast": lambda pixels, signed: colours.contrast(pixels, _factors(signed)),
    "Sharpness": lambda pixels, signed: colours.sharpness(pixels, _factors(signed)),
    "Posterize": _posterised,
    "Solarize": _solarised,
    "AutoContrast": _stretched,
    "Equalize": _equalised,
}
