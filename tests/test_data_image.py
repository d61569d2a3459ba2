"""What is made of each kind of image, against pixels computed by hand."""

from pathlib import Path

import numpy as np
import pytest
from formats import chunk, png
from PIL import Image

from trainer.data.image import Way, read_image

RNG = np.random.default_rng(0)
CORNERS = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20  # no turn or mirroring leaves it as it is


def read(path: Path, size: int, channels: int = 3) -> np.ndarray:
    return read_image(path, Way(size, None, channels)).astype(int)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


def levels(channels: int) -> np.ndarray:
    found = RNG.integers(65536, size=(8, 8, channels))
    found[0, 0], found[0, 1] = 0, 65535
    return found


def test_grey_of_16_bits_keeps_the_higher_8(tmp_path: Path) -> None:
    deep = levels(1)
    for path in (written(tmp_path / "a.png", png(deep, 0)), tmp_path / "a.tif", tmp_path / "a.pgm"):
        if not path.exists():
            Image.fromarray(deep[..., 0].astype(np.uint16)).save(path)
        assert np.array_equal(read(path, 8, 1), deep >> 8), path.name
        assert np.array_equal(read(path, 8, 3), np.repeat(deep >> 8, 3, axis=2))


def test_colours_of_16_bits_keep_the_higher_8(tmp_path: Path) -> None:
    deep = levels(3)
    assert np.array_equal(read(written(tmp_path / "a.png", png(deep, 2)), 8), deep >> 8)
    grey = np.repeat(levels(1), 3, axis=2)  # as the same picture in grey
    assert np.array_equal(read(written(tmp_path / "b.png", png(grey, 2)), 8, 1), grey[..., :1] >> 8)


@pytest.mark.parametrize(("colour", "channels"), [(6, 3), (4, 1)], ids=["RGBA", "grey with alpha"])
def test_16_bits_with_alpha_are_seen_on_white(tmp_path: Path, colour: int, channels: int) -> None:
    deep = levels(channels + 1)
    expected = on_white(deep[..., :-1] >> 8, deep[..., -1] >> 8)
    found = read(written(tmp_path / "a.png", png(deep, colour)), 8)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_what_is_transparent_is_seen_on_white(tmp_path: Path, mode: str, suffix: str) -> None:
    pixels = RNG.integers(256, size=(8, 8, len(mode))).astype(np.uint8)
    pixels[0, :, -1], pixels[1, :, -1] = 0, 255
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    found = read(saved(tmp_path / f"a.{suffix}", Image.fromarray(pixels, mode), **options), 8)
    assert np.abs(found - on_white(pixels[..., :-1].astype(int), pixels[..., -1])).max() <= 1
    assert (found[0] == 255).all()


def test_a_palette_is_looked_up_and_its_transparent_entries_are_white(tmp_path: Path) -> None:
    palette = RNG.integers(255, size=(4, 3))
    index = np.arange(16).reshape(4, 4) % 4
    image = Image.fromarray(index.astype(np.uint8), "P")
    image.putpalette(palette.astype(np.uint8).tobytes())
    assert np.array_equal(read(saved(tmp_path / "a.png", image), 4), palette[index])
    alpha = np.array([255, 0, 128, 255])
    clear = saved(tmp_path / "b.png", image, transparency=bytes(alpha.astype(np.uint8)))
    assert np.abs(read(clear, 4) - on_white(palette[index], alpha[index])).max() <= 1
    gif = read(saved(tmp_path / "c.gif", image, transparency=1), 4)
    assert np.array_equal(gif, np.where((index == 1)[..., None], 255, palette[index]))


def test_a_transparent_colour_is_white(tmp_path: Path) -> None:
    pixels = RNG.integers(255, size=(4, 4, 3)).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(pixels), transparency=tuple(map(int, pixels[2, 1])))
    expected = pixels.copy()
    expected[2, 1] = 255
    assert np.array_equal(read(path, 4), expected)


def test_cmyk_becomes_colour(tmp_path: Path) -> None:
    ink = np.repeat(np.repeat(RNG.integers(256, size=(2, 2, 4)), 16, axis=0), 16, axis=1).astype(np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(ink, "CMYK"), quality=100)
    with Image.open(path) as file:
        decoded = np.asarray(file).astype(float)
    assert np.abs(decoded - ink).max() <= 3
    expected = (255 - decoded[..., :3]) * (255 - decoded[..., 3:]) / 255
    assert np.abs(read(path, 32) - expected).max() <= 1


def test_grey_that_is_stored_as_colour_stays_what_it_is(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = saved(tmp_path / "a.png", Image.fromarray(np.repeat(grey[..., None], 3, axis=2)))
    assert np.array_equal(read(path, 16, 1)[..., 0], grey)


def test_colours_become_grey_by_their_luma(tmp_path: Path) -> None:
    colours = RNG.integers(256, size=(8, 8, 3))
    path = saved(tmp_path / "a.png", Image.fromarray(colours.astype(np.uint8)))
    assert np.abs(read(path, 8, 1)[..., 0] - colours @ [0.299, 0.587, 0.114]).max() <= 1


def test_one_bit_is_black_or_white(tmp_path: Path) -> None:
    bits = RNG.integers(2, size=(8, 8)).astype(bool)
    for name in ("a.png", "a.pbm", "a.tif"):
        assert np.array_equal(read(saved(tmp_path / name, Image.fromarray(bits)), 8, 1)[..., 0], bits * 255)


TURNED = {
    1: CORNERS, 2: CORNERS[:, ::-1], 3: CORNERS[::-1, ::-1], 4: CORNERS[::-1],
    5: CORNERS.T, 6: np.rot90(CORNERS, -1), 7: CORNERS[::-1, ::-1].T, 8: np.rot90(CORNERS),
}  # fmt: skip


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
def test_a_photo_is_upright_as_its_camera_was_held(tmp_path: Path, orientation: int, suffix: str) -> None:
    """EXIF's orientation, as every viewer follows it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = np.repeat(np.repeat(CORNERS, 8, axis=0), 8, axis=1)  # a block of JPEG's for each value
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(large), exif=exif, **options)
    expected = np.repeat(np.repeat(TURNED[orientation], 8, axis=0), 8, axis=1)
    stored = saved(tmp_path / "upright.png", Image.fromarray(np.ascontiguousarray(expected)))
    assert np.abs(read(path, 24, 1) - read(stored, 24, 1)).max() <= 3


def test_metadata_that_are_broken_are_no_broken_image(tmp_path: Path) -> None:
    pixels = RNG.integers(256, size=(4, 4, 3)).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(pixels), exif=b"Exif\0\0no such thing")
    assert np.array_equal(read(path, 4), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (1, 7), (3, 2), (31, 17)], ids=str)
def test_images_of_any_proportions_fill_the_square(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = RNG.integers(256, size=(*size, 3)).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(pixels))
    expected = Image.fromarray(pixels).resize((12, 12), Image.Resampling.BILINEAR)
    assert np.array_equal(read(path, 12), np.asarray(expected))
    assert read_image(path, Way(12, 14)).shape == (12, 12, 3)


def test_a_gif_of_one_frame_and_a_photo_with_a_preview_are_single_images(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    assert (read(saved(tmp_path / "a.gif", red), 8) == [255, 0, 0]).all()
    both = saved(tmp_path / "a.jpg", red, format="MPO", save_all=True, append_images=[blue])
    with Image.open(both) as file:
        assert file.n_frames == 2
    assert np.abs(read(both, 8) - [255, 0, 0]).max() <= 2


def test_a_large_photo_is_none_of_the_bombs(tmp_path: Path) -> None:
    """Pillow warns from 89 million pixels on, and refuses twice as many."""
    path = saved(tmp_path / "a.png", Image.new("1", (10_000, 9_000), 1))
    assert (read(path, 4, 1) == 255).all()


def test_a_format_is_told_by_the_content_and_not_by_the_name(tmp_path: Path) -> None:
    pixels = RNG.integers(256, size=(4, 4, 3)).astype(np.uint8)
    path = saved(tmp_path / "really-a-png.jpg", Image.fromarray(pixels), format="PNG")
    assert np.array_equal(read(path, 4), pixels)


def test_gamma_and_comments_change_nothing(tmp_path: Path) -> None:
    deep = levels(3)
    extra = chunk(b"gAMA", (45455).to_bytes(4, "big")) + chunk(b"tEXt", b"Comment\0hello")
    plain, commented = (written(tmp_path / f"{n}.png", png(deep, 2, e)) for n, e in (("a", b""), ("b", extra)))
    assert np.array_equal(read(plain, 8), read(commented, 8))
