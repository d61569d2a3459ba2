"""Affine changes of images, each by a matrix of its own: turned, scaled, sheared or moved."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.data.colours import Pixels


def turned(degrees: Tensor, scale: Tensor) -> Tensor:
    """Matrices (B, 2, 3) as `warp` takes them: clockwise about the centre by `degrees` (B,), and scaled by `scale`."""
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = angle.cos() / scale, angle.sin() / scale, torch.zeros_like(scale)
    return _rows((cosine, sine, zero), (-sine, cosine, zero))


def moved(x: Tensor, y: Tensor, shear_x: Tensor, shear_y: Tensor) -> Tensor:
    """Matrices (B, 2, 3): by `x` pixels to the right and `y` down, sheared by the tangents `shear_x` and `shear_y`.

    Only one of the four is other than 0 for each image.
    """
    one = torch.ones(x.shape, device=x.device)
    return _rows((one, shear_x, -x), (shear_y, one, -y))


def warp(pixels: Pixels, matrices: Tensor) -> Tensor:
    """The values (B, C, H, W) of images that are warped, bilinearly, with the border mirrored in.

    A matrix (2, 3) leads from the pixel (x, y, 1) of the result to where its value is taken from, both from the centre
    of the image, as in torchvision's `affine`.
    """
    values, device = pixels.values, pixels.values.device
    height, width = values.shape[2:]
    x = torch.arange(width, device=device) - (width - 1) / 2
    y = torch.arange(height, device=device) - (height - 1) / 2
    ones = torch.ones(height, width, device=device)
    places = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width), ones], dim=2)
    across, down = matrices.unbind(1)
    matrices = torch.stack([across / (width / 2), down / (height / 2)], dim=2)  # (B, 3, 2), to places in -1..1
    grid = (places.view(-1, 3) @ matrices).view(-1, height, width, 2)
    warped = F.grid_sample(values, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return warped.round() if pixels.is_whole else warped


def _rows(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.stack(first, dim=1), torch.stack(second, dim=1)], dim=1).float()
