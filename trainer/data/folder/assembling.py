"""A data set of images that are listed: which are of which split, how they are read, and what is said of it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.config.data import Pictures
from trainer.data.dividing import divide
from trainer.data.folder.listing import Listing
from trainer.data.folder.notes import Notes
from trainer.data.folder.reading import DIGEST, Reader, with_levels
from trainer.data.image import Levels, Way
from trainer.data.splits import Dataset, Split, Track
from trainer.system.errors import DataError
from trainer.system.shown import counted

Pick = tuple[str, Tensor]  # the name of a listing, and the numbers of some of its files


def way_of(config: Pictures, trained: Mapping[str, Any] | None) -> Way:
    """How `config` says that images are read.

    Raises:
        DataError: Keys contradict each other.
    """
    channels, size = config.channels or 3, config.size or 32
    if channels == 2:
        raise DataError("data.channels=2: images have 1 channel (grey) or 3 (colour)")
    levels = config.levels or (trained or {}).get("levels")
    if levels is not None and not levels[0] < levels[1]:
        raise DataError(f"data.levels={list(levels)}: the first is to be below the second")
    return Way(size, config.resize, channels, None if levels is None else (levels[0], levels[1]))


def assembled(
    config: Pictures,
    path: Path,
    beside: Mapping[str, Any],
    classes: Sequence[str],
    listings: dict[str, Listing],
    notes: Notes,
    track: Track[object],
    trained: Mapping[str, Any] | None,
) -> Dataset:
    """Read the images of `listings` and make splits of them; without `test`, that is cut at random from `train`.

    They lie below `path`. What they are listed by says `beside`, if it is more than that: see `Reader`.
    Images are decoded once, into the cache or, without one, into memory. If they do not fit there, they are decoded
    once as a check, and then batch by batch.

    Raises:
        DataError: An image cannot be read, or a key cannot be followed.
    """
    way = way_of(config, trained)
    mean, std = (_per_channel(k, v, way.channels) for k, v in (("mean", config.mean), ("std", config.std)))
    if (mean is None) != (std is None):
        raise DataError("data.mean and data.std go together", "give both, or neither to have them measured")
    there = sum(len(listing.files) + len(listing.skipped) for listing in listings.values())
    picks = _picks(config, listings)
    if config.limit is not None:  # so that only images that are used are decoded
        listings = {name: listings[listing].some(index, name == listing) for name, (listing, index) in picks.items()}
        picks = {name: (name, torch.arange(len(listings[name].files))) for name in picks}
    picks.setdefault("test", ("train", torch.arange(0)))  # who only evaluates the images holds nothing back
    reader = Reader(config, path, beside, listings, there, track)
    listing, index = picks["train"]
    read = reader.read(way) if trained is not None else with_levels(reader, way, {listing: index})
    splits = {}
    for name, (listing, index) in picks.items():
        index = index[read.readable(listing)[index]]
        if not len(index) and (name != "test" or config.test_fraction):
            raise DataError(f"{config.path}: no image of the {name} split can be read", "add some")
        targets, digests = torch.tensor(listings[listing].labels)[index], read.known[listing][index, DIGEST]
        splits[name] = Split(read.samples[listing], targets, index, digests=digests, names=listings[listing])
    skipped = reader.skipped(read.known, read.reasons)
    if skipped:
        first, reason = skipped[0]
        more = f", and {counted(len(skipped) - 1, 'other')} (skipped.txt of the run)" if len(skipped) > 1 else ""
        notes.say(f"{notes.name(first)} left out: {reason}{more}")
    if read.way.levels is not None:
        notes.say(_of_levels(read.way.levels))
    return Dataset(
        config.name,
        splits["train"],
        splits["test"],
        splits.get("val"),
        tuple(classes),
        mean,
        std,
        standardise=True,
        cache=read.note,
        notes=tuple(notes.lines),
        skipped=tuple(skipped),
        levels=read.way.levels,
    )


def _of_levels(levels: Levels) -> str:
    low, high = levels
    return f"16-bit grey images are read with {low:,} as black and {high:,} as white (data.levels decides otherwise)"


def _picks(config: Pictures, listings: dict[str, Listing]) -> dict[str, Pick]:
    """The files of each split, in a fixed random order, so that the first few are of all classes."""
    total, where = len(listings["train"].files), f" in {config.path}"
    picks = {name: (name, torch.arange(len(listing.files))) for name, listing in listings.items()}
    if "test" not in picks and config.test_fraction:
        train, test = divide(total, config.test_fraction, config.split_seed, "data.test_fraction", where)
        picks |= {"train": ("train", train), "test": ("train", test)}
    shuffled = {}
    for name, (listing, index) in picks.items():
        order = torch.randperm(len(index), generator=torch.Generator().manual_seed(config.split_seed))
        shuffled[name] = listing, index[order[: config.limit]]
    return shuffled


def _per_channel(key: str, values: list[float] | None, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) == 1:
        values = values * channels
    if len(values) != channels or not all(map(math.isfinite, values)) or (key == "std" and min(values) <= 0):
        raise DataError(f"data.{key}={values}: {channels} numbers are needed{', above 0' if key == 'std' else ''}")
    return tuple(values)
