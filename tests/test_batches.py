"""Batches against torchvision's transforms and torch's permutations."""

import pytest
import torch
from PIL import Image
from torch import Tensor

from trainer.config.data import Augment
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches, generator
from trainer.data.splits import Split

CPU = torch.device("cpu")
MEAN, STD = (0.4, 0.5, 0.25), (0.2, 0.3, 0.1)


def coloured(count: int = 10, channels: int = 3) -> Split:
    pixels = torch.randint(256, (count, channels, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Split(pixels, torch.arange(count))


def numbered(count: int) -> Split:
    """Samples that are their own number."""
    return Split(torch.arange(count, dtype=torch.float32)[:, None], torch.arange(count))


def order(batches: Batches, epoch: int, start: int = 0) -> list[int]:
    return [int(t) for _, targets in batches.epoch(epoch, start) for t in targets]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_normalised_as_torchvision_does(channels: int) -> None:
    """Within 2e-6: float32 with a product in place of a division."""
    from torchvision import transforms

    split, mean, std = coloured(channels=channels), MEAN[:channels], STD[:channels]
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    images = [Image.fromarray(i.permute(1, 2, 0).numpy().squeeze()) for i in split.inputs]
    expected = torch.stack([transform(image) for image in images])
    found = torch.cat([x for x, _ in Batches(split, 4, CPU, mean=mean, std=std)])
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_images_without_mean_and_std_are_scaled_to_one() -> None:
    split = coloured()
    inputs, _ = next(iter(Batches(split, None, CPU)))
    torch.testing.assert_close(inputs, split.inputs / 255, rtol=0, atol=1e-7)


def test_images_of_floats_are_taken_as_they_are() -> None:
    images = torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    inputs, _ = next(iter(Batches(Split(images, torch.arange(4)), None, CPU)))
    assert torch.equal(inputs, images)


def test_tables_are_standardised_column_by_column() -> None:
    table = torch.tensor([[1.0, 200.0], [3.0, 400.0]], dtype=torch.float64)
    batches = Batches(Split(table, torch.zeros(2, 1)), None, CPU, mean=(2.0, 300.0), std=(0.5, 100.0))
    inputs, _ = next(iter(batches))
    assert inputs.dtype == torch.float32
    assert inputs.tolist() == [[-2, -1], [2, 1]]


def test_float64_goes_through_to_inputs_and_values_but_not_to_classes() -> None:
    values = Split(coloured(4).inputs, torch.zeros(4, 1))
    for split, wanted in ((values, torch.float64), (coloured(4), torch.int64)):
        inputs, targets = next(iter(Batches(split, 2, CPU, torch.float64, MEAN, STD)))
        assert (inputs.dtype, targets.dtype) == (torch.float64, wanted)


@pytest.mark.parametrize(
    ("total", "size", "sizes"), [(10, 4, [4, 4, 2]), (10, 5, [5, 5]), (10, None, [10]), (10, 99, [10]), (3, 1, [1] * 3)]
)
def test_sizes_are_those_of_the_batches(total: int, size: int | None, sizes: list[int]) -> None:
    batches = Batches(numbered(total), size, CPU)
    assert batches.sizes == sizes
    assert len(batches) == len(sizes)
    assert [len(y) for _, y in batches] == sizes
    assert [len(y) for _, y in batches.epoch(0)] == sizes


def test_iterating_goes_in_order() -> None:
    assert [int(t) for _, y in Batches(numbered(10), 3, CPU, seed=5) for t in y] == list(range(10))


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_order_is_a_permutation_of_seed_and_epoch_alone(seed: int, epoch: int) -> None:
    batches = Batches(numbered(50), 8, CPU, seed=seed)
    for other in range(epoch):
        order(batches, other)
    torch.rand(3)
    assert order(batches, epoch) == order(Batches(numbered(50), 8, CPU, seed=seed), epoch)
    assert order(batches, epoch) == torch.randperm(50, generator=generator(seed, epoch, "order")).tolist()


def test_orders_of_other_seeds_and_epochs_differ() -> None:
    orders = [tuple(order(Batches(numbered(50), 8, CPU, seed=s), e)) for s in range(3) for e in range(3)]
    assert len(set(orders)) == 9


@pytest.mark.parametrize("start", range(8))
def test_an_epoch_resumes_with_the_batches_that_remain(start: int) -> None:
    batches = Batches(numbered(50), 8, CPU, seed=1)
    assert order(batches, 2, start) == order(batches, 2)[8 * start :]


@pytest.mark.parametrize("start", [0, 1])
def test_a_full_batch_is_one_batch(start: int) -> None:
    assert len(order(Batches(numbered(9), None, CPU), 0, start)) == (0 if start else 9)


def test_inputs_stay_with_their_targets() -> None:
    for inputs, targets in Batches(numbered(50), 8, CPU).epoch(3):
        assert torch.equal(inputs[:, 0].long(), targets)


def test_generators_are_apart_for_each_seed_epoch_and_purpose() -> None:
    def draw(seed: int, epoch: int, purpose: str) -> int:
        return int(torch.randint(2**62, (), generator=generator(seed, epoch, purpose)))

    keys = [(s, e, p) for s in (0, 1, 11) for e in (0, 1, 11) for p in ("order", "augment")]
    assert len({draw(*key) for key in keys}) == len(keys)
    assert draw(1, 2, "order") == draw(1, 2, "order")


# --- augmentation within an epoch ---------------------------------------------------------------------


def augmented(split: Split, size: int | None = 4) -> Batches:
    config = Augment(flip=True, crop=2, cutout=3)
    return Batches(split, size, CPU, mean=MEAN, std=STD, augment=Augmenter(config, 6, 5), seed=2)


def images(batches: Batches, epoch: int, start: int = 0) -> Tensor:
    return torch.cat([x for x, _ in batches.epoch(epoch, start)])


def test_augmentation_is_a_function_of_seed_and_epoch_also_from_the_middle() -> None:
    batches = augmented(coloured())
    assert torch.equal(images(batches, 0), images(augmented(coloured()), 0))
    assert torch.equal(images(batches, 0, start=1), images(batches, 0)[4:])
    assert not torch.equal(images(batches, 0), images(batches, 1))


def test_a_full_batch_is_augmented_too() -> None:
    batches = augmented(coloured(), None)
    assert not torch.equal(images(batches, 0), images(batches, 1))


def test_evaluation_is_not_augmented() -> None:
    plain = Batches(coloured(), 4, CPU, mean=MEAN, std=STD)
    assert torch.equal(torch.cat([x for x, _ in augmented(coloured())]), torch.cat([x for x, _ in plain]))


def test_added_pixels_are_black_before_normalisation() -> None:
    white = Split(torch.full((40, 3, 6, 5), 255, dtype=torch.uint8), torch.arange(40))
    found = images(augmented(white), 0)
    black, full = (torch.tensor([(v - m) / s for m, s in zip(MEAN, STD, strict=True)]) for v in (0.0, 1.0))
    is_black = (found - black[:, None, None]).abs().amax(1) < 1e-5
    is_white = (found - full[:, None, None]).abs().amax(1) < 1e-5
    assert bool((is_black | is_white).all())
    assert bool(is_black.any())


# --- epochs that have as many samples of each class ---------------------------------------------------


def rare(workers: int | None = None, size: int | None = 7, seed: int = 0) -> tuple[Batches, Tensor]:
    """61 samples that are their own number, of class 0, 3 or 5; of 1, 2 and 4 there is none."""
    targets = torch.tensor([0] * 50 + [3] * 10 + [5])
    split = Split(torch.arange(61, dtype=torch.float32)[:, None], targets)
    return Batches(split, size, CPU, seed=seed, workers=workers, balanced=True), targets


def drawn(batches: Batches, epoch: int, start: int = 0) -> list[int]:
    return [int(x) for inputs, _ in batches.epoch(epoch, start) for x in inputs[:, 0]]


@pytest.mark.parametrize("size", [7, None])
def test_a_balanced_epoch_is_as_long_and_has_as_many_of_each_class(size: int | None) -> None:
    batches, targets = rare(size=size)
    for epoch in range(3):
        numbers = drawn(batches, epoch)
        assert sorted(targets[numbers].bincount().tolist()) == [0, 0, 0, 20, 20, 21]
        assert batches.sizes == ([7] * 8 + [5] if size else [61])
    assert {n for epoch in range(20) for n in drawn(batches, epoch)} == set(range(61))


def test_a_balanced_epoch_is_a_pure_function_of_seed_and_epoch_streamed_or_not() -> None:
    batches, _ = rare()
    again, _ = rare(workers=0)
    for epoch in (3, 0):
        assert drawn(batches, epoch) == drawn(again, epoch)
        assert drawn(batches, epoch)[14:] == drawn(again, epoch, start=2)
    assert drawn(batches, 0) != drawn(batches, 1)
    assert drawn(batches, 0) != drawn(rare(seed=1)[0], 0)
    assert drawn(batches.reseeded(1), 0) == drawn(rare(seed=1)[0], 0)
