"""Augmentation of whole batches against torchvision's functions, image by image."""

import pytest
import torch
from torch import Tensor

from trainer.config.data import Augment
from trainer.data.augment import Augmenter

HEIGHT, WIDTH = 8, 7


def one_by_one(images: Tensor, drawn: Tensor, config: Augment) -> Tensor:
    """(B, H, W, C) -> the same: flip, shift with a mirrored border, pad and crop, black out a square."""
    import torchvision.transforms.functional as tvf

    changed = []
    for image, (flip, down, right, y, x, *shift) in zip(images.permute(0, 3, 1, 2), drawn.tolist(), strict=True):
        if config.flip and flip:
            image = tvf.hflip(image)
        if config.shift:
            image = tvf.crop(tvf.pad(image, [config.shift], padding_mode="reflect"), *shift, HEIGHT, WIDTH)
        if config.crop:
            image = tvf.crop(tvf.pad(image, [config.crop]), down, right, HEIGHT, WIDTH)
        if config.cutout:
            image = image.clone()
            top, left = y - config.cutout // 2, x - config.cutout // 2
            image[:, max(0, top) : max(0, top + config.cutout), max(0, left) : max(0, left + config.cutout)] = 0
        changed.append(image)
    return torch.stack(changed).permute(0, 2, 3, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "config",
    [
        Augment(),
        Augment(flip=True),
        Augment(crop=1),
        Augment(crop=4),
        Augment(shift=1),
        Augment(shift=6),
        Augment(cutout=1),
        Augment(cutout=4),
        Augment(cutout=5),
        Augment(cutout=30),
        Augment(flip=True, shift=2, crop=2, cutout=3),
    ],
    ids=lambda c: f"flip{c.flip:d}-crop{c.crop}-shift{c.shift}-cutout{c.cutout}",
)
def test_a_batch_is_changed_as_image_by_image(config: Augment, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (64, HEIGHT, WIDTH, channels), dtype=torch.uint8, generator=generator)
    before = images.clone()
    augmenter = Augmenter(config, HEIGHT, WIDTH)
    drawn = augmenter.draw(len(images), generator)
    found = augmenter.apply(images, drawn)
    assert found.dtype == torch.uint8
    assert torch.equal(found, one_by_one(images, drawn, config))
    assert torch.equal(images, before)


def test_every_flip_offset_and_centre_is_drawn_about_equally_often() -> None:
    augmenter = Augmenter(Augment(flip=True, crop=3, cutout=2, shift=1), HEIGHT, WIDTH)
    drawn = augmenter.draw(20_000, torch.Generator().manual_seed(0))
    for column, options in zip(drawn.T, (2, 7, 7, HEIGHT, WIDTH, 3, 3), strict=True):
        counts = torch.bincount(column)
        assert len(counts) == options
        assert float(counts.min()) > 0.9 * 20_000 / options


def test_draws_are_a_function_of_the_generator() -> None:
    augmenter = Augmenter(Augment(flip=True, crop=3), HEIGHT, WIDTH)
    first, same, other = (augmenter.draw(50, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
