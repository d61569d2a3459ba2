"""Images in one folder per class, as people have them on disk."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainer import schema
from trainer.data.splits import Dataset, Split, Track, divide
from trainer.errors import DataError
from trainer.paths import expanded

EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
Listing = tuple[list[Path], list[int]]  # files and the class index of each


def load(config: schema.Folder, track: Track[object]) -> Dataset:
    """`path/train/CLASS/*`, `path/test/CLASS/*` and maybe `path/val/CLASS/*`; or `path/CLASS/*`, split at random.

    Without `test/`, the test split is cut at random from the training images.

    Raises:
        DataError: no such folder, no classes, an empty class, classes that differ, a file that is no image.
    """
    path = expanded(config.path)
    if not path.is_dir():
        raise DataError(
            f"data.path={config.path}: no such folder",
            "it holds one folder per class, or train/ and test/ with those",
        )
    channels, size = config.channels or 3, config.size or 32
    if channels == 2:
        raise DataError("data.channels=2: images have 1 channel (grey) or 3 (colour)")
    top = path / "train" if (path / "train").is_dir() else path
    classes = _classes(top)
    listings = {"train": _list(top, classes)}
    for name in ("test", "val"):
        if top != path and (path / name).is_dir():
            _same_classes(path / name, classes)
            listings[name] = _list(path / name, classes)
    if "test" not in listings:
        listings |= _cut(listings["train"], config.test_fraction, config.split_seed)
    limited = {k: _shuffled(v, config.split_seed, config.limit) for k, v in listings.items()}
    _check_memory({k: len(files) for k, (files, _) in limited.items()}, channels * size * size)
    read = partial(read_image, size=size, resize=config.resize, channels=channels)
    splits = {
        name: _read(name, files, labels, read, channels, size, track) for name, (files, labels) in limited.items()
    }
    mean, std = (_per_channel(key, values, channels) for key, values in (("mean", config.mean), ("std", config.std)))
    if (mean is None) != (std is None):
        raise DataError("data.mean and data.std go together", "give both, or neither to have them measured")
    return Dataset(
        "folder",
        splits["train"],
        splits["test"],
        splits.get("val"),
        tuple(classes),
        mean,
        std,
        standardise=True,
    )


def read_image(path: Path, size: int, resize: int | None, channels: int) -> np.ndarray:
    """One image as (size, size, channels) uint8: scaled to the square, or its shorter side to `resize` and
    the centre cropped.

    Raises:
        DataError: the file is no image, or a broken one.
    """
    try:
        with Image.open(path) as file:
            if file.mode.startswith("I;16") or file.mode == "I":  # 16 bits: Pillow would clip them to white
                image = Image.fromarray((np.asarray(file).clip(0, 65535) // 257).astype(np.uint8))
            else:
                image = _opaque(file)
            image = image.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}", "repair or remove it") from error
    if resize is not None:  # as torchvision's Resize and CenterCrop, to the pixel
        short = min(image.size)
        image = image.resize((resize * image.width // short, resize * image.height // short), Image.Resampling.BILINEAR)
        left, top = (_offset(side, size) for side in image.size)
        image = image.crop((left, top, left + size, top + size))
    elif image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(size, size, channels)


def _opaque(file: Image.Image) -> Image.Image:
    """On white where it is transparent, as a page would show it; Pillow would show whatever colour lies below."""
    if not file.has_transparency_data:
        return file.copy()
    layer = file.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _offset(side: int, size: int) -> int:
    return round((side - size) / 2) if side >= size else -((size - side) // 2)


def _classes(top: Path) -> list[str]:
    names = sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        found = f"one folder, '{names[0]}'" if names else "no folder"
        raise DataError(
            f"{top} has {found} in it, and classification needs two classes",
            "one folder per class, images in it",
        )
    return names


def _same_classes(folder: Path, classes: Sequence[str]) -> None:
    other = {p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")}
    if other != set(classes):
        differ = sorted(other.symmetric_difference(classes))
        raise DataError(f"{folder} and train/ have different classes: {', '.join(differ[:5])} only in one of them")


def _list(top: Path, classes: Sequence[str]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            Path(entry.path)
            for entry in os.scandir(top / name)
            if Path(entry.name).suffix.lower() in EXTENSIONS and not entry.name.startswith(".")
        )
        if not found:
            raise DataError(
                f"{top / name} has no images",
                f"add some ({', '.join(sorted(EXTENSIONS)[:4])}, ...) or remove the folder",
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def _pick(listing: Listing, index: torch.Tensor) -> Listing:
    files, labels = listing
    return [files[i] for i in index.tolist()], [labels[i] for i in index.tolist()]


def _cut(listing: Listing, fraction: float, seed: int) -> dict[str, Listing]:
    train, test = divide(len(listing[0]), fraction, seed, "data.test_fraction")
    return {"train": _pick(listing, train), "test": _pick(listing, test)}


def _shuffled(listing: Listing, seed: int, limit: int | None) -> Listing:
    """In a fixed random order, so that a prefix has all classes."""
    order = torch.randperm(len(listing[0]), generator=torch.Generator().manual_seed(seed))
    return _pick(listing, order[:limit])


def _check_memory(counts: dict[str, int], values: int) -> None:
    needed = sum(counts.values()) * values
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > 0.8 * memory:
        raise DataError(
            f"{sum(counts.values())} images take {needed / 2**30:.1f} GiB, and this machine has {memory / 2**30:.1f}",
            "use a smaller data.size or a data.limit",
        )


def _read(
    name: str,
    files: list[Path],
    labels: list[int],
    read: partial[np.ndarray],
    channels: int,
    size: int,
    track: Track[object],
) -> Split:
    images = np.empty((len(files), size, size, channels), dtype=np.uint8)

    def fill(number: int) -> None:
        images[number] = read(files[number])

    with ThreadPoolExecutor() as pool:  # decoding lets other threads run
        for _ in track(pool.map(fill, range(len(files)), chunksize=64), len(files), f"reading {name} images"):
            pass
    return Split(torch.from_numpy(images).permute(0, 3, 1, 2), torch.tensor(labels))


def _per_channel(key: str, values: list[float] | None, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) == 1:
        values = values * channels
    if len(values) != channels or (key == "std" and min(values) <= 0):
        raise DataError(f"data.{key}={values}: {channels} numbers are needed{', above 0' if key == 'std' else ''}")
    return tuple(values)
