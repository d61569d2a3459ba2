"""The samples on which an exported file is proved: each as its user has it, and as the trained model takes it."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.image import fitted, read_image, read_whole
from trainer.data.splits import Split, Track, packed
from trainer.data.table.cells import Cells
from trainer.export import columns_rows
from trainer.export.columns import Input, inputs_of
from trainer.export.facts import is_of_files
from trainer.predict.predictor import Predictor

BATCH = 64  # samples at most that are sent through at once
_BYTES = 2**26  # and bytes, for photos are large
Table = Mapping[str, Any]  # an array or tensor (N,) for each column
OfTable = Callable[[Sequence[Input], Mapping[str, Cells], int], Table]  # a way to make one of cells
RANDOM = 1000  # samples that are made up where there are no data


@dataclass(frozen=True)
class Samples:
    """Some samples of a split: `given` (N, ...) as the exported file takes them, and `taken` (N, ...) as the predictor
    does; `targets` (N, ...) are None where the samples are made up.
    """

    given: Any
    taken: Tensor
    targets: Tensor | None

    def __len__(self) -> int:
        return len(self.taken)

    def few(self, count: int) -> "Samples":
        """The first so many of them; what is `given` is an array, or one by the name of each column."""
        given = self.given
        first = {name: cells[:count] for name, cells in given.items()} if isinstance(given, dict) else given[:count]
        return Samples(first, self.taken[:count], None)

    def repeated(self, count: int) -> "Samples":
        """The first of them, so many times, where it stands alone: images of other sizes come after it."""
        if len(self) > 1 or not isinstance(self.given, np.ndarray):
            return self
        times = max(1, min(count, _BYTES // max(1, self.given.nbytes)))
        return Samples(np.repeat(self.given, times, 0), self.taken.expand(times, *self.taken.shape[1:]), None)


def of_split(predictor: Predictor, split: Split, track: Track[Any], table: Table | None = None) -> Iterator[Samples]:
    """All samples of a split, in order: images from their files, in the sizes that they have, if the data are files.

    A `table` is what the exported file takes of the rows of a table with a column plan.
    """
    numbers = track(range(len(split)), len(split), "proving")
    if is_of_files(predictor) and _is_file(split):
        yield from _files(predictor, split, iter(numbers))
        return
    numbers = iter(numbers)
    for start in range(0, len(split), BATCH):
        index = slice(start, start + sum(1 for _ in zip(range(BATCH), numbers)))  # noqa: B905  the last has fewer
        part = _of_arrays(predictor, packed(split[index]), split.targets[index])
        yield part if table is None else replace(part, given={name: cells[index] for name, cells in table.items()})


def made_up(predictor: Predictor, track: Track[Any], of_table: OfTable | None = None) -> Iterator[Samples]:
    """Random samples, as many as `RANDOM`: images of noise in several sizes, features of the data's mean and spread."""
    drawing = np.random.default_rng(0)
    for _ in track(range(0, RANDOM, BATCH), -(-RANDOM // BATCH), "proving"):
        if of_table is not None and predictor.plan is not None:
            cells = columns_rows.made_up(predictor.plan, BATCH, drawing)
            taken = torch.from_numpy(columns_rows.encoded(predictor.plan, cells, BATCH))
            yield Samples(of_table(inputs_of(predictor.plan), cells, BATCH), taken, None)
            continue
        if not predictor.is_image:
            features = torch.from_numpy(drawing.standard_normal((BATCH, predictor.shape.numel())))
            if predictor.mean is not None and predictor.std is not None:
                features = features * torch.tensor(predictor.std).double() + torch.tensor(predictor.mean).double()
            yield _of_arrays(predictor, features, None)
            continue
        channels, *sides = predictor.shape
        if is_of_files(predictor):
            sides = [int(side) for side in drawing.integers(1, 2 * predictor.way.size + 9, 2)]
        if predictor.facts.get("bytes", True):
            yield _of_arrays(predictor, torch.from_numpy(_noise(drawing, (BATCH, *sides, channels))), None)
        else:
            yield _of_arrays(predictor, torch.from_numpy(drawing.random((BATCH, *sides, channels), np.float32)), None)


def resized(predictor: Predictor, given: np.ndarray) -> Tensor:
    """Images as the exported file takes them, as the predictor does: resized by Pillow."""
    if not is_of_files(predictor) or given.shape[1:] == predictor.way.shape:
        return torch.from_numpy(given)
    images = [Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in given]
    return torch.from_numpy(np.stack([fitted(image, predictor.way) for image in images]))


def _of_arrays(predictor: Predictor, samples: Tensor, targets: Tensor | None) -> Samples:
    """Samples that lie in memory as numbers."""
    if predictor.is_image:
        given = samples.numpy() if samples.dtype == torch.uint8 else samples.float().numpy()
        return Samples(given, samples if targets is not None else resized(predictor, given), targets)
    given = (samples.float() if predictor.plan is not None else samples.double()).numpy()
    return Samples(given, samples, targets)


def _is_file(split: Split) -> bool:
    name = split.name(0)
    return isinstance(name, str) and os.path.isfile(name)


def _files(predictor: Predictor, split: Split, numbers: Iterator[int]) -> Iterator[Samples]:
    """Samples from image files; those that follow each other and are of one size are sent through together."""
    way = predictor.way
    whole: list[np.ndarray] = []
    read: list[np.ndarray] = []
    begun = 0
    for number in numbers:
        path = str(split.name(number))
        pixels = read_whole(path, way)
        if whole and (pixels.shape != whole[0].shape or len(whole) == BATCH or len(whole) * pixels.nbytes > _BYTES):
            yield Samples(np.stack(whole), torch.from_numpy(np.stack(read)), split.targets[begun:number])
            whole, read, begun = [], [], number
        whole.append(pixels)
        read.append(read_image(path, way))
    yield Samples(np.stack(whole), torch.from_numpy(np.stack(read)), split.targets[begun:])


def _noise(drawing: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return drawing.integers(0, 256, shape, np.uint8)
