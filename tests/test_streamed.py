"""Streamed batches are those of samples that lie on the device, to the bit; and workers come and go unnoticed."""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from conftest import Trainer
from folders import tree
from processes import Machine, Running
from running import QUICK, SILENT, checkpoint, result, rows, same, train, weights
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from trainer.config.data import Augment
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches
from trainer.data.cache import Mapped, stored
from trainer.data.cache_entry import Allocate, Declared
from trainer.data.folder.files import Files
from trainer.data.image import Way
from trainer.data.splits import Split
from trainer.data.streamed import _Sent

pytestmark = [
    # Python 3.12 warns of any fork beside threads; torch, of more workers than cores.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
CPU = torch.device("cpu")
COUNT, HEIGHT, WIDTH = 23, 6, 5
AUGMENT = Augment(flip=True, crop=2, shift=1, cutout=3)


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(COUNT, HEIGHT, WIDTH, 3)).astype(np.uint8)


def in_memory(folder: Path) -> Split:
    return Split(torch.from_numpy(pixels()).permute(0, 3, 1, 2), torch.arange(COUNT))


def contiguous(folder: Path) -> Split:
    return Split(in_memory(folder).inputs.contiguous(), torch.arange(COUNT))


def mapped(folder: Path) -> Split:
    def make(allocate: Allocate) -> dict[str, Any]:
        allocate("train", (COUNT, HEIGHT, WIDTH, 3), "uint8")[:] = pixels()
        allocate("train-targets", (COUNT,), "int64")[:] = range(COUNT)
        return {}

    declared = Declared({"train": (COUNT, HEIGHT, WIDTH, 3)}, COUNT)
    return stored(str(folder), "name", {}, "", make, declared).split("train")


def some_of_mapped(folder: Path) -> Split:
    return mapped(folder).take(torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))[:17])


def files(folder: Path) -> Split:
    tree(folder, {"a": COUNT})
    return Split(Files([str(p) for p in sorted((folder / "a").iterdir())], Way(HEIGHT)), torch.arange(COUNT))


def some_of_files(folder: Path) -> Split:
    return files(folder).take(torch.arange(COUNT - 1, 4, -1))


def floats(folder: Path) -> Split:
    images = torch.randn(COUNT, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.arange(COUNT))


def table(folder: Path) -> Split:
    features = torch.randn(COUNT, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Split(features, features[:, :2] * 3)


def some_of_table(folder: Path) -> Split:
    return table(folder).take(torch.arange(20, 0, -1))


KINDS = [in_memory, contiguous, mapped, some_of_mapped, files, some_of_files, floats, table, some_of_table]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def resident(split: Split) -> Split:
    """The same samples in memory."""
    return Split(split.inputs.clone(), split.targets)


def batches(split: Split, workers: int | None, device: torch.device = CPU, size: int | None = 4) -> Batches:
    if len(split.shape) == 1:
        return Batches(split, size, device, mean=(0.1,) * 4, std=(2.0,) * 4, seed=3, workers=workers)
    augmenter = Augmenter(AUGMENT, *split.shape[1:])
    return Batches(split, size, device, torch.float32, (0.4,) * 3, (0.2,) * 3, augmenter, 3, workers)


def equal(first: Iterator[tuple[Tensor, Tensor]], second: Iterator[tuple[Tensor, Tensor]]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return bool(pairs) and all(torch.equal(x, v) and torch.equal(y, w) for (x, y), (v, w) in pairs)


@kinds
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_streamed_batches_are_those_of_the_device(tmp_path: Path, kind: Any, workers: int) -> None:
    """From the start and from the middle of an epoch, in evaluation, and again after that."""
    split = kind(tmp_path)
    streamed, there = batches(split, workers), batches(resident(split), None)
    for epoch, start in ((0, 0), (1, 2), (0, 0)):
        assert equal(streamed.epoch(epoch, start), there.epoch(epoch, start))
        assert equal(iter(streamed), iter(there))


@kinds
def test_a_mapped_or_cut_split_lies_on_the_device_as_it_is(tmp_path: Path, kind: Any) -> None:
    split = kind(tmp_path)
    assert equal(batches(split, None).epoch(1), batches(resident(split), None).epoch(1))
    assert equal(iter(batches(split, None)), iter(batches(resident(split), None)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_batch_is_streamed_whole(tmp_path: Path, workers: int) -> None:
    for kind in (mapped, table):
        split = kind(tmp_path)
        streamed, there = batches(split, workers, size=None), batches(resident(split), None, size=None)
        assert equal(streamed.epoch(1), there.epoch(1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@kinds
def test_a_gpu_is_streamed_to_as_well(tmp_path: Path, kind: Any) -> None:
    split, device = kind(tmp_path), torch.device("cuda")
    there = batches(split, None, device)
    for workers in (0, 2):
        streamed = batches(split, workers, device)
        for epoch, start in ((0, 0), (1, 2)):
            assert equal(streamed.epoch(epoch, start), there.epoch(epoch, start))
        assert equal(iter(streamed), iter(there))
        assert next(iter(streamed))[0].is_cuda


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_epoch_may_be_left_half_way(tmp_path: Path, workers: int) -> None:
    split = mapped(tmp_path)
    streamed, there = batches(split, workers), batches(split, None)
    for taken in (1, 3, 5):
        left = streamed.epoch(0)
        for _ in range(taken):
            next(left)
        next(iter(streamed))
        assert equal(streamed.epoch(taken), there.epoch(taken))


def test_workers_end_with_the_batches_even_as_parts_of_a_cycle(tmp_path: Path) -> None:
    """As those of a sweep's first jobs, when the garbage collector comes by: it closes their queues first."""
    streamed = [batches(mapped(tmp_path), 2) for _ in range(2)]
    for each in streamed:
        next(iter(each))
        each.itself = each  # type: ignore[attr-defined]
    workers = [worker for each in streamed for worker in each.source.loader._iterator._workers]
    assert all(worker.is_alive() for worker in workers)
    joined: list[int | None] = []
    for worker in workers:
        worker.join = lambda timeout=None, join=worker.join: joined.append(join(timeout))
    del each, streamed
    gc.collect()
    assert len(joined) == 4
    assert [worker.exitcode for worker in workers] == [0] * 4  # and not terminated after a while


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_another_has_replaced_does_not_go_on(tmp_path: Path, workers: int) -> None:
    """Its workers would hand it the other's batches."""
    streamed = batches(mapped(tmp_path), workers)
    first, second = streamed.epoch(0), streamed.epoch(1)
    next(first)
    next(second)
    with pytest.raises(AssertionError, match="another iteration has begun"):
        next(first)


@pytest.mark.parametrize("workers", [0, 2])
def test_streaming_draws_no_random_numbers_that_dropout_would_miss(tmp_path: Path, workers: int) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    streamed = batches(mapped(tmp_path), workers)
    for epoch in range(2):
        list(streamed.epoch(epoch))
        list(streamed)
    assert torch.equal(torch.get_rng_state(), before)


@kinds
def test_a_process_that_is_sent_the_samples_reads_the_same(tmp_path: Path, kind: Any) -> None:
    """As where processes are spawned, on macOS."""
    read = batches(kind(tmp_path), 1).source.loader.dataset
    sent = pickle.loads(ForkingPickler.dumps(read))
    for index in (slice(3, 7), np.array([5, 2, 2, 9])):
        assert all(map(torch.equal, sent[index], read[index]))


def test_samples_in_files_are_sent_as_the_names_of_the_files(tmp_path: Path) -> None:
    many = np.lib.format.open_memmap(tmp_path / "many.npy", mode="w+", dtype="uint8", shape=(5000, 8, 8, 3))
    many.flush()
    assert len(pickle.dumps(Mapped(tmp_path / "many.npy", many.shape))) < 500
    assert len(pickle.dumps(Files(["a/b.png"] * 100, Way(HEIGHT)))) < 1000


@pytest.mark.parametrize("kind", [mapped, in_memory, table], ids=lambda kind: kind.__name__)
def test_a_worker_sends_a_batch_and_not_what_it_is_a_part_of(tmp_path: Path, kind: Any) -> None:
    streamed = batches(kind(tmp_path), 1)
    for part in next(streamed.source.read([slice(4, 8), slice(8, 12)])):
        assert part.untyped_storage().nbytes() == part.nbytes


def _no_room(patch: pytest.MonkeyPatch) -> str:
    pretending.free_shared_memory(patch, 10)
    return "a batch takes 0.0 MiB, and /dev/shm is full"


def _not_granted(patch: pytest.MonkeyPatch) -> str:
    """The room was there a moment ago; or the process may open no more files."""

    def refuse(*args: Any) -> Any:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    patch.setattr(torch.UntypedStorage, "_share_fd_cpu_", refuse)
    return "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"


@kinds
@pytest.mark.parametrize("short", [_no_room, _not_granted])
def test_without_shared_memory_batches_are_the_same_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kind: Any, short: Any
) -> None:
    split = kind(tmp_path)
    streamed, there = batches(split, 2), batches(resident(split), None)
    why = short(monkeypatch)
    for epoch in range(2):
        assert equal(streamed.epoch(epoch), there.epoch(epoch))
    said = "batches come from workers through pipes, not shared memory, which is slower"
    assert capfd.readouterr().err == f"warning: {said}: {why}\n"


def test_torchs_loader_pins_what_a_worker_has_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for a GPU, in a thread of its own."""
    pinned: list[Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    inputs, targets = torch.rand(3, 4), torch.arange(3)
    found = pin_memory(_Sent(inputs, targets))
    assert torch.equal(found[0], inputs)
    assert torch.equal(found[1], targets)
    assert found[2] == ""
    assert [each.data_ptr() for each in pinned] == [each.data_ptr() for each in found[:2]]


def test_with_shared_memory_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(list(batches(mapped(tmp_path), 2).epoch(0))) == 6
    assert capfd.readouterr().err == ""


def test_cutting_and_streaming_read_only_what_is_asked_for(tmp_path: Path) -> None:
    split = files(tmp_path)
    Path(split.samples.paths[7]).write_bytes(b"no picture")
    streamed = batches(split.take(slice(7)).take(torch.tensor([6, 0, 3])), 0)
    assert sorted(int(y) for _, targets in streamed for y in targets) == [0, 3, 6]


# --- whole trainings ----------------------------------------------------------------------------------

PLACES = ("data.placement=device", "data.placement=stream data.workers=0", "data.placement=stream data.workers=2")
AUGMENTED = ("data.augment.flip=true", "data.augment.crop=2", "data.augment.shift=1", "data.augment.cutout=4")


@pytest.mark.parametrize(
    "options",
    [
        ("data=digits", "model=lenet", "data.limit=150", *AUGMENTED),  # LeNet has dropout
        ("data=diabetes", "model=mlp", "data.batch_size=32", "data.val_fraction=0.1"),
    ],
    ids=lambda options: options[0],
)
def test_trainings_end_with_the_same_weights_wherever_the_samples_lie(
    trainer: Trainer, options: tuple[str, ...]
) -> None:
    runs = [train(trainer, *SILENT, *options, "epochs=2", *place.split()) for place in PLACES]
    first = runs[0]
    for run in runs[1:]:
        assert same(weights(run), weights(first))
        assert result(run)["metrics"] == result(first)["metrics"]
        assert [row["val/loss"] for row in rows(run)] == [row["val/loss"] for row in rows(first)]


def test_images_decoded_on_demand_train_to_the_same_weights(trainer: Trainer, images: Path) -> None:
    options = (*SILENT, "model=linear", "data=folder", f"data.path={images}", "data.size=12", "epochs=2")
    options += ("data.val_fraction=0.25", "data.batch_size=5", "data.augment.flip=true")
    first = train(trainer, *options)
    for workers in (0, 2):
        run = train(trainer, *options, "data.placement=stream", "data.cache=null", f"data.workers={workers}")
        assert same(weights(run), weights(first))
        assert result(run)["metrics"] == result(first)["metrics"]


# --- what can go wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_that_breaks_during_the_run_is_named(
    trainer: Trainer, images: Path, monkeypatch: pytest.MonkeyPatch, workers: int, split: str
) -> None:
    broken, seen = images / split / "dark" / "3.png", set[Path]()

    def breaking(path: Path) -> None:
        """Once each image has been looked at, before the run, this one breaks."""
        seen.add(path.resolve())
        if len(seen) == 32:
            broken.write_bytes(b"no picture")

    pretending.decoding(monkeypatch, breaking)
    options = (*SILENT, "model=linear", "data=folder", f"data.path={images}", "data.mean=[0.5]", "data.std=[0.5]")
    options += ("data.placement=stream", "data.cache=null", f"data.workers={workers}", "epochs=1")
    ran = trainer("train", *options)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert f"{split}/dark/3.png cannot be read as an image" in ran.err
    assert len(ran.err.splitlines()) == 2  # what is wrong, and what to do


def streaming(machine: Machine, disturb: Callable[[Running], object]) -> tuple[int, str]:
    """A long training with two workers, disturbed after its first epoch: exit code and errors."""
    process = machine.start("train", *QUICK, "epochs=100000000", "data.placement=stream", "data.workers=2")
    process.until_said(" +1 +2 ")  # the first epoch is done
    disturb(process)
    ended = process.wait()
    assert process.leaves_nobody()
    return ended.code, ended.err


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_processes_ends_a_streamed_run_as_any_other(machine: Machine, signum: int, code: int) -> None:
    """Ctrl-C in a terminal, `timeout` in a script."""
    found, err = streaming(machine, lambda process: process.send(signum, group=True))
    assert found == code, err
    assert "last.pt is written" in err
    assert len(err.splitlines()) == 2, err
    (run,) = Path("runs/linear_digits").iterdir()
    assert result(run)["status"] == "interrupted"
    assert checkpoint(run)["step"] == result(run)["steps"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not end a process with its parent")
def test_a_run_that_is_killed_takes_its_workers_with_it(machine: Machine) -> None:
    """Else they would hold its pipes open, and its memory."""
    code, _ = streaming(machine, lambda process: process.kill())
    assert code == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not list a process's children")
def test_a_run_whose_worker_is_killed_says_so(machine: Machine) -> None:
    def kill_a_worker(process: Running) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        own = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        workers = [pid for pid in map(int, children) if Path(f"/proc/{pid}/cmdline").read_bytes() == own]
        os.kill(workers[0], signal.SIGKILL)

    code, err = streaming(machine, kill_a_worker)
    assert code == 1, err
    assert err.startswith("error: a process that reads batches was killed\n")
    assert len(err.splitlines()) == 2, err
    (run,) = Path("runs/linear_digits").iterdir()
    assert result(run)["status"] == "failed"
