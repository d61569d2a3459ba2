"""An augmentation of the user's own: a transform of torchvision's, or any callable that changes a batch of images."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.config import custom
from trainer.config.base import Custom
from trainer.config.data import Augment
from trainer.data.augment import Augmenter
from trainer.system.errors import ConfigError, named

_SEEDS = 2**32  # what NumPy takes
_TORCHVISION = "torchvision.transforms."


class OwnAugmenter(Augmenter):
    """Changes images as `config` says, and then as the user's own callable does.

    For each sample a seed is drawn, and all generators are set by that of a batch's first sample while the callable
    changes it. So a batch is the same whatever was drawn before it, and afterwards all is as if nothing was drawn.
    """

    def __init__(self, config: Augment, height: int, width: int, section: Custom) -> None:
        super().__init__(config, height, width)
        path = f"augment.{config.preset}"
        self.what = f"data.augment={config.preset} ({section.target})"
        own = custom.part(path, section)
        if not callable(own):
            raise ConfigError(f"{self.what} cannot be called", "give the class a method __call__(self, images)")
        draws_once = type(own).__module__.startswith(_TORCHVISION)
        self.alone = section.common.per == "image" or (section.common.per == "auto" and draws_once)
        self.own: Callable[..., Any] = own
        self.guarded = custom.guarded(self.what, own)
        self.drawn = {**self.drawn, "seed": _SEEDS}

    @property
    def changes_images(self) -> bool:
        return True

    @property
    def changes_batches(self) -> bool:
        return True

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Return changed copies of `images`, given the rows of `draw` that are theirs."""
        return self._changed(super().apply(images, drawn), drawn, self.guarded)

    def check(self, images: Tensor) -> None:
        """Try the callable on `images` (B, H, W, C).

        Raises:
            ConfigError: It fails, or does not give images of the same kind.
        """
        try:
            self._changed(images.clone(), self.draw(len(images), torch.Generator().manual_seed(0)), self.own)
        except ConfigError:
            raise
        except Exception as error:
            n, h, w, c = images.shape
            shape = (1 if self.alone else n, c, h, w)
            raise ConfigError(
                f"{self.what} fails on images of shape {shape}, {images.dtype}: {named(error)}", custom.WHERE
            ) from error

    def _changed(self, images: Tensor, drawn: Tensor, own: Callable[..., Any]) -> Tensor:
        batch = images.permute(0, 3, 1, 2)
        with _generators(images.device, int(drawn[0, -1])):
            changed = torch.cat([self._one(own, part) for part in torch.split(batch, 1 if self.alone else len(batch))])
        return changed.permute(0, 2, 3, 1)

    def _one(self, own: Callable[..., Any], images: Tensor) -> Tensor:
        found = own(images)
        if not isinstance(found, Tensor) or (found.shape, found.dtype) != (images.shape, images.dtype):
            given = f"{tuple(found.shape)}, {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
            raise ConfigError(
                f"{self.what} gives {given} for images of shape {tuple(images.shape)}, {images.dtype}",
                "an augmentation gives images of the same shape and type",
            )
        return found


@contextmanager
def _generators(device: torch.device, seed: int) -> Iterator[None]:
    """Within the block all generators go on from `seed`; after it they stand where they stood before."""
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
