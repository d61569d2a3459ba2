"""Images in one folder per class, as people have them on disk."""

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.data.cache import check_room, source_of, stored
from trainer.data.cache_entry import Allocate, Array, Declared
from trainer.data.dividing import divide
from trainer.data.image import EXTENSIONS, OTHERS, check_image, read_image
from trainer.data.sets.folder import Folder
from trainer.data.splits import Dataset, Samples, Split, Track
from trainer.system.errors import DataError
from trainer.system.machine import cores
from trainer.system.memory import RESIDENT_SHARE, free_memory
from trainer.system.paths import expanded
from trainer.system.workers import end_with

PARALLEL = 1000  # files, from which on several processes decode them
Listing = tuple[list[os.DirEntry[str]], list[int]]  # files and the class index of each
Pick = tuple[str, Tensor]  # the name of a listing, and the numbers of some of its files
Reader = partial[Array]  # of one image


def load(config: Folder, track: Track[object]) -> Dataset:
    """Read `path/train/CLASS/*`, `path/test/CLASS/*` and perhaps `path/val/CLASS/*`; or split `path/CLASS/*` at random.

    Without `test/`, the test split is cut at random from the training images. Images are decoded once, into the cache
    or, without one, into memory. If they do not fit there, they are decoded once as a check, and then batch by batch.

    Raises:
        DataError: The folder is missing, has fewer than two classes, an empty class or different classes in its
            splits; or a file is not an image, or would be left out.
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
    if config.limit is not None:  # so that only images that are used are decoded
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
    """Images that are decoded from their files whenever they are indexed, as (N, C, H, W) uint8."""

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
        for place, image in enumerate(_each([self.paths[n] for n in numbers], self.read, math.prod(self._shape))):
            images[place] = image
        return torch.from_numpy(images).permute(0, 3, 1, 2)


def _folders(top: Path) -> list[str]:
    """The names of the folders of the classes, in order."""
    entries = sorted((p for p in top.iterdir() if not p.name.startswith(".")), key=lambda p: p.name)
    folders = [p for p in entries if p.is_dir()]
    for path in entries:
        if folders and path.name.lower().endswith(EXTENSIONS) and path not in folders:
            raise DataError(f"{path} is in no class's folder", "move it into one, or remove it")
    _same_nowhere(folders)
    return [p.name for p in folders]


def _same_nowhere(paths: Sequence[os.DirEntry[str] | Path]) -> None:
    """Refuse names that differ only in case: macOS and Windows take them for one, and a copy would lose files."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(path.name.lower(), path.name)
        if other != path.name:
            raise DataError(
                f"{os.fspath(path)} and {other} beside it differ only in case: on macOS and Windows they are one",
                "rename one of them, or remove it if it is a copy",
            )


def _listings(path: Path) -> tuple[list[str], dict[str, Listing]]:
    """The classes, and the listings of `path/train`, `path/test` and `path/val`, or of `path` itself as `train`."""
    top = path / "train" if (path / "train").is_dir() else path
    classes = _folders(top)
    if len(classes) < 2:
        found = f"one folder, '{classes[0]}'" if classes else "no folder"
        raise DataError(
            f"{top} has {found} in it, and classification needs two classes",
            "one folder per class, images in it",
        )
    listings = {"train": _list(top, classes)}
    for name in ("test", "val"):
        folder = path / name
        if top != path and folder.is_dir():
            differ = sorted(set(_folders(folder)).symmetric_difference(classes))
            if differ:
                shown = ", ".join(differ[:5])
                raise DataError(f"{folder} and train/ have different classes: {shown} only in one of them")
            listings[name] = _list(folder, classes)
    return classes, listings


def _list(top: Path, classes: Sequence[str]) -> Listing:
    files: list[os.DirEntry[str]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        entries = sorted(
            (entry for entry in os.scandir(top / name) if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
        found = [entry for entry in entries if entry.name.lower().endswith(EXTENSIONS)]
        _same_nowhere(found)
        if len(found) < len(entries):
            _none_left_out(entries)
        if not found:
            raise DataError(
                f"{top / name} has no images",
                f"add some ({', '.join(sorted(EXTENSIONS)[:4])}, ...) or remove the folder",
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def _none_left_out(entries: Sequence[os.DirEntry[str]]) -> None:
    """Refuse images that would be ignored; notes, indices of thumbnails and the like may lie there."""
    for entry in entries:
        if entry.name.lower().endswith(OTHERS):
            raise DataError(f"{entry.path} is of a format that is not read", "save it as JPEG or PNG, or remove it")
        if entry.is_dir() and any(file.lower().endswith(EXTENSIONS) for *_, files in os.walk(entry) for file in files):
            raise DataError(f"{entry.path} has images in it", "move them up into their class's folder, or remove it")


def _picks(config: Folder, listings: dict[str, Listing]) -> dict[str, Pick]:
    """The files of each split, in a fixed random order, so that the first few are of all classes."""
    total, where = len(listings["train"][0]), f" in {config.path}"
    picks = {name: (name, torch.arange(len(files))) for name, (files, _) in listings.items()}
    if "test" not in picks:
        train, test = divide(total, config.test_fraction, config.split_seed, "data.test_fraction", where)
        picks |= {"train": ("train", train), "test": ("train", test)}
    shuffled = {}
    for name, (listing, index) in picks.items():
        order = torch.randperm(len(index), generator=torch.Generator().manual_seed(config.split_seed))
        shuffled[name] = listing, index[order[: config.limit]]
    return shuffled


def _pick(listing: Listing, index: Tensor) -> Listing:
    files, labels = listing
    return [files[i] for i in index.tolist()], [labels[i] for i in index.tolist()]


def _images(
    config: Folder,
    path: Path,
    listings: dict[str, Listing],
    shape: tuple[int, int, int],
    read: Reader,
    track: Track[object],
) -> tuple[dict[str, Samples], str]:
    """The images of each listing, in the cache, in memory or in their files, and what to tell of the cache."""
    paths = {name: [entry.path for entry in files] for name, (files, _) in listings.items()}
    needed = sum(map(len, paths.values())) * math.prod(shape)
    free = free_memory(torch.device("cpu"))
    if not config.cache and (
        config.placement == "stream" or (config.placement == "auto" and needed > RESIDENT_SHARE * free)
    ):
        check_room(math.prod(shape))  # a batch holds at least one
        for name, files in paths.items():  # now, and not hours later in a batch
            for _ in track(_each(files, check_image, 0), len(files), f"checking {name} images"):
                pass
        return {name: Files(files, read, shape) for name, files in paths.items()}, ""

    def make(allocate: Allocate) -> dict[str, Any]:
        images: dict[str, Any] = {name: allocate(name, (len(files), *shape), "uint8") for name, files in paths.items()}
        for name, files in paths.items():
            decoded = track(_each(files, read, math.prod(shape)), len(files), f"reading {name} images")
            for place, image in enumerate(decoded):
                images[name][place] = image
                allocate.alive()
        return {}

    settings: dict[str, Any] = {"path": str(path.resolve()), "shape": shape, "resize": config.resize}
    if config.limit is not None:
        settings |= {"limit": config.limit, "seed": config.split_seed, "test_fraction": config.test_fraction}
    everything = [entry for entries, _ in listings.values() for entry in entries]
    declared = Declared({name: (len(files), *shape) for name, files in paths.items()})
    source, limit = source_of(everything, path), config.cache_limit
    kept = stored(config.cache, path.resolve().name, settings, source, make, declared, limit)
    return {name: kept.images(name) for name in paths}, kept.note


def _each(paths: Sequence[str], function: Callable[[str], Any], nbytes: int) -> Iterator[Any]:
    """Call `function` for each file and yield the results in order; each takes `nbytes`.

    Processes on all cores share many files. Threads would wait for each other, for much of decoding is Python.
    """
    if (
        len(paths) < PARALLEL or cores() == 1 or multiprocessing.current_process().daemon
    ):  # a worker of a DataLoader may not start others
        yield from map(function, paths)
        return
    size = max(1, min(32, 2**22 // max(1, nbytes)))  # files whose results a process returns together
    with ProcessPoolExecutor(cores(), initializer=_start, initargs=(os.getpid(),)) as pool:
        try:
            yield from pool.map(function, paths, chunksize=size)
        except BrokenProcessPool as error:
            raise DataError(
                "a process that decodes images was killed", "perhaps for want of memory: free some, and try again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(parent: int) -> None:
    """Leave Ctrl-C, which reaches every process of the terminal, to the parent, which then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent)


def _per_channel(key: str, values: list[float] | None, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) == 1:
        values = values * channels
    if len(values) != channels or not all(map(math.isfinite, values)) or (key == "std" and min(values) <= 0):
        raise DataError(f"data.{key}={values}: {channels} numbers are needed{', above 0' if key == 'std' else ''}")
    return tuple(values)
