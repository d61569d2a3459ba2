"""Images in one folder per class, as people have them on disk."""

import math
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer import schema
from trainer.data.cache import Allocate, Array, check_room, source_of, stored
from trainer.data.splits import Dataset, Samples, Split, Track, divide
from trainer.device import RESIDENT_SHARE, cores, free_memory
from trainer.errors import DataError
from trainer.paths import expanded

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
PARALLEL = 1000  # so many files are decoded by several processes
Listing = tuple[list[os.DirEntry[str]], list[int]]  # files and the class index of each
Pick = tuple[str, Tensor]  # the name of a listing, and which of its files
Reader = partial[Array]  # of one image


def load(config: schema.Folder, track: Track[object]) -> Dataset:
    """`path/train/CLASS/*`, `path/test/CLASS/*` and maybe `path/val/CLASS/*`; or `path/CLASS/*`, split at random.

    Without `test/`, the test split is cut at random from the training images. Images are decoded once, into the
    cache or, without one, into memory; where they do not fit into that, batch by batch.

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
    mean, std = (_per_channel(key, values, channels) for key, values in (("mean", config.mean), ("std", config.std)))
    if (mean is None) != (std is None):
        raise DataError("data.mean and data.std go together", "give both, or neither to have them measured")
    classes, listings = _listings(path)
    picks = _picks(config, listings)
    if config.limit is not None:  # nothing is decoded that is not used
        listings = {name: _pick(listings[listing], index) for name, (listing, index) in picks.items()}
        picks = {name: (name, torch.arange(len(listings[name][0]))) for name in picks}
    read = partial(read_image, size=size, resize=config.resize, channels=channels)
    found, note = _images(config, path, listings, (size, size, channels), read, track)
    splits = {
        name: Split(found[listing], torch.tensor(listings[listing][1])[index], index)
        for name, (listing, index) in picks.items()
    }
    return Dataset(
        "folder",
        splits["train"],
        splits["test"],
        splits.get("val"),
        tuple(classes),
        mean,
        std,
        standardise=True,
        cache=note,
    )


class Files:
    """Images of files, decoded when asked for, as (N, C, H, W) uint8."""

    def __init__(self, paths: Sequence[str], read: Reader, shape: tuple[int, int, int]) -> None:
        self.paths, self.read, self._shape = paths, read, shape
        self.dtype = torch.uint8

    @property
    def shape(self) -> torch.Size:
        height, width, channels = self._shape
        return torch.Size((len(self.paths), channels, height, width))

    def __getitem__(self, index: Any) -> Tensor:
        numbers = range(len(self.paths))[index] if isinstance(index, slice) else index.tolist()
        images = np.empty((len(numbers), *self._shape), np.uint8)
        paths = [self.paths[n] for n in numbers]
        for _ in _decode(paths, self.read, images):
            pass
        return torch.from_numpy(images).permute(0, 3, 1, 2)


def read_image(path: str | Path, size: int, resize: int | None, channels: int) -> np.ndarray:
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


def _listings(path: Path) -> tuple[list[str], dict[str, Listing]]:
    """The classes, and the files of `path/train`, `path/test` and `path/val`, or of `path` itself as `train`."""
    top = path / "train" if (path / "train").is_dir() else path
    classes = _classes(top)
    listings = {"train": _list(top, classes)}
    for name in ("test", "val"):
        if top != path and (path / name).is_dir():
            _same_classes(path / name, classes)
            listings[name] = _list(path / name, classes)
    return classes, listings


def _list(top: Path, classes: Sequence[str]) -> Listing:
    files: list[os.DirEntry[str]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            (
                entry
                for entry in os.scandir(top / name)
                if entry.name.lower().endswith(EXTENSIONS) and not entry.name.startswith(".")
            ),
            key=lambda entry: entry.name,
        )
        if not found:
            raise DataError(
                f"{top / name} has no images",
                f"add some ({', '.join(sorted(EXTENSIONS)[:4])}, ...) or remove the folder",
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def _picks(config: schema.Folder, listings: dict[str, Listing]) -> dict[str, Pick]:
    """The files of each split, in a fixed random order, so that a prefix has all classes."""
    total = len(listings["train"][0])
    picks = {name: (name, torch.arange(len(files))) for name, (files, _) in listings.items()}
    if "test" not in picks:
        train, test = divide(total, config.test_fraction, config.split_seed, "data.test_fraction")
        picks |= {"train": ("train", train), "test": ("train", test)}
    return {name: (listing, _shuffled(index, config)) for name, (listing, index) in picks.items()}


def _shuffled(index: Tensor, config: schema.Folder) -> Tensor:
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(config.split_seed))
    return index[order[: config.limit]]


def _pick(listing: Listing, index: Tensor) -> Listing:
    files, labels = listing
    return [files[i] for i in index.tolist()], [labels[i] for i in index.tolist()]


def _images(
    config: schema.Folder,
    path: Path,
    listings: dict[str, Listing],
    shape: tuple[int, int, int],
    read: Reader,
    track: Track[object],
) -> tuple[dict[str, Samples], str]:
    """The images of each listing, wherever there is room for them, and what there is to say of their cache."""
    paths = {name: [entry.path for entry in files] for name, (files, _) in listings.items()}
    needed = sum(map(len, paths.values())) * math.prod(shape)
    free = free_memory(torch.device("cpu"))
    if not config.cache and (
        config.placement == "stream" or (config.placement == "auto" and needed > RESIDENT_SHARE * free)
    ):
        check_room(math.prod(shape))  # for one at least
        return {name: Files(files, read, shape) for name, files in paths.items()}, ""

    def make(allocate: Allocate) -> dict[str, Any]:
        images = {name: allocate(name, (len(files), *shape), "uint8") for name, files in paths.items()}
        for name, files in paths.items():
            for _ in track(_decode(files, read, images[name]), len(files), f"reading {name} images"):
                pass
        return {}

    settings: dict[str, Any] = {"path": str(path.resolve()), "shape": shape, "resize": config.resize}
    if config.limit is not None:
        settings |= {"limit": config.limit, "seed": config.split_seed, "test_fraction": config.test_fraction}
    files = [entry for entries, _ in listings.values() for entry in entries]
    kept = stored(config.cache, path.resolve().name, settings, source_of(files, path), make)
    return {name: kept.images(name) for name in paths}, kept.note


def _decode(paths: Sequence[str], read: Reader, images: Array) -> Iterator[object]:
    """Read each file into its place of `images`; one item as each is done.

    Many files go to processes on all cores: threads would wait for each other, for much of decoding is Python.
    """
    if len(paths) < PARALLEL or cores() == 1 or multiprocessing.current_process().daemon:  # a worker has no children
        for number, path in enumerate(paths):
            images[number] = read(path)
            yield number
        return
    size = max(1, min(256, 2**22 // max(1, images[0].nbytes)))  # what goes from process to process at once
    parts = [paths[i : i + size] for i in range(0, len(paths), size)]
    done = 0
    with multiprocessing.get_context().Pool(cores(), _leave_interrupts_to_the_parent) as pool:
        started = {child.pid for child in multiprocessing.active_children()}
        decoded = pool.imap(partial(_decoded, read), parts)
        while done < len(paths):
            try:
                part = decoded.next(timeout=1)
            except multiprocessing.TimeoutError:
                if started <= {child.pid for child in multiprocessing.active_children()}:
                    continue
                raise DataError(  # the pool would wait for its part for ever
                    "a process that decodes images was killed", "perhaps for want of memory: free some, and try again"
                ) from None
            if isinstance(part, DataError):
                raise part
            images[done : done + len(part)] = part
            yield from range(done, done + len(part))
            done += len(part)


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of the terminal; the parent then ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _decoded(read: Reader, paths: Sequence[str]) -> Array | DataError:
    """The images of some files; in a process of its own, so a broken one is handed back to be raised."""
    try:
        return np.stack([read(path) for path in paths])
    except DataError as error:
        return error


def _per_channel(key: str, values: list[float] | None, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) == 1:
        values = values * channels
    if len(values) != channels or (key == "std" and min(values) <= 0):
        raise DataError(f"data.{key}={values}: {channels} numbers are needed{', above 0' if key == 'std' else ''}")
    return tuple(values)
