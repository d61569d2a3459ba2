"""The keys that data sets share; those of each stand in `trainer/data/sets/NAME.py`."""

from dataclasses import dataclass, field
from typing import ClassVar

from trainer.config.keys import MISSING, key
from trainer.system.errors import ConfigError

CACHE = "${oc.env:TRAINER_CACHE,'~/.cache/trainer'}"  # the folder of the cache, unless another is given


FEW = 1000  # samples of which `val_fraction=auto` holds none out


@dataclass
class Augment:
    """Random changes to training images, drawn anew for each sample and epoch from the run's seed.

    `data.augment=NAME` on the command line is short for `data.augment.preset=NAME`. Beside a preset, a key that is not
    null goes before it.
    """

    preset: str = key(
        "none",
        "light: mirrored, shifted by up to a sixteenth; standard: also turned by up to 10 degrees, zoomed by up to 0.1 "
        "and jittered by 0.2; strong: mirrored, shifted, one operation of TrivialAugment, erased with probability "
        "0.25; or one of your own, from ./configs/augment",
        choices=("none", "light", "standard", "strong"),
        often=True,
        kind="augment",
    )
    flip: bool | None = key(None, "mirror left to right with probability one half")
    crop: int | None = key(None, "pad by N black pixels and crop at random (0: off)", minimum=0)
    shift: int | None = key(None, "move by up to N pixels; the border is mirrored (0: off)", minimum=0)
    cutout: int | None = key(None, "side of a random square set to black (0: off)", minimum=0)
    rotate: float | None = key(None, "turn by up to N degrees; the border is mirrored (0: off)", minimum=0, maximum=180)
    zoom: float | None = key(None, "scale by 1 - N to 1 + N; the border is mirrored (0: off)", minimum=0, below=1)
    jitter: float | None = key(
        None, "change brightness, contrast and saturation by factors of 1 - N to 1 + N (0: off)", minimum=0, maximum=1
    )
    trivial: bool | None = key(None, "one operation of TrivialAugment (wide) of random strength")
    erase: float | None = key(
        None, "probability that a random rectangle is set to black (0: off)", minimum=0, maximum=1
    )
    mixup: float | None = key(
        None,
        "mix each sample of a batch, and its target, with another by a share from Beta(N, N) (0: off)",
        minimum=0,
    )
    cutmix: float | None = key(
        None, "put a rectangle of another image of the batch into each, of an area from Beta(N, N) (0: off)", minimum=0
    )


@dataclass
class Data:
    """Keys that every data set has."""

    classifies: ClassVar[bool | None] = True  # whether it has classes; None: only the files tell
    adapts: ClassVar[bool] = False  # whether `load` takes `trained`, what a checkpoint says of the data it is for
    name: str = key(MISSING, "registry name")
    batch_size: int | None = key(64, "samples per step; null: the whole training set", minimum=1, often=True)
    sampler: str = key(
        "shuffle",
        "which samples an epoch has: shuffle: each once, in random order; balanced: as many of each class, drawn with "
        "replacement, and as many in all",
        choices=("shuffle", "balanced"),
    )
    drop_last: str = key(
        "auto",
        "leave the last batch of an epoch out if it is smaller than the others: true, false, or auto: only if it is "
        "one sample and the model has batch normalisation",
        choices=("auto", "true", "false"),
    )
    eval_batch_size: int | None = key(
        None,
        "samples per batch in evaluation; null: 1,000, or fewer of large ones",
        minimum=1,
        private=True,
        runtime=True,
    )
    val_fraction: float | str = key(
        0.1,
        "share of the training set held out for validation; auto: 0.1, or none of a set of fewer than 1,000 samples",
        words=("auto",),
        minimum=0,
        below=1,
        often=True,
    )
    folds: int | None = key(
        None, "divide the training set into N parts, of which `fold` validates, in the place of val_fraction", minimum=2
    )
    fold: int | None = key(None, "which of the `folds` validates, from 0; all: -m data.fold=range(N)", minimum=0)
    split_seed: int = key(0, "seed of the random splits; not `seed`, so that runs can be compared", minimum=0)
    limit: int | None = key(
        None, "use only N samples of each split: the first, or of tables at random", minimum=1, often=True
    )
    strict: bool = key(
        False, "refuse what would be cleaned up: broken images, empty cells, files that belong nowhere", runtime=True
    )
    augment: Augment = field(default_factory=Augment, metadata={"doc": "random changes to training images"})
    placement: str = key(
        "auto",
        "device: all samples lie on the training device; stream: batches come from files or main memory; windows: from "
        "one file, of which a window is read at a time; auto: on the device if they take at most half of its free "
        "memory, in windows if they are larger than main memory",
        choices=("auto", "device", "stream", "windows"),
        private=True,
        runtime=True,
    )
    window: float | str | None = key(
        "auto",
        "MB of samples that are shuffled together, of which memory holds two times as many while they are read from "
        "a file; null: all samples; auto: all, or an eighth of the free memory where they are larger than that",
        words=("auto",),
        above=0,
        private=True,
    )
    workers: int | None = key(
        None,
        "processes that read streamed batches; null: by placement and cores",
        minimum=0,
        maximum=256,
        private=True,
        runtime=True,
    )
    features: int | None = key(None, "values per sample; filled in from the data", minimum=1, private=True)
    outputs: int | None = key(None, "classes or target columns; filled in from the data", minimum=1, private=True)
    num_classes: int | None = key(None, "classes; filled in from the data (null: regression)", minimum=2, private=True)
    channels: int | None = key(None, "channels of the images; filled in from the data", minimum=1, private=True)
    size: int | None = key(None, "side of the square images; filled in from the data", minimum=1, private=True)

    def held_out(self, total: int) -> float:
        """What `val_fraction` means for a training set of so many samples.

        A tenth of a small one tells little of a model, and the model misses it.
        """
        if isinstance(self.val_fraction, float | int):
            return self.val_fraction
        return 0.0 if total < FEW else 0.1

    def check_folds(self) -> None:
        """Check that `folds` and `fold` go together.

        Raises:
            ConfigError: one of them is missing, or there are not so many folds.
        """
        if self.folds is None and self.fold is not None:
            raise ConfigError(f"data.fold={self.fold}: of how many is not said", "give data.folds=5, say")
        if self.folds is not None and self.fold is None:
            raise ConfigError(
                f"data.folds={self.folds}: which of them validates is not said",
                f"give data.fold=0, or train on all of them: trainer train -m 'data.fold=range({self.folds})'",
            )
        if self.folds is not None and self.fold is not None and self.fold >= self.folds:
            raise ConfigError(
                f"data.fold={self.fold}: there are {self.folds} folds, from 0 to {self.folds - 1}",
                f"give data.fold={self.folds - 1}, or more data.folds",
            )


@dataclass
class Rows(Data):
    """Keys of the data sets that are the rows of a table, which may be few."""

    val_fraction: float | str = key(
        "auto",
        "share of the training set held out for validation; auto: 0.1, or none of a set of fewer than 1,000 samples",
        words=("auto",),
        minimum=0,
        below=1,
    )
    test_fraction: float = key(0.2, "share held out for testing", above=0, below=1, often=True)


@dataclass
class Cached(Data):
    """Keys of the data sets whose samples are decoded once and kept."""

    cache: str | None = key(
        CACHE,
        "folder that decoded samples are kept in ($TRAINER_CACHE, or ~/.cache/trainer); null: none",
        private=True,
        runtime=True,
        outward=True,
        text=True,
    )
    cache_limit: float | None = key(
        50.0,
        "GB that the entries of the cache may take together: those used least recently are removed when one is made; "
        "null: any",
        above=0,
        private=True,
        runtime=True,
    )


@dataclass
class Pictures(Cached):
    """Keys of the data sets that are image files of the user's own."""

    path: str = key(MISSING, "where they lie", runtime=True, text=True, often=True)
    size: int | None = key(32, "side of the square images that the model sees", minimum=1)
    resize: int | None = key(
        None,
        "shorter side before the centre crop to `size`; null: images are scaled to the square",
        minimum=1,
    )
    channels: int | None = key(3, "1 (grey) or 3 (colour)", minimum=1, maximum=3)
    levels: list[int] | None = key(
        None,
        "values of 16-bit grey images that become black and white; null: those that the training images use where "
        "they are a small part of 16 bits, or else all",
        minimum=0,
        maximum=65535,
        length=2,
    )
    mean: list[float] | None = key(None, "per channel, of values in 0..1; null: measured on the training set")
    std: list[float] | None = key(None, "per channel, of values in 0..1; null: measured on the training set")
    preprocess: str | None = key(
        None,
        "weights: take size, resize, mean and std from what the model's pretrained weights were trained with, where "
        "they are not typed",
        choices=("weights",),
        private=True,
    )
    test_fraction: float = key(
        0.2, "share held out for testing where there is no test split", above=0, below=1, often=True
    )
    duplicates: str = key(
        "warn",
        "test or validation images that are in the training split, too: warn of them, or drop them from training",
        choices=("warn", "drop"),
    )


@dataclass
class Downloaded(Cached):
    """Keys of the data sets that torchvision downloads."""

    root: str = key(
        "${oc.env:TRAINER_DATA,data}", "folder the data sets lie in ($TRAINER_DATA, or ./data)", runtime=True, text=True
    )
    download: bool = key(True, "download what is missing", private=True, runtime=True, outward=True)


SHARED = Data
