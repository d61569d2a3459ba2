"""The pixels of listed images: in the cache, in memory, or in their files; and what is known of each."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.config.data import Pictures
from trainer.data.cache import check_room, source_of, stored
from trainer.data.cache_entry import Allocate, Array, Declared, Numbers, is_short_text
from trainer.data.folder.decoding import decoded, each
from trainer.data.folder.files import Files
from trainer.data.folder.listing import Listing
from trainer.data.folder.skipping import Skipped, check_few
from trainer.data.image import Levels, Way
from trainer.data.splits import Samples, Track
from trainer.system.memory import RESIDENT_SHARE, free_memory
from trainer.system.shown import shortened

DIGEST, LOW, HIGH = range(3)  # what is known of an image: the columns of a table of int64
BROKEN = -2  # in the place of LOW: it cannot be read
MOST = 1000  # reasons that the cache keeps
LONGEST = 100  # characters of one
NARROW = 2**15  # 16-bit values that span less leave a viewer fewer than 128 levels of grey


@dataclass(frozen=True)
class Read:
    """What was read of each listing: samples, `known` (N, 3) and the reasons why some images cannot be read."""

    samples: Mapping[str, Samples]
    known: Mapping[str, Tensor]
    reasons: Mapping[str, Mapping[int, str]]
    way: Way
    note: str

    def readable(self, listing: str) -> Tensor:
        """Which images of a listing (N,) can be read."""
        return self.known[listing][:, LOW] != BROKEN


@dataclass(frozen=True)
class Reader:
    """Reads `listings` of images below the folder `path`, as `config` says; `there` files are listed in all.

    `beside` says what else there is by which images of that folder are listed: each has an entry in the cache.
    """

    config: Pictures
    path: Path
    beside: Mapping[str, Any]
    listings: Mapping[str, Listing]
    there: int
    track: Track[Any]

    def read(self, way: Way) -> Read:
        """Read all, once, and as few as possible where the cache has them.

        Raises:
            DataError: Too many images cannot be read, or there is no room for them.
        """
        config, each_one = self.config, math.prod(way.shape)
        total = sum(len(listing.files) for listing in self.listings.values())
        free = free_memory(torch.device("cpu"))
        if not config.cache and (
            config.placement == "stream" or (config.placement == "auto" and total * each_one > RESIDENT_SHARE * free)
        ):
            return self._look(way)
        declared = Declared(
            {name: (len(listing.files), *way.shape) for name, listing in self.listings.items()},
            facts={"reasons": self._are_reasons},
            numbers={array: wanted for name in self.listings for array, wanted in self._numbers(name).items()},
        )
        files = [file for listing in self.listings.values() for file in listing.files]
        make, source = partial(self._make, way), source_of(files, self.path)
        name = self.path.resolve().name
        kept = stored(config.cache, name, self._settings(way), source, make, declared, config.cache_limit)
        known = {
            name: torch.from_numpy(np.column_stack([kept.arrays[array] for array in self._numbers(name)]))
            for name in self.listings
        }
        reasons: dict[str, dict[int, str]] = {name: {} for name in self.listings}
        for name, number, reason in kept.facts["reasons"]:
            reasons[name][number] = reason
        found = Read({name: kept.images(name) for name in self.listings}, known, reasons, way, kept.note)
        self._check(found.known, found.reasons)  # an entry may have been made when more was let pass
        return found

    def skipped(self, known: Mapping[str, Tensor], reasons: Mapping[str, Mapping[int, str]]) -> list[Skipped]:
        """The images that cannot be read, and why."""
        found: list[Skipped] = []
        for name, listing in self.listings.items():
            numbers = (known[name][:, LOW] == BROKEN).nonzero()[:, 0].tolist()
            found += [(os.fspath(listing.files[n]), reasons[name].get(n, "it cannot be read")) for n in numbers]
            found += listing.skipped
        return found

    def _check(self, known: Mapping[str, Tensor], reasons: Mapping[str, Mapping[int, str]]) -> None:
        skipped = self.skipped(known, reasons)
        total = sum(len(listing.files) + len(listing.skipped) for listing in self.listings.values())
        check_few(skipped, total, self.there, self.config.strict)

    def _look(self, way: Way) -> Read:
        """Read all files, and forget them: what is wrong shows now, and not hours later in a batch."""
        check_room(math.prod(way.shape))  # a batch holds at least one
        known, reasons = {}, {}
        for name, listing in self.listings.items():
            known[name] = torch.empty(len(listing.files), 3, dtype=torch.int64)
            reasons[name] = self._decode(name, way, None, known[name].numpy(), lambda: None)
        self._check(known, reasons)
        samples = {name: Files(listing.paths, way) for name, listing in self.listings.items()}
        return Read(samples, known, reasons, way, "")

    def _make(self, way: Way, allocate: Allocate) -> dict[str, Any]:
        """Fill an entry of the cache, or memory."""
        sizes = {name: len(listing.files) for name, listing in self.listings.items()}
        images = {name: allocate(name, (size, *way.shape), "uint8") for name, size in sizes.items()}
        known = {name: np.empty((size, 3), np.int64) for name, size in sizes.items()}
        reasons = {name: self._decode(name, way, images[name], known[name], allocate.alive) for name in sizes}
        self._check({name: torch.from_numpy(array) for name, array in known.items()}, reasons)
        for name, columns in known.items():
            for array, values in zip(self._numbers(name), (columns[:, DIGEST], columns[:, LOW:]), strict=True):
                allocate(array, values.shape, "int64")[:] = values
        told = [(name, number, reason) for name, found in reasons.items() for number, reason in found.items()]
        return {"reasons": told[:MOST]}

    def _decode(self, name: str, way: Way, images: Array | None, known: Array, alive: Any) -> dict[int, str]:
        """Decode the files of a listing into `images`, if they are kept, and `known`; why some cannot be read."""
        paths, reasons = self.listings[name].paths, {}
        nbytes = math.prod(way.shape) if images is not None else 0
        results = each(paths, partial(decoded, way=way, keep=images is not None), nbytes)
        doing = f"{'reading' if images is not None else 'checking'} {name} images"
        for place, result in enumerate(self.track(results, len(paths), doing)):
            if isinstance(result, str):
                known[place] = 0, BROKEN, BROKEN
                reasons[place] = shortened(result, LONGEST)
                pixels = 0
            else:
                known[place], pixels = result[1:], result.pixels
            if images is not None:
                images[place] = pixels
            alive()
        return reasons

    def _settings(self, way: Way) -> dict[str, Any]:
        config = self.config
        settings = {"path": str(self.path.resolve()), "shape": way.shape, "resize": way.resize, **self.beside}
        if way.levels is not None:
            settings["levels"] = way.levels
        if config.limit is not None:
            settings |= {"limit": config.limit, "seed": config.split_seed, "test_fraction": config.test_fraction}
        return settings

    def _numbers(self, name: str) -> dict[str, Numbers]:
        """The arrays of the cache with what is known of the images of a listing."""
        size = len(self.listings[name].files)
        return {f"{name}-digests": Numbers((size,)), f"{name}-levels": Numbers((size, 2), BROKEN, 2**16 - 1)}

    def _are_reasons(self, value: Any) -> bool:
        """Whether what an entry of the cache says of unreadable images fits the listings."""
        sizes = {name: len(listing.files) for name, listing in self.listings.items()}
        return isinstance(value, list) and all(
            isinstance(line, list)
            and len(line) == 3
            and line[0] in sizes
            and type(line[1]) is int
            and 0 <= line[1] < sizes[line[0]]
            and is_short_text(line[2])
            for line in value
        )


def with_levels(reader: Reader, way: Way, training: Mapping[str, Tensor]) -> Read:
    """Read all; and once more where the 16-bit grey images that are to be trained on use a narrow range of values.

    Of that range the higher 8 bits, which an image is shown by, would leave a few levels. `training` are the numbers of
    the training images in their listing.
    """
    first = reader.read(way)
    levels = None if way.levels is not None else _narrow([first.known[name][index] for name, index in training.items()])
    return first if levels is None else reader.read(replace(way, levels=levels))


def _narrow(known: list[Tensor]) -> Levels | None:
    """The lowest and highest value of images of 16 bits of grey, if they are near to each other."""
    deep = torch.cat(known)
    deep = deep[deep[:, LOW] >= 0]
    if not len(deep):
        return None
    low, high = int(deep[:, LOW].min()), int(deep[:, HIGH].max())
    return (low, high) if 0 < high - low < NARROW else None
