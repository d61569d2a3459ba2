"""A data set of a user's own with a fault of each kind, for `trainer check`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
ROWS, IMAGES = 400, 240


class Planted:
    """Rows or images that a model can learn from, but for the fault of this `kind`.

    `_target_: planting.Planted` and `kind: labels` in configs/data/NAME.yaml choose it.
    """

    def __init__(self, kind: str) -> None:
        draw = torch.Generator().manual_seed(7)
        base, change = KINDS[kind]
        self.train, self.test = base(draw), base(draw, share=0.5)
        self.val, self.mean, self.std = None, None, None
        if change is not None:
            change(self, draw)


def rows(draw: torch.Generator, share: float = 1.0) -> Pair:
    """Six columns, of which three say something about two classes."""
    inputs = torch.randn(int(share * ROWS), 6, generator=draw)
    scores = inputs[:, 0] + inputs[:, 1] - inputs[:, 2] + torch.randn(len(inputs), generator=draw)
    return inputs, (scores > 0).long()


def values(draw: torch.Generator, share: float = 1.0) -> Pair:
    """The same with two quantities as targets."""
    inputs = torch.randn(int(share * ROWS), 6, generator=draw)
    noise = torch.randn(len(inputs), 2, generator=draw)
    return inputs, torch.stack([inputs[:, :3].sum(1), inputs[:, 2:5].sum(1)], 1) + noise


def images(draw: torch.Generator, share: float = 1.0) -> Pair:
    """Noisy images of three channels, which are a little brighter on the left or on the right."""
    classes = torch.arange(int(share * IMAGES)) % 2
    brighter = torch.zeros(len(classes), 1, 12, 12)
    brighter[classes == 0, :, :, :6] = 25
    brighter[classes == 1, :, :, 6:] = 25
    noise = 40 * torch.randn(len(classes), 3, 12, 12, generator=draw)
    return (110 + brighter + noise).clamp(0, 255).byte(), classes


def _shuffled(data: Any, draw: torch.Generator) -> None:
    inputs, targets = data.train
    data.train = inputs, targets[torch.randperm(len(targets), generator=draw)]


def _constant(data: Any, draw: torch.Generator) -> None:
    data.train[0][:, 4] = 3.0


def _leaking(data: Any, draw: torch.Generator) -> None:
    for inputs, targets in (data.train, data.test):
        inputs[:, 5] = targets + 0.1 * torch.randn(len(targets), generator=draw)


def _leaking_value(data: Any, draw: torch.Generator) -> None:
    for inputs, targets in (data.train, data.test):
        inputs[:, 5] = 1.2 * targets[:, 0] + 0.05 * torch.randn(len(targets), generator=draw)


def _counting(data: Any, draw: torch.Generator) -> None:
    numbers = torch.arange(ROWS * 3 // 2).float()[torch.randperm(ROWS * 3 // 2, generator=draw)]
    data.train[0][:, 3], data.test[0][:, 3] = numbers[:ROWS] / 100, numbers[ROWS:] / 100


def _wide(data: Any, draw: torch.Generator) -> None:
    data.train[0][:, 2] *= 1e4
    data.test[0][:, 2] *= 1e4


def _moved(data: Any, draw: torch.Generator) -> None:
    data.test[0].add_(3.0)


def _copied_rows(data: Any, draw: torch.Generator) -> None:
    data.test = data.train[0][:100].clone(), data.train[1][:100].clone()


def _contradicting_rows(data: Any, draw: torch.Generator) -> None:
    inputs, targets = data.train
    inputs[:220], targets[:110], targets[110:220] = inputs[:110].repeat(2, 1), 0, 1


def _rare(data: Any, draw: torch.Generator) -> None:
    inputs, targets = data.train
    kept = (targets == 0) | ((targets == 1).cumsum(0) <= 1)
    data.train = inputs[kept], targets[kept]


def _absent(data: Any, draw: torch.Generator) -> None:
    data.train[1].mul_(2)
    data.test[1].mul_(2)
    data.test[1][:30] = 1


def _tiny_val(data: Any, draw: torch.Generator) -> None:
    data.val = rows(draw, share=0.01)


def _huge_targets(data: Any, draw: torch.Generator) -> None:
    data.train, data.test = ((x, 1e6 + 1e5 * y) for x, y in (data.train, data.test))


def _uneven_targets(data: Any, draw: torch.Generator) -> None:
    for _, targets in (data.train, data.test):
        targets[:, 1] *= 0.002


def _one_target(data: Any, draw: torch.Generator) -> None:
    data.train[1].fill_(4.0)


def _copied_images(data: Any, draw: torch.Generator) -> None:
    data.test[0][:20] = data.train[0][:20]


def _contradicting_images(data: Any, draw: torch.Generator) -> None:
    data.train[0][1::20] = data.train[0][0::20]


def _blank(data: Any, draw: torch.Generator) -> None:
    data.train[0][:10] = 0


def _empty_channel(data: Any, draw: torch.Generator) -> None:
    data.train[0][:, 2] = 0


def _marked(data: Any, draw: torch.Generator) -> None:
    for inputs, targets in (data.train, data.test):
        inputs[:, :, 0, 11] = (250 * targets).byte()[:, None]


def _dim(data: Any, draw: torch.Generator) -> None:
    data.train, data.test = ((x // 128, y) for x, y in (data.train, data.test))


def _not_scaled(data: Any, draw: torch.Generator) -> None:
    data.train, data.test = ((x.float(), y) for x, y in (data.train, data.test))


def _wrong_moments(data: Any, draw: torch.Generator) -> None:
    data.mean, data.std = (122.0,) * 3, (44.0,) * 3


# What a look is to find: the samples without the fault, and what is done to them.
KINDS: dict[str, tuple[Callable[..., Pair], Callable[[Any, torch.Generator], None] | None]] = {
    "rows": (rows, None),
    "values": (values, None),
    "images": (images, None),
    "absent": (rows, _absent),
    "balance": (rows, _rare),
    "labels": (rows, _shuffled),
    "labels_values": (values, _shuffled),
    "labels_images": (images, _shuffled),
    "constant": (rows, _constant),
    "blank": (images, _blank),
    "channel": (images, _empty_channel),
    "leaks": (rows, _leaking),
    "leaks_value": (values, _leaking_value),
    "leaks_pixel": (images, _marked),
    "identifiers": (rows, _counting),
    "normalisation_rows": (rows, _wide),
    "normalisation_bytes": (images, _dim),
    "normalisation_floats": (images, _not_scaled),
    "normalisation_given": (images, _wrong_moments),
    "shift": (rows, _moved),
    "copies": (rows, _copied_rows),
    "copies_images": (images, _copied_images),
    "contradictions": (rows, _contradicting_rows),
    "contradictions_images": (images, _contradicting_images),
    "splits": (rows, _tiny_val),
    "scales": (values, _huge_targets),
    "scales_columns": (values, _uneven_targets),
    "scales_constant": (values, _one_target),
}
