"""Augmentation of whole batches against torchvision's functions, image by image."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from conftest import Trainer
from running import SILENT, same, train, weights
from torch import Tensor

from trainer.config.data import Augment
from trainer.data import colours, trivial
from trainer.data.augment import AREA, Augmenter, Changes, resolved
from trainer.data.colours import Pixels
from trainer.data.warping import turned, warp

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
    ids=lambda c: f"flip{bool(c.flip):d}-crop{c.crop or 0}-shift{c.shift or 0}-cutout{c.cutout or 0}",
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


# --- presets ---


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (Augment(), Changes()),
        (Augment("light"), Changes(flip=True, shift=2)),
        (Augment("standard"), Changes(flip=True, shift=2, rotate=10, zoom=0.1, jitter=0.2)),
        (Augment("strong"), Changes(flip=True, shift=2, trivial=True, erase=0.25)),
        (Augment("standard", flip=False, rotate=0, cutout=4), Changes(shift=2, zoom=0.1, jitter=0.2, cutout=4)),
    ],
)
def test_a_preset_stands_for_changes_and_a_key_beside_it_goes_before_it(given: Augment, meant: Changes) -> None:
    assert resolved(given, 32) == meant


def test_a_preset_shifts_by_a_sixteenth_of_the_side() -> None:
    assert [resolved(Augment("light"), side).shift for side in (8, 28, 112, 224)] == [1, 2, 7, 14]


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
def test_what_a_preset_draws_beside_the_earlier_keys_leaves_their_numbers_as_they_were(preset: str) -> None:
    """Trainings of before are equal to the bit."""
    plain, more = Augmenter(Augment(flip=True, shift=1), HEIGHT, WIDTH), Augmenter(Augment(preset), HEIGHT, WIDTH)
    one, other = (each.draw(50, torch.Generator().manual_seed(3)) for each in (plain, more))
    assert torch.equal(one, other[:, :7])


def test_on_the_command_line_a_preset_is_given_by_the_name_of_its_section(trainer: Trainer) -> None:
    asked = (*SILENT, "data.limit=64", "data.size=12", "model=linear", "epochs=1")
    short = train(trainer, *asked, "data.augment=standard", "data.augment.flip=false", "output=short")
    full = train(trainer, *asked, "data.augment.flip=false", "data.augment.preset=standard", "output=full")
    assert same(weights(short), weights(full))
    assert not same(weights(short), weights(train(trainer, *asked, "output=none")))
    assert "data.augment.preset=standard" in (short / "overrides.yaml").read_text()


def test_presets_can_be_compared_in_a_sweep(trainer: Trainer) -> None:
    asked = (*SILENT, "data.limit=64", "data.size=12", "model=linear", "epochs=1")
    ran = trainer("train", "-m", *asked, "data.augment=none,light,strong", "sweep.dry_run=true")
    assert ran.code == 0, ran.err
    assert "data.augment.preset=strong" in ran.out


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("data.augment=storng",), "did you mean 'strong'"),
        (("data=diabetes", "model=linear", "data.augment=light"), "data.augment is for images"),
        (("data=diabetes", "model=linear", "data.augment.rotate=5"), "data.augment is for images"),
        (("data=diabetes", "model=linear", "data.augment.cutmix=1"), "data.augment is for images"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(trainer: Trainer, keys: tuple[str, ...], said: str) -> None:
    ran = trainer("train", *SILENT, *keys)
    assert ran.code == 2
    assert said in ran.err


# --- turned, coloured, erased ---


def pictures(count: int, channels: int, whole: bool, height: int = 13, width: int = 11) -> Tensor:
    """(count, H, W, C): not noise only, so that interpolating it gives more than a mean."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    noise = torch.rand(fine.shape, generator=generator)
    images = (0.8 * fine + 0.2 * noise).permute(0, 2, 3, 1).contiguous()
    return (images * 255).to(torch.uint8) if whole else images


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Within one of 255 levels, for sums in another order round otherwise; floats within 1e-5."""
    tolerance = 1 if found.dtype == torch.uint8 else 1e-5
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=tolerance)


def affine(image: Tensor, **changes: object) -> Tensor:
    """torchvision's `affine` of an image (C, H, W) whose border is mirrored in, instead of filled."""
    from torchvision.transforms.v2 import functional as F

    asked = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **changes}
    margin = 60
    wide = np.pad(image.numpy(), ((0, 0), (margin, margin), (margin, margin)), mode="symmetric")
    moved = F.affine(torch.from_numpy(wide), interpolation=F.InterpolationMode.BILINEAR, **asked)
    return F.center_crop(moved, list(image.shape[1:]))


kinds = pytest.mark.parametrize(("channels", "whole"), [(1, True), (3, True), (1, False), (3, False)])


@kinds
def test_images_are_turned_and_zoomed_each_by_its_own_numbers(channels: int, whole: bool) -> None:
    images = pictures(20, channels, whole)
    angles, scales = torch.linspace(-170, 170, 20), torch.linspace(0.6, 1.7, 20)
    pixels = Pixels(images)
    pixels.values = warp(pixels, turned(angles, scales))
    for image, found, angle, scale in zip(images, pixels.images(), angles, scales, strict=True):
        expected = affine(image.permute(2, 0, 1), angle=float(angle), scale=float(scale))
        assert_close(found.permute(2, 0, 1), expected)


@kinds
def test_images_are_jittered_each_by_its_own_factors(channels: int, whole: bool) -> None:
    from torchvision.transforms.v2 import functional as F

    images, factors = pictures(15, channels, whole), torch.linspace(0.2, 1.8, 15)
    functions = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation}
    for name, change in colours.JITTER.items():
        pixels = Pixels(images)
        pixels.values = change(pixels, factors)
        for image, found, factor in zip(images, pixels.images(), factors.tolist(), strict=True):
            assert_close(found.permute(2, 0, 1), functions[name](image.permute(2, 0, 1), factor))


def operated(name: str, image: Tensor, level: int, sign: int) -> Tensor:
    """torchvision's TrivialAugmentWide, of one image (C, H, W), by the functions that it calls."""
    from torchvision.transforms.v2 import functional as F

    top = 255.0 if image.dtype == torch.uint8 else 1.0
    signed = level * sign / 30
    factor = float(1 + 0.99 * torch.tensor(level * sign) / 30)
    shear, steps = math.degrees(math.atan(0.99 * signed)), int(32 * level / 30) * sign
    known: dict[str, Callable[[], Tensor]] = {
        "Identity": lambda: image,
        "ShearX": lambda: affine(image, shear=[shear, 0.0]),
        "ShearY": lambda: affine(image, shear=[0.0, shear]),
        "TranslateX": lambda: affine(image, translate=[steps, 0]),
        "TranslateY": lambda: affine(image, translate=[0, steps]),
        "Rotate": lambda: affine(image, angle=-135 * signed),
        "Brightness": lambda: F.adjust_brightness(image, factor),
        "Color": lambda: F.adjust_saturation(image, factor),
        "Contrast": lambda: F.adjust_contrast(image, factor),
        "Sharpness": lambda: F.adjust_sharpness(image, factor),
        "Posterize": lambda: F.posterize(image, 8 - round(level / 5)),
        "Solarize": lambda: F.solarize(image, (30 - level) * top / 30),
        "AutoContrast": lambda: F.autocontrast(image),
        "Equalize": lambda: F.equalize(image),
    }
    return known[name]()


def test_the_operations_are_those_of_torchvision() -> None:
    from torchvision.transforms.v2 import TrivialAugmentWide

    assert [*trivial.OPERATIONS] == [*TrivialAugmentWide._AUGMENTATION_SPACE]
    assert TrivialAugmentWide().num_magnitude_bins == trivial.MOST + 1


@pytest.mark.parametrize("at_once", [True, False])
@kinds
def test_each_image_gets_its_operation_as_torchvision_does_it(channels: int, whole: bool, at_once: bool) -> None:
    levels = [(level, sign) for level in (0, 1, 7, 15, 16, 23, 30) for sign in (-1, 1)]
    drawn = [(number, *pair) for pair in levels for number in range(len(trivial.OPERATIONS))]
    images = pictures(len(drawn), channels, whole)
    before, pixels = images.clone(), Pixels(images)
    trivial.apply(pixels, *torch.tensor(drawn).unbind(1), at_once)
    names = [*trivial.OPERATIONS]
    for image, found, (number, level, sign) in zip(images, pixels.images(), drawn, strict=True):
        expected = operated(names[number], image.permute(2, 0, 1), level, sign)
        if names[number] != "Equalize" or whole:  # floats are binned, which a tiny difference decides otherwise
            assert_close(found.permute(2, 0, 1), expected)
    assert torch.equal(images, before)


def test_channels_that_are_no_colours_are_changed_too() -> None:
    augmenter = Augmenter(Augment("strong", jitter=0.3), HEIGHT, WIDTH)
    drawn = augmenter.draw(200, torch.Generator().manual_seed(0))
    assert augmenter.apply(pictures(200, 2, True, HEIGHT, WIDTH), drawn).shape == (200, HEIGHT, WIDTH, 2)


def test_a_share_of_the_images_has_a_rectangle_erased() -> None:
    augmenter = Augmenter(Augment(erase=0.3), 40, 30)
    drawn = augmenter.draw(3000, torch.Generator().manual_seed(0))
    found = augmenter.apply(torch.full((3000, 40, 30, 1), 9, dtype=torch.uint8), drawn)
    holes = (found == 0)[..., 0]
    erased = holes.flatten(1).any(1)
    assert float(erased.double().mean()) == pytest.approx(0.3, abs=0.03)
    area = holes.flatten(1).double().mean(1)[erased]
    assert AREA[0] * 0.7 <= float(area.min())
    assert float(area.max()) <= AREA[1] * 1.1
    for hole in holes[erased][:50]:  # a rectangle, and nothing beside it
        assert torch.equal(hole, hole.any(1)[:, None] & hole.any(0)[None])


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_image_is_changed_alike_whatever_is_beside_it_in_the_batch(preset: str, whole: bool) -> None:
    images = pictures(64, 3, whole)
    augmenter = Augmenter(Augment(preset), *images.shape[1:3])
    drawn = augmenter.draw(64, torch.Generator().manual_seed(0))
    together = augmenter.apply(images, drawn)
    assert together.is_contiguous()
    alone = torch.cat([augmenter.apply(images[i : i + 1], drawn[i : i + 1]) for i in range(64)])
    assert_close(together, alone)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_on_a_device_of_its_own_nothing_waits_for_what_was_drawn(dtype: torch.dtype) -> None:
    """A CUDA graph could not hold that. On torch's device `meta` there is nothing that could be waited for."""
    augmenter = Augmenter(Augment("strong", rotate=10, zoom=0.1, jitter=0.2, crop=2, cutout=3), HEIGHT, WIDTH)
    drawn = augmenter.draw(16, torch.Generator()).to("meta")
    found = augmenter.apply(torch.empty(16, HEIGHT, WIDTH, 3, dtype=dtype, device="meta"), drawn)
    assert (found.shape, found.dtype, found.device.type) == ((16, HEIGHT, WIDTH, 3), dtype, "meta")
