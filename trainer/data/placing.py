"""Where the samples of a run lie, and how they reach the device: chosen by what fits, or as the user says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from trainer.config.base import Config
from trainer.config.data import Data
from trainer.data.cache import Mapped
from trainer.data.cache_entry import readable
from trainer.data.folder.files import Files
from trainer.data.shuffle import in_windows
from trainer.data.splits import Dataset
from trainer.system.errors import ConfigError
from trainer.system.machine import cores
from trainer.system.memory import RESIDENT_SHARE, free_memory
from trainer.system.shown import counted

MB = 10**6
MAPPED_SHARE = 0.75  # of the memory that is free: so much of it may a mapped file fill, beside what training takes
WINDOW_SHARE = 8  # part of the memory that is free which a window takes; there are two
LEAST = 16  # MB of a window, however little is free


@dataclass(frozen=True)
class Placing:
    """How samples are read: by so many `workers`, or in windows of so many bytes; neither: they are where they are.

    `why` says what they do not fit into.
    """

    workers: int | None = None
    window: int | None = None
    why: str = field(default="", compare=False)

    @property
    def ahead(self) -> int | None:
        """Bytes that are read at a time where samples are taken in order: less will do, for nothing is shuffled."""
        return None if self.window is None else max(1, self.window // 4)

    def __str__(self) -> str:
        how = "on the device"
        if self.window is not None:
            how = f"read in windows of {self.window / MB:g} MB"
        elif self.workers is not None:
            how = f"streamed by {counted(self.workers, 'worker')}" if self.workers else "streamed"
        return f"{how} ({self.why})" if self.why else how


ON_DEVICE = Placing()


def placed(config: Config, loaded: Dataset, device: torch.device, begun: bool = False) -> Placing:
    """How the samples of a data set are read on a device, as `data.placement` says.

    A training that has `begun` keeps the order of its samples, which only windows of the same size can follow.

    Raises:
        ConfigError: The config wants them on the device, and they do not fit; or in windows, and its order forbids it.
    """
    common: Data = config.samples
    splits = [split for split in (loaded.train, loaded.val, loaded.test) if split is not None]
    decoding = any(isinstance(split.samples, Files) for split in splits)
    mapped = all(isinstance(split.samples, Mapped) for split in splits)
    needed, why = sum(split.nbytes for split in splits), ""
    whole = common.window is None or (begun and common.window == "auto")  # all samples are shuffled together
    if common.placement == "windows":
        return Placing(window=_demanded(common, decoding, whole))
    if not decoding and common.placement != "stream":
        free, memory = free_memory(device), free_memory(torch.device("cpu"))
        fits = needed <= (MAPPED_SHARE if mapped and device.type == "cpu" else RESIDENT_SHARE) * free
        if common.placement == "device" and needed > free and not (mapped and device.type == "cpu"):
            raise ConfigError(
                f"data.placement=device: the samples take {needed / 2**30:.1f} GiB, and {device} has "
                f"{free / 2**30:.1f} GiB free",
                "use data.placement=stream",
            )
        if fits or common.placement == "device":
            return Placing()
        why = f"{readable(needed)} of samples, {readable(free)} free"
        if mapped and needed > MAPPED_SHARE * memory:
            why = f"{readable(needed)} of samples, {readable(memory)} of memory free"
            if not whole:
                return Placing(window=_window(common), why=why)
            why += ": each is read from the disk, at random"
        if mapped and device.type == "cpu":
            return Placing(why=why)
    return Placing(_workers(common, device, decoding), why=why)


def _workers(common: Data, device: torch.device, decoding: bool) -> int:
    if common.workers is not None:
        return common.workers
    if device.type == "cpu":  # training needs the same cores
        return max(1, cores() // 2) if decoding else 0
    return max(1, min(8, cores() - 1)) if decoding else 2


def _demanded(common: Data, decoding: bool, whole: bool) -> int:
    if decoding:
        raise ConfigError(
            "data.placement=windows: the images are decoded from their files, which workers read",
            "give data.cache, which keeps decoded images in one file; or leave data.placement out",
        )
    if whole:
        raise ConfigError(
            "data.placement=windows: all samples of this training are shuffled together (data.window=null)",
            "leave data.window out, or data.placement",
        )
    return _window(common)


def together(common: Data) -> int | None:
    """Bytes of samples that are shuffled together; None: all of them."""
    return None if common.window is None or isinstance(common.window, str) else max(1, int(common.window * MB))


def _window(common: Data) -> int:
    """Bytes of a window: as the user says, or a power of two of MB, so that runs side by side have the same."""
    if (given := together(common)) is not None:
        return given
    fitting = free_memory(torch.device("cpu")) // (WINDOW_SHARE * MB)
    return max(LEAST, 2 ** (int(fitting).bit_length() - 1) if fitting else 0) * MB


def settled(config: Any, loaded: Dataset, placing: Placing, told: Callable[[Any], Any]) -> list[tuple[str, str]]:
    """Enter the window that was chosen, for a resumed training needs the same; what to say of it.

    Of several ranks the first decides, which has `told` the others: for all have the same order.

    How well such an order mixes is said by what a batch is drawn from: two samples that lie side by side in the file
    meet in a batch as much more often as that is less than all.
    """
    common: Data = config.samples
    window = told(placing.window) if common.window == "auto" else None
    if window is not None:
        megabytes = window / MB
        config.enter_data({"window": int(megabytes) if megabytes.is_integer() else megabytes})
    nbytes, total = together(common), len(loaded.train)
    shuffle = None if nbytes is None else in_windows(loaded.train, nbytes, min(common.batch_size or total, total))
    if shuffle is None:
        return []
    drawn = f"each batch is drawn from {shuffle.spread:,} stretches of the file, {shuffle.share:.0%} of the samples"
    return [("order", f"{drawn} (data.window={common.window:g})")]
