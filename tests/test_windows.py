"""Samples that are larger than memory: the order in which they are shuffled, and the windows in which they are read."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from conftest import Trainer
from running import SILENT, checkpoint, result, same, train, weights
from torch import Tensor

from trainer.config.data import Augment
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches
from trainer.data.cache import Mapped, stored
from trainer.data.cache_entry import Allocate, Declared
from trainer.data.mixing import Mixer
from trainer.data.parts import PartBatches
from trainer.data.shuffle import Shuffle, in_windows
from trainer.data.splits import Split
from trainer.system.errors import DataError

CPU = torch.device("cpu")
TOTAL, SHAPE = 3000, (6, 5, 3)
EACH = 6 * 5 * 3  # bytes of an image


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """3,000 images in a file of the cache, sorted by class."""

    def make(allocate: Allocate) -> dict[str, Any]:
        rng = np.random.default_rng(0)
        allocate("train", (TOTAL, *SHAPE), "uint8")[:] = rng.integers(0, 256, (TOTAL, *SHAPE), np.uint8)
        allocate("train-targets", (TOTAL,), "int64")[:] = np.arange(TOTAL) * 10 // TOTAL
        return {}

    folder = tmp_path_factory.mktemp("cache")
    return stored(str(folder), "images", {}, "", make, Declared({"train": (None, *SHAPE)}, 10)).split("train")


def some(split: Split, which: str) -> Split:
    """A part of a split as it is cut: in order, at random in order, or in any order, as those of folders are."""
    mixed = torch.randperm(TOTAL, generator=torch.Generator().manual_seed(1))
    parts = {"all": None, "first": slice(2500), "most": mixed[:2700].sort().values, "few": mixed[:400].sort().values}
    index = {**parts, "mixed": mixed[:2700]}[which]
    return split if index is None else split.take(index)


# --- the order ----------------------------------------------------------------------------------------


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("which", ["all", "first", "most", "few", "mixed"])
@pytest.mark.parametrize("nbytes", [1, 20_000, 100_000])
def test_an_epoch_has_each_sample_once_in_windows_of_stretches_of_the_file(
    lying: Split, which: str, nbytes: int
) -> None:
    split = some(lying, which)
    shuffle = in_windows(split, nbytes, 32)
    if shuffle is None:
        assert nbytes // EACH // 32 * 32 >= len(split)
        return
    order = shuffle.order(generator())
    assert torch.equal(order.sort().values, torch.arange(len(split)))
    assert torch.equal(order, shuffle.order(generator()))
    assert not torch.equal(order, shuffle.order(generator(1)))
    assert shuffle.window % 32 == 0
    assert shuffle.window * EACH <= max(nbytes, 32 * EACH)
    in_the_file = torch.arange(len(split)) if split.rows is None else split.rows.argsort()
    place = torch.empty_like(in_the_file)
    place[in_the_file] = torch.arange(len(split))
    for window in order.split(shuffle.window):
        stretches = Counter((place[window] // shuffle.stretch).tolist())
        whole = [count for count in stretches.values() if count == shuffle.stretch]
        assert len(stretches) - len(whole) <= 3  # those at both ends, and the last of the file


def test_windows_are_as_large_as_each_other(lying: Split) -> None:
    shuffle = in_windows(lying, EACH * 2944, 32)  # 56 samples would be left
    assert shuffle is not None
    assert shuffle.window == 1504


def test_a_balanced_epoch_has_what_was_drawn(lying: Split) -> None:
    split = some(lying, "mixed")
    shuffle = in_windows(split, 50_000, 32)
    assert shuffle is not None
    drawn = torch.randint(len(split), (len(split),), generator=generator())
    assert torch.equal(shuffle.order(generator(), drawn).sort().values, drawn.sort().values)


def test_neighbours_meet_as_much_more_often_as_the_window_is_smaller_than_the_data() -> None:
    """What the line on the screen promises: n / window times the (B - 1) / (n - 1) of a full shuffle."""
    total, size, met, epochs = 4096, 32, 0, 30
    shuffle = Shuffle(total, 512, 8)
    for seed in range(epochs):
        batch = torch.empty(total, dtype=torch.int64)
        batch[shuffle.order(generator(seed))] = torch.arange(total) // size
        met += int((batch[1:] == batch[:-1]).sum())
    expected = epochs * (total - 1) * (size - 1) / (total - 1) / shuffle.share * 7 / 8  # 7 of 8 are in one stretch
    assert met == pytest.approx(expected, rel=0.1)


# --- the windows --------------------------------------------------------------------------------------


def everything(batches: Any) -> list[tuple[Tensor, Tensor]]:
    return [(inputs.clone(), targets.clone()) for inputs, targets in batches]


def equal(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(x, other_x) and torch.equal(y, other_y)
        for (x, y), (other_x, other_y) in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("which", ["all", "first", "most", "few", "mixed"])
@pytest.mark.parametrize("balanced", [False, True])
def test_what_is_read_in_windows_is_what_lies_in_memory(lying: Split, which: str, balanced: bool) -> None:
    split = some(lying, which)
    augmenter = Augmenter(Augment(flip=True, crop=1), *SHAPE[:2])
    keys: dict[str, Any] = {"seed": 3, "balanced": balanced, "augment": augmenter, "shuffled": 30_000}
    keys |= {"mixer": Mixer(0.4, None, SHAPE, 10), "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    resident, read = (Batches(split, 32, CPU, window=window, **keys) for window in (None, 30_000))
    for start in (0, 1, 9, 10, 11, len(read) - 1):
        assert equal(everything(read.epoch(2, start)), everything(resident.epoch(2, start)))
    assert equal(everything(read), everything(resident))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_what_is_read_in_windows_is_what_lies_on_a_gpu(lying: Split) -> None:
    cuda = torch.device("cuda")
    resident, read = (Batches(some(lying, "most"), 32, cuda, window=w, shuffled=30_000) for w in (None, 30_000))
    assert equal(everything(read.epoch(2, 5)), everything(resident.epoch(2, 5)))
    assert equal(everything(read), everything(resident))


@pytest.mark.parametrize("mixed", [False, True])
def test_ranks_read_their_parts_of_the_same_windows(lying: Split, mixed: bool) -> None:
    split = some(lying, "most")
    keys: dict[str, Any] = {"mixer": Mixer(0.4, None, SHAPE, 10)} if mixed else {}
    resident = Batches(split, 32, CPU, shuffled=30_000, **keys)
    whole = everything(resident.epoch(1, 3))
    for rank in range(3):

        def part(count: int, rank: int = rank) -> slice:
            return slice(count * rank // 3, count * (rank + 1) // 3)

        read = PartBatches(Batches(split, 32, CPU, window=30_000, shuffled=30_000, **keys), part).epoch(1, 3)
        for found, (inputs, targets) in zip(read, whole, strict=True):
            assert torch.equal(found.inputs, inputs[found.rows])
            assert torch.equal(found.targets, targets[found.rows])


def test_windows_need_not_be_those_of_the_shuffle(lying: Split) -> None:
    split = some(lying, "most")
    resident, read = Batches(split, 32, CPU), Batches(split, 32, CPU, window=7000)
    assert equal(everything(read.epoch(0)), everything(resident.epoch(0)))


def test_only_the_windows_that_are_needed_are_read(lying: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(lying, 30, CPU, window=27_000, shuffled=27_000)  # ten windows of ten batches
    read: list[int] = []
    fill = batches.source.lying.read
    monkeypatch.setattr(batches.source.lying, "read", lambda rows, out: (read.append(len(rows)), fill(rows, out)))
    begun = batches.epoch(0, 87)
    next(begun)
    assert sum(read) <= 390
    assert len(list(begun)) == 12
    assert read == [90, 300]


def test_an_iteration_that_is_given_up_leaves_the_next_one_alone(lying: Split) -> None:
    batches = Batches(lying, 30, CPU, window=27_000, shuffled=27_000)
    whole = everything(batches.epoch(0))
    given_up = batches.epoch(1)
    next(given_up)
    again = batches.epoch(0)
    assert torch.equal(next(again)[0], whole[0][0])
    next(given_up)
    assert equal(everything(again), whole[1:])


def test_a_file_that_has_become_shorter_is_a_mistake_of_one_line(lying: Split) -> None:
    batches = Batches(lying, 30, CPU, window=27_000, shuffled=27_000)
    assert isinstance(lying.samples, Mapped)
    content = lying.samples.path.read_bytes()
    lying.samples.path.write_bytes(content[:2000])
    try:
        with pytest.raises(DataError, match="is shorter than it was"):
            list(batches.epoch(0))
    finally:
        lying.samples.path.write_bytes(content)


# --- whole trainings ----------------------------------------------------------------------------------

IMAGES = ("data.size=24", "data.batch_size=3", "data.val_fraction=0.3", "data.cache=cache", "epochs=2")


@pytest.fixture
def folder(images: Path) -> tuple[str, ...]:
    """A training on a folder of images in the cache, of 1,728 bytes each."""
    return (*SILENT, "model=linear", "data=folder", f"data.path={images}", *IMAGES)


def test_trainings_end_with_the_same_weights_wherever_the_samples_lie(
    trainer: Trainer, folder: tuple[str, ...]
) -> None:
    places = ("device", "stream", "windows")
    runs = [train(trainer, *folder, f"data.placement={place}", "data.window=0.011") for place in places]
    for run in runs[1:]:
        assert same(weights(run), weights(runs[0]))
        assert result(run)["metrics"] == result(runs[0])["metrics"]
    assert not same(weights(train(trainer, *folder)), weights(runs[0]))


def test_a_file_larger_than_memory_is_read_in_windows_which_is_said_and_kept_for_resuming(
    trainer: Trainer, folder: tuple[str, ...]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.data.placing.LEAST", 0.011)
        pretending.free_memory(patch, 50_000)
        ran = trainer("train", *folder, "max_steps=3")
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert "read in windows of 0.011 MB (0.1 MiB of samples, 0.0 MiB of memory free)" in said
    assert "order each batch is drawn from 6 stretches of the file, 35% of the samples (data.window=0.011)" in said
    (run,) = Path("runs").glob("*/*")
    assert "window: 0.011" in (run / "config.yaml").read_text()
    assert trainer("resume", str(run), "max_steps=null").code == 0
    whole = train(trainer, *folder, "data.window=0.011")
    assert checkpoint(whole)["step"] == checkpoint(run)["step"]
    assert same(weights(run), weights(whole))
