"""An image file as the 8-bit pixels that a viewer shows; files that lose something by that are refused."""

import contextlib
import errno
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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

# The user's files may be missing, links to nothing, folders, or closed to them; the rest is the machine's trouble.
_OF_THE_FILE = frozenset(
    (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ENXIO)
)

Levels = tuple[int, int]  # two of the values of a grey image of 16 bits


class UnreadableError(DataError):
    """An image that is broken, missing, or would lose something that it shows; `reason` says which."""

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


@dataclass(frozen=True)
class Way:
    """How images are read: scaled to the square of `size`, or with `resize` scaled until the shorter side has that
    length and cropped in the centre; with 1 or 3 `channels`. `levels` are the values of grey images of 16 bits that
    become black and white; without them, such images keep their higher 8 bits.
    """

    size: int
    resize: int | None = None
    channels: int = 3
    levels: Levels | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of an image: (H, W, C)."""
        return self.size, self.size, self.channels


Source = str | Path | bytes | Image.Image  # a file, its bytes, or an image that has been opened


def read_image(source: Source, way: Way) -> np.ndarray:
    """Read an image as (size, size, channels) uint8.

    Raises:
        UnreadableError: The file is not an image, is broken, or would lose something that it shows.
        DataError: This machine fails to read it: for want of memory, say.
    """
    return read_with_levels(source, way)[0]


def read_with_levels(source: Source, way: Way) -> tuple[np.ndarray, Levels | None]:
    """As `read_image`, and the lowest and highest value of a grey image of 16 bits; None of any other."""
    with _naming(source if isinstance(source, str | Path) else "the image"):
        image, used = _shown(source, way.levels)
        return fitted(_in_mode(image, way), way), used


def read_whole(source: Source, way: Way) -> np.ndarray:
    """Read an image in the size that it has: (H, W, channels) uint8.

    Raises:
        UnreadableError, DataError: As `read_image`.
    """
    with _naming(source if isinstance(source, str | Path) else "the image"):
        image = _in_mode(_shown(source, way.levels)[0], way)
        return np.asarray(image, dtype=np.uint8).reshape(image.height, image.width, way.channels)


def fitted(image: Image.Image, way: Way) -> np.ndarray:
    """An image of `way`'s channels in its size: (size, size, channels) uint8.

    Raises:
        ValueError: It would be scaled to more pixels than an image may have.
    """
    size, resize = way.size, way.resize
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
    return np.asarray(image, dtype=np.uint8).reshape(way.shape)


def _in_mode(image: Image.Image, way: Way) -> Image.Image:
    mode = "L" if way.channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)  # which would copy it


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Turn any error into one that names the file: damaged files raise anything from struct.error to SystemError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which Pillow gives for files that it can read
            yield
    except UnidentifiedImageError as error:
        raise _unreadable(path, f"it is none of {', '.join(FORMATS)}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno is not None and error.errno not in _OF_THE_FILE:
            raise DataError(f"{path} cannot be read: {reason}") from error
        raise _unreadable(path, reason) from error
    except MemoryError as error:
        raise DataError(
            f"{path} cannot be read as an image: there is not enough memory", "free some, or remove the file"
        ) from error
    except Exception as error:
        raise _unreadable(path, first_line(error)) from error


def _unreadable(path: str | Path, reason: str) -> UnreadableError:
    return UnreadableError(f"{path} cannot be read as an image: {reason}", "repair or remove it", reason)


def _opened(source: str | Path | bytes) -> IO[bytes]:
    # Opened here, because Pillow maps a TIFF that it opens by name, and then mixes up the rows of one to be turned.
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb", opener=regular)


def _shown(source: Source, levels: Levels | None) -> tuple[Image.Image, Levels | None]:
    """The image as it is shown: upright, in 8 bits per channel, on white; and the values that 16 bits of grey have."""
    if isinstance(source, Image.Image):
        return _as_shown(source, levels, ours=False)
    with _opened(source) as opened, Image.open(opened, formats=FORMATS) as file:
        return _as_shown(file, levels, ours=True)


def _as_shown(file: Image.Image, levels: Levels | None, ours: bool) -> tuple[Image.Image, Levels | None]:
    """The same of an image that has been opened, and that may be changed if it is `ours`."""
    if getattr(file, "is_animated", False) and file.format != "MPO":  # an MPO is a photo with previews of itself
        raise ValueError(f"it has {getattr(file, 'n_frames', 'several')} frames, and a sample is one image")
    if file.mode == "F":
        raise ValueError("its pixels are floats, and nothing says which are black and white")
    sixteen = file.mode.startswith("I") or any(tile[3] == "RGB;16B" for tile in getattr(file, "tile", ()))
    if sixteen and "transparency" in file.info:
        raise ValueError("it has 16 bits and a transparent colour, which 8 bits cannot tell from its neighbours")
    file.load()
    with contextlib.suppress(Exception):  # the pixels may be right though the metadata are broken
        if ours:
            ImageOps.exif_transpose(file, in_place=True)
        else:
            file = ImageOps.exif_transpose(file)
    if file.mode.startswith("I"):
        return _of_sixteen_bits(file, levels)
    return _on_white(file), None


def _of_sixteen_bits(file: Image.Image, levels: Levels | None) -> tuple[Image.Image, Levels]:
    """A grey image from black to white at `levels`, or else by its higher 8 bits; and its lowest and highest value.

    Pillow takes the higher bits of colour images, too, while it clips grey ones to white.
    """
    values = np.asarray(file)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ValueError(f"its pixels go from {low} to {high}, and 16 bits from 0 to 65535")
    if levels is None:
        eight = values >> 8
    else:
        black, white = levels
        eight = np.rint((np.clip(values, black, white).astype(np.float32) - black) * (255 / (white - black)))
    return Image.fromarray(eight.astype(np.uint8)), (low, high)


def _on_white(file: Image.Image) -> Image.Image:
    """The image on white, as a page shows it; Pillow would show whatever colour a transparent pixel has."""
    if not file.has_transparency_data:
        return file
    layer = file.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _offset(side: int, size: int) -> int:
    return round((side - size) / 2) if side >= size else -((size - side) // 2)
