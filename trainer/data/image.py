"""An image file as the 8-bit pixels that a viewer shows; files that lose something by that are refused."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trainer.system.errors import DataError, first_line
from trainer.system.paths import regular

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"
)  # fmt: skip
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # by content, not name; some others run programs
OTHERS = (
    ".avif", ".heic", ".heif", ".jp2", ".jxl", ".svg", ".ico", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".tga"
)  # fmt: skip
LARGEST = 2 * (2**30 // 12)  # pixels; Pillow's own limit for the files that it opens


def read_image(path: str | Path, size: int, resize: int | None, channels: int) -> np.ndarray:
    """Read an image as (size, size, channels) uint8: scaled to the square, or with `resize` scaled until its shorter
    side has that length and cropped in the centre.

    Raises:
        DataError: The file is not an image, is broken, or would lose something that it shows.
    """
    with _naming(path):
        image = _shown(path).convert("L" if channels == 1 else "RGB")
        if resize is not None:  # exactly as torchvision's Resize and CenterCrop
            short = min(image.size)
            scaled = resize * image.width // short, resize * image.height // short
            if scaled[0] * scaled[1] > LARGEST:
                raise ValueError(f"of {image.width} x {image.height} it would be scaled to {scaled[0]} x {scaled[1]}")
            image = image.resize(scaled, Image.Resampling.BILINEAR)
            left, top = (_offset(side, size) for side in image.size)
            image = image.crop((left, top, left + size, top + size))
        elif image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.uint8).reshape(size, size, channels)


def check_image(path: str | Path) -> None:
    """Decode an image only to find out what is wrong with it.

    Raises:
        DataError: As `read_image`.
    """
    with _naming(path):
        _shown(path)


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Turn any error into one that names the file: damaged files raise anything from struct.error to MemoryError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which Pillow gives for files that it can read
            yield
    except UnidentifiedImageError as error:
        reason = f"it is none of {', '.join(FORMATS)}"
        raise DataError(f"{path} cannot be read as an image: {reason}", "repair or remove it") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path} cannot be read as an image: {reason}", "repair or remove it") from error
    except Exception as error:
        reason = first_line(error)
        raise DataError(f"{path} cannot be read as an image: {reason}", "repair or remove it") from error


def _shown(path: str | Path) -> Image.Image:
    """The image as it is shown: upright, in 8 bits per channel, on white."""
    # Opened here, because Pillow maps a TIFF that it opens by name, and then mixes up the rows of one to be turned.
    with open(path, "rb", opener=regular) as opened, Image.open(opened, formats=FORMATS) as file:
        if getattr(file, "is_animated", False) and file.format != "MPO":  # an MPO is a photo with previews of itself
            raise ValueError(f"it has {getattr(file, 'n_frames', 'several')} frames, and a sample is one image")
        if file.mode == "F":
            raise ValueError("its pixels are floats, and nothing says which are black and white")
        sixteen = file.mode.startswith("I") or any(tile[3] == "RGB;16B" for tile in file.tile)
        if sixteen and "transparency" in file.info:
            raise ValueError("it has 16 bits and a transparent colour, which 8 bits cannot tell from its neighbours")
        file.load()
        with contextlib.suppress(Exception):  # the pixels may be right though the metadata are broken
            ImageOps.exif_transpose(file, in_place=True)
        if file.mode.startswith("I"):
            return _higher_bits(file)
        return _on_white(file)


def _higher_bits(file: Image.Image) -> Image.Image:
    """The higher 8 of 16 bits, which Pillow takes of colour images, while it clips grey ones to white."""
    levels = np.asarray(file)
    low, high = levels.min(), levels.max()
    if low < 0 or high > 65535:
        raise ValueError(f"its pixels go from {low} to {high}, and 16 bits from 0 to 65535")
    return Image.fromarray((levels >> 8).astype(np.uint8))


def _on_white(file: Image.Image) -> Image.Image:
    """The image on white, as a page shows it; Pillow would show whatever colour a transparent pixel has."""
    if not file.has_transparency_data:
        return file.copy()
    layer = file.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _offset(side: int, size: int) -> int:
    return round((side - size) / 2) if side >= size else -((size - side) // 2)
