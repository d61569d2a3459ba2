"""Random changes to training images, per sample, on whole batches, on the device where the samples lie."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from trainer.config.data import Augment
from trainer.data import colours, trivial
from trainer.data.colours import Pixels
from trainer.data.warping import turned, warp

FINE = 2**24  # steps in which a number between 0 and 1 is drawn: single precision holds each
AREA, FORM = (0.02, 0.33), (0.3, 3.3)  # of a rectangle that is erased: share of the image, height by width


@dataclass(frozen=True)
class Changes:
    """What is done to images; the keys of `Augment` say what each means."""

    flip: bool = False
    crop: int = 0
    shift: int = 0
    cutout: int = 0
    rotate: float = 0.0
    zoom: float = 0.0
    jitter: float = 0.0
    trivial: bool = False
    erase: float = 0.0


def resolved(given: Augment, side: int) -> Changes:
    """The changes to images of this `side` that a preset, and the keys beside it, stand for."""
    light = Changes(flip=True, shift=max(1, round(side / 16)))
    presets = {
        "none": Changes(),
        "light": light,
        "standard": replace(light, rotate=10.0, zoom=0.1, jitter=0.2),
        "strong": replace(light, trivial=True, erase=0.25),
    }
    return replace(presets.get(given.preset, Changes()), **named(given))  # of the user's own nothing is known


def named(given: Augment) -> dict[str, Any]:
    """The changes to images that have a value of their own beside the preset."""
    return {field.name: value for field in fields(Changes) if (value := getattr(given, field.name)) is not None}


class Augmenter:
    """Changes images as `config` says, by numbers that are drawn for a whole epoch at once.

    What is drawn is a pure function of the generator. Images are (B, H, W, C) and not yet normalised, so that padding
    and holes are black; those of floats are taken to lie in 0..1 where colours are changed.
    """

    def __init__(self, config: Augment, height: int, width: int) -> None:
        self.changes = changes = resolved(config, min(height, width))
        self.height, self.width = height, width
        crop, shift = 2 * changes.crop + 1, 2 * changes.shift + 1
        # What is drawn for each sample, and the number it is below. The first seven are always drawn, in this order.
        self.drawn = {"flip": 2, "crop_y": crop, "crop_x": crop, "hole_y": height, "hole_x": width}
        self.drawn |= {"shift_y": shift, "shift_x": shift}
        if changes.rotate or changes.zoom:
            self.drawn |= dict.fromkeys(("angle", "scale"), FINE)
        if changes.trivial:
            self.drawn |= {"operation": len(trivial.OPERATIONS), "level": trivial.MOST + 1, "sign": 2}
        if changes.jitter:
            self.drawn |= dict.fromkeys(("brightness", "contrast", "saturation"), FINE)
        if changes.erase:
            self.drawn |= dict.fromkeys(("erased", "area", "form", "erased_y", "erased_x"), FINE)

    @property
    def changes_images(self) -> bool:
        """Whether there is anything to do."""
        return any(vars(self.changes).values())

    @property
    def changes_batches(self) -> bool:
        """Whether what becomes of an image depends on the others of its batch."""
        return False

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Draw (samples, K) int64: a column for each entry of `drawn`."""
        return torch.stack([torch.randint(h, (samples,), generator=generator) for h in self.drawn.values()], dim=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Return changed copies of `images`, given the rows of `draw` that are theirs."""
        changes, of = self.changes, dict(zip(self.drawn, drawn.unbind(1), strict=True))
        if changes.flip:
            images = torch.where(of["flip"].bool()[:, None, None, None], images.flip(2), images)
        if changes.shift:
            images = self._shift(images, of["shift_y"], of["shift_x"])
        if changes.crop:
            images = self._crop(images, of["crop_y"], of["crop_x"])
        if changes.rotate or changes.zoom or changes.trivial or changes.jitter:
            images = self._change_values(images, of)
        if changes.cutout:
            side = torch.full_like(of["hole_y"], changes.cutout)
            images = images.masked_fill(self._hole(of["hole_y"] - side // 2, of["hole_x"] - side // 2, side, side), 0)
        if changes.erase:
            images = images.masked_fill(self._erased(of, changes.erase), 0)
        return images

    def _crop(self, images: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Crop as torchvision's RandomCrop(size, padding=crop) does, with an offset for each sample."""
        crop = self.changes.crop
        padded = torch.nn.functional.pad(images, (0, 0, crop, crop, crop, crop))
        return self._window(padded, *self._places(down, right))

    def _shift(self, images: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Move images by whole pixels and mirror the border in (as in Jordan's airbench, 2024)."""
        shift = self.changes.shift
        rows, columns = self._places(down - shift, right - shift)
        return self._window(images, _mirrored(rows, self.height), _mirrored(columns, self.width))

    def _places(self, down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H) and (B, W): the row and the column that each pixel comes from."""
        rows = down[:, None] + torch.arange(self.height, device=down.device)
        return rows, right[:, None] + torch.arange(self.width, device=right.device)

    def _window(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        sample = torch.arange(len(images), device=images.device)
        return images[sample[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _change_values(self, images: Tensor, of: dict[str, Tensor]) -> Tensor:
        """Turn and zoom, one operation of TrivialAugment, and jitter, in single precision."""
        changes, pixels = self.changes, Pixels(images)
        if changes.rotate or changes.zoom:
            scale = _between(of["scale"], 1 - changes.zoom, 1 + changes.zoom)
            pixels.values = warp(pixels, turned(_between(of["angle"], -changes.rotate, changes.rotate), scale))
        if changes.trivial:
            at_once = images.device.type != "cpu"
            trivial.apply(pixels, of["operation"], of["level"], 2 * of["sign"] - 1, at_once)
        if changes.jitter:
            for name, change in colours.JITTER.items():
                pixels.values = change(pixels, _between(of[name], 1 - changes.jitter, 1 + changes.jitter))
        return pixels.images()

    def _hole(self, y: Tensor, x: Tensor, high: Tensor, wide: Tensor) -> Tensor:
        """(B, H, W, 1): the rectangle whose first pixel is (y, x), cut at the border."""
        rows = torch.arange(self.height, device=y.device) - y[:, None]
        columns = torch.arange(self.width, device=x.device) - x[:, None]
        inside_rows, inside_columns = (rows >= 0) & (rows < high[:, None]), (columns >= 0) & (columns < wide[:, None])
        return (inside_rows[:, :, None] & inside_columns[:, None, :])[..., None]

    def _erased(self, of: dict[str, Tensor], probability: float) -> Tensor:
        """(B, H, W, 1): a random rectangle in a share of the images (random erasing, Zhong et al., 2020)."""
        area = _between(of["area"], *AREA) * self.height * self.width
        form = _between(of["form"], *map(math.log, FORM)).exp()
        high = (area * form).sqrt().round().clamp(max=self.height)
        wide = (area / form).sqrt().round().clamp(max=self.width)
        y = _between(of["erased_y"], 0, self.height - high + 1).floor()
        x = _between(of["erased_x"], 0, self.width - wide + 1).floor()
        return self._hole(y, x, high, wide) & (_between(of["erased"], 0, 1) < probability)[:, None, None, None]


def _between(drawn: Tensor, low: float, high: float | Tensor) -> Tensor:
    """Numbers below `FINE` as ones from `low` to `high`."""
    return low + drawn / FINE * (high - low)


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places outside 0..size-1 reflected into it, without repeating the border, for moves shorter than `size`."""
    inside = places.abs()
    return size - 1 - (size - 1 - inside).abs()
