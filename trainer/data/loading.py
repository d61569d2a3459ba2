"""The data set that a config chooses, and the batches in which a training reads it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer import data
from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.config.data import Data
from trainer.config.train import Train
from trainer.data.augment import Augmenter, named
from trainer.data.batches import Batches
from trainer.data.custom import adapt
from trainer.data.described import as_trained
from trainer.data.mixing import Mixer
from trainer.data.own_augment import OwnAugmenter
from trainer.data.placing import Placing, together
from trainer.data.preparing import prepare
from trainer.data.splits import Dataset, Track, packed, untracked
from trainer.system.errors import ConfigError


def load_dataset(
    config: Config,
    track: Track[Any] = untracked,
    loaded: Dataset | None = None,
    trained: Mapping[str, Any] | None = None,
    whole: bool = False,
) -> Dataset:
    """Load the data that `config` chooses, unless they are `loaded`, and fill in what models take from them.

    `trained` is what the checkpoint of a model that they are for says of its data. A `whole` data set is not split.

    Raises:
        DataError, ConfigError: The data are missing or cannot be read, or the user's own class fails.
    """
    section = config.data
    config.samples.check_folds()
    if loaded is not None:
        pass
    elif isinstance(section, Custom):
        raw = adapt(custom.call("data", section), config.choices.get("data", section.target))
        loaded = prepare(raw, section.common)
    else:
        loaded = data.load(section, track, trained, whole)
    if trained is not None:
        loaded = as_trained(loaded, trained)
    config.fill_data(loaded.facts())
    return loaded


def example(loaded: Dataset, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The first sample, (1, ...), as a model sees it; no other is read."""
    splits = [split for split in (loaded.train, loaded.val, loaded.test) if split is not None]
    first = next(split for split in splits if len(split)).take(slice(1))  # a file to evaluate may train nothing
    inputs, _ = next(iter(Batches(first, 1, device, dtype, loaded.mean, loaded.std, workers=0)))
    return inputs


def training_batches(
    config: Train,
    loaded: Dataset,
    device: torch.device,
    dtype: torch.dtype,
    placing: Placing,
    wants_two: bool = False,
    beside: Batches | None = None,
) -> Batches:
    """The training split on the device, or read as `placing` says, in random order and augmented as `config` says.

    `wants_two` says that a batch of one sample is too small for the model. With `beside`, the batches of another
    run with the same data, the samples are shared with that.

    Raises:
        ConfigError: Tables are to be augmented, or values to be balanced.
    """
    common: Data = config.samples
    if beside is not None:
        batches = beside.reseeded(config.seed)
    else:
        balanced = common.sampler == "balanced"
        if balanced and loaded.classes is None:
            raise ConfigError(
                f"data.sampler=balanced: data={loaded.name} has no classes, its targets are values", "leave it out"
            )
        batches = Batches(
            loaded.train,
            common.batch_size,
            device,
            dtype,
            loaded.mean,
            loaded.std,
            _augmenter(config, loaded),
            config.seed,
            placing.workers,
            loaded.target_mean,
            loaded.target_std,
            balanced,
            _mixer(common, loaded),
            placing.window,
            together(common),
        )
    droppable = 0 < batches.last < batches.total
    batches.drops_last = droppable and (
        common.drop_last == "true" or (common.drop_last == "auto" and wants_two and batches.last == 1)
    )
    return batches


def single_sample(batches: Batches) -> ConfigError:
    """The error for a last batch of one sample, and a model that cannot be trained on it."""
    return ConfigError(
        f"the last batch has one sample (batches of {batches.batch_size}), and batch normalisation needs two",
        "leave data.drop_last=false out" if 0 < batches.last < batches.total else "set a larger data.batch_size",
    )


def _augmenter(config: Train, loaded: Dataset) -> Augmenter | None:
    if not loaded.is_image:
        return None
    given, (height, width) = config.samples.augment, loaded.train.shape[1:]
    own = config.own.get("augment", {}).get(given.preset)
    augmenter = OwnAugmenter(given, height, width, own) if own is not None else Augmenter(given, height, width)
    if augmenter.changes.shift >= min(height, width):
        shift = augmenter.changes.shift
        raise ConfigError(f"data.augment.shift={shift}: the images are {width}x{height}", "shift less")
    if isinstance(augmenter, OwnAugmenter):
        augmenter.check(packed(loaded.train.take(slice(2)).inputs))
    return augmenter if augmenter.changes_images else None


def _mixer(common: Data, loaded: Dataset) -> Mixer | None:
    given = common.augment
    if not loaded.is_image and (given.cutmix or given.preset != "none" or any(named(given).values())):
        raise ConfigError(
            f"data.augment is for images, and data={loaded.name} is a table", "leave it out, or use data.augment.mixup"
        )
    if not given.mixup and not given.cutmix:
        return None
    shape = tuple(loaded.train.shape[1:]) if loaded.is_image else ()
    return Mixer(given.mixup, given.cutmix, shape, None if loaded.classes is None else len(loaded.classes))


def eval_batch_size(config: Config, loaded: Dataset) -> int:
    """Samples per batch in evaluation: `data.eval_batch_size`, or 1,000, or fewer if samples are large."""
    values = loaded.train.shape.numel()
    return int(config.samples.eval_batch_size or max(1, min(1000, 2**24 // values)))
