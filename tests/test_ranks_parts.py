"""The parts of a batch that ranks take are, put together, the batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainer.config.data import Augment
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches
from trainer.data.mixing import Mixer
from trainer.data.parts import PartBatches
from trainer.data.splits import Split
from trainer.engine.ranks import Ranks

CPU = torch.device("cpu")
COUNT, SIDE = 13, 6


class Noisy(Augmenter):
    """Changes each image by numbers that depend on how many there are, as an augmentation of a user's own may."""

    @property
    def changes_batches(self) -> bool:
        return True

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        changed = torch.rand(images.shape, generator=torch.Generator().manual_seed(len(images))) * 255
        return torch.where(changed > images, images, changed.to(images.dtype))


def batches(size: int | None, **more: object) -> Batches:
    pixels = torch.randint(256, (COUNT, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Batches(Split(pixels, torch.arange(COUNT) % 4), size, CPU, seed=3, **more)  # type: ignore[arg-type]


def mixer() -> Mixer:
    return Mixer(0.4, 1.0, (SIDE, SIDE), 4)


KINDS: dict[str, Callable[[], Batches]] = {
    "plain": lambda: batches(5),
    "one whole": lambda: batches(None),
    "augmented": lambda: batches(5, augment=Augmenter(Augment(flip=True, crop=2, jitter=0.3), SIDE, SIDE)),
    "mixed": lambda: batches(5, mixer=mixer()),
    "mixed, with a last one of one": lambda: batches(6, mixer=mixer()),
    "changed as a whole": lambda: batches(5, augment=Noisy(Augment(), SIDE, SIDE), mixer=mixer()),
    "balanced": lambda: batches(4, balanced=True),
    "streamed": lambda: batches(4, workers=0, mixer=mixer()),
}


@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_all_ranks_are_the_batch(kind: str, size: int, start: int) -> None:
    made = KINDS[kind]()
    ranks = [Ranks() for _ in range(size)]
    for number, one in enumerate(ranks):
        one.rank, one.size = number, size
    parted = [PartBatches(made, one.part) for one in ranks]
    whole = [*made.epoch(1, start)]
    for batch, parts in zip(whole, zip(*([*of.epoch(1, start)] for of in parted), strict=True), strict=True):
        inputs, targets = batch
        owned = [part for part in parts if len(part.targets)]
        assert torch.equal(torch.cat([part.inputs for part in owned]), inputs)
        assert torch.equal(torch.cat([part.targets for part in owned]), targets)
        assert all(part.whole == len(targets) for part in parts)
        assert all(len(part.inputs) == 1 for part in parts if not len(part.targets))  # which counts nothing
    assert parted[0].sizes == made.sizes


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_rows_are_shared_evenly_and_in_order(count: int, size: int) -> None:
    one, rows, lengths = Ranks(), list[int](), list[int]()
    one.size = size
    for one.rank in range(size):
        mine = [*range(count)[one.part(count)]]
        rows += mine
        lengths.append(len(mine))
    assert rows == [*range(count)]
    assert max(lengths) - min(lengths) <= 1
