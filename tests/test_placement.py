"""Where samples lie: what fits on the device, what memory there is, and how many copies are made of it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from conftest import Trainer
from running import QUICK

from trainer import data
from trainer.config.data import Data
from trainer.data import cache, splits
from trainer.data.cache import stored
from trainer.data.cache_entry import Allocate, Declared
from trainer.data.folder.files import Files
from trainer.data.placing import Placing, placed
from trainer.data.preparing import prepare
from trainer.data.sets.folder import Folder
from trainer.data.splits import Dataset, Split
from trainer.engine import device
from trainer.engine.device import Compute
from trainer.system.errors import ConfigError, DataError
from trainer.system.memory import free_memory

CPU, CUDA = (Compute(torch.device(name), "float32") for name in ("cpu", "cuda"))
GiB = 2**30


class Large:
    """Samples of a gibibyte altogether, which nobody reads."""

    shape, dtype = torch.Size((1024, 1, 1024, 1024)), torch.uint8


class LargeFiles(Large, Files):
    """The same, decoded on demand."""


class LargeMapped(Large, cache.Mapped):
    """The same, in the cache."""


def place(kind: type, compute: Compute, free: float, begun: bool = False, **keys: Any) -> Placing:
    """How 1 GiB of samples are read on a device with `free` GiB."""
    split = Split(object.__new__(kind), torch.zeros(1024))
    loaded = Dataset("large", split.take(slice(500)), split.take(slice(500, None)))
    config: Any = SimpleNamespace(samples=Data(**keys))
    with pytest.MonkeyPatch.context() as patch:
        pretending.free_memory(patch, int(free * GiB))
        pretending.cores(patch, 6)
        return placed(config, loaded, compute.device, begun)


@pytest.mark.parametrize(
    ("kind", "compute", "free", "keys", "expected"),
    [
        (Large, CPU, 2, {}, None),
        (Large, CPU, 1.9, {}, 0),
        (Large, CUDA, 2, {}, None),
        (Large, CUDA, 1.9, {}, 2),
        (Large, CUDA, 1, {"placement": "device"}, None),
        (Large, CUDA, 100, {"placement": "stream"}, 2),
        (Large, CUDA, 100, {"placement": "stream", "workers": 5}, 5),
        (Large, CUDA, 100, {"workers": 5}, None),
        (Large, CPU, 100, {"placement": "stream"}, 0),
        (LargeMapped, CPU, 1.4, {}, None),  # where they lie is memory already
        (LargeMapped, CPU, 0, {"placement": "device"}, None),
        (LargeMapped, CPU, 0, {"window": None}, None),
        (LargeMapped, CPU, 100, {"placement": "stream", "workers": 1}, 1),
        (LargeMapped, CUDA, 1.9, {}, 2),
        (LargeMapped, CUDA, 2, {}, None),
        (LargeFiles, CPU, 100, {}, 3),  # decoding is work
        (LargeFiles, CUDA, 100, {}, 5),
        (LargeFiles, CUDA, 100, {"workers": 0}, 0),
    ],
)
def test_samples_are_streamed_where_they_do_not_fit(
    kind: type, compute: Compute, free: float, keys: dict[str, Any], expected: int | None
) -> None:
    assert place(kind, compute, free, **keys) == Placing(expected)


@pytest.mark.parametrize(
    ("compute", "free", "keys", "expected"),
    [
        (CPU, 1.3, {}, 128),
        (CPU, 0.5, {}, 64),
        (CPU, 0, {}, 16),
        (CUDA, 1.3, {}, 128),
        (CPU, 1.3, {"window": 2.5}, 2.5),
        (CPU, 100, {"placement": "windows", "window": 300}, 300),
        (CPU, 4, {"placement": "windows"}, 512),
    ],
)
def test_a_file_larger_than_memory_is_read_in_windows_of_an_eighth_of_it(
    compute: Compute, free: float, keys: dict[str, Any], expected: float
) -> None:
    found = place(LargeMapped, compute, free, **keys)
    assert (found.workers, found.window) == (None, expected * 10**6)
    assert str(found).startswith(f"read in windows of {expected:g} MB")


@pytest.mark.parametrize(
    ("kind", "compute", "free", "keys", "said"),
    [
        (LargeMapped, CPU, 2, {}, "on the device"),
        (LargeMapped, CPU, 1, {}, "read in windows of 128 MB (1.0 GiB of samples, 1.0 GiB of memory free)"),
        (LargeMapped, CPU, 1, {"placement": "windows", "window": 3}, "read in windows of 3 MB"),
        (
            *(LargeMapped, CPU, 1, {"window": None}),
            "on the device (1.0 GiB of samples, 1.0 GiB of memory free: each is read from the disk, at random)",
        ),
        (LargeMapped, CUDA, 1.5, {}, "streamed by 2 workers (1.0 GiB of samples, 1.5 GiB free)"),
        (Large, CPU, 1, {}, "streamed (1.0 GiB of samples, 1.0 GiB free)"),
        (Large, CPU, 1, {"placement": "stream", "workers": 1}, "streamed by 1 worker"),
    ],
)
def test_how_samples_are_read_and_why_is_said(
    kind: type, compute: Compute, free: float, keys: dict[str, Any], said: str
) -> None:
    assert str(place(kind, compute, free, **keys)) == said


def test_a_training_that_has_begun_keeps_the_order_of_its_samples() -> None:
    assert place(LargeMapped, CPU, 0.5, begun=True) == Placing()
    assert place(LargeMapped, CPU, 0.5, begun=True, window=100).window == 100 * 10**6


@pytest.mark.parametrize(
    ("kind", "keys", "said"),
    [
        (LargeFiles, {}, r"windows: the images are decoded from their files, which workers read"),
        (LargeMapped, {"window": None}, r"windows: all samples of this training are shuffled together"),
    ],
)
def test_windows_that_cannot_be_are_refused(kind: type, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        place(kind, CPU, 100, placement="windows", **keys)


def test_what_shall_lie_on_the_device_and_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.placement=device: the samples take 1\.0 GiB, and cuda has 0\.5 GiB"):
        place(Large, CUDA, 0.5, placement="device")


# --- from the command line ----------------------------------------------------------------------------


def test_a_device_that_is_too_small_is_streamed_to_or_refused(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending.free_memory(monkeypatch, 1000)
    ran = trainer("train", *QUICK, "data=diabetes")
    assert ran.code == 0, ran.err
    assert ", streamed" in ran.out
    ran = trainer("train", *QUICK, "data=diabetes", "data.placement=device")
    assert ran.code == 2
    assert ran.err.startswith("error: data.placement=device: the samples take")
    assert "data.placement=stream" in ran.err.splitlines()[1]
    assert len(ran.err.splitlines()) == 2


def test_a_splits_samples_are_placed_whatever_is_cut_of_them(trainer: Trainer) -> None:
    for keys in (("data.val_fraction=0",), ("data.limit=100000", "data.val_fraction=0.5")):
        ran = trainer("train", *QUICK, *keys, "data.placement=stream", "data.workers=0")
        assert ran.code == 0, ran.err


# --- folders ------------------------------------------------------------------------------------------


def opened(images: Path, **keys: Any) -> Dataset:
    return data.load(Folder(path=str(images), mean=[0.5], std=[0.5], **keys))


def test_images_that_do_not_fit_into_memory_are_decoded_when_they_are_asked_for(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Path] = []
    pretending.decoding(monkeypatch, looked_at.append)
    found = [opened(images, placement="stream", cache=None)]
    pretending.free_memory(monkeypatch, 32 * 20 * 20 * 3)  # once, but not twice
    found.append(opened(images, size=20, cache=None))
    for each in found:
        assert isinstance(each.train.samples, Files)
        assert (each.is_image, len(each.train), len(each.test)) == (True, 22, 8)
    assert set(Counter(looked_at).values()) == {2}  # once each time, before the run, for what is broken


def test_images_are_decoded_at_once_where_there_is_room_or_a_cache(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(opened(images, cache=None).train.samples, torch.Tensor)
    pretending.free_memory(monkeypatch, 32 * 32 * 32 * 3)
    assert isinstance(opened(images, cache=None, placement="device").train.samples, torch.Tensor)
    for placement in ("auto", "stream", "device"):
        found = opened(images, cache=str(images / "../cache"), placement=placement)
        assert isinstance(found.train.samples, cache.Mapped)


@pytest.mark.parametrize("placement", ["auto", "stream", "device"])
def test_one_image_must_fit_into_memory(images: Path, placement: str) -> None:
    with pytest.raises(DataError, match=r"the samples take .* GiB, and .* GiB of memory are free"):
        opened(images, size=10_000_000, placement=placement, cache=None)


# --- memory -------------------------------------------------------------------------------------------


MEMINFO = {"/proc/meminfo": "MemTotal: 16000 kB\nMemFree: 100 kB\nMemAvailable:   8000 kB\n"}
STAT = "anon 1000000\nfile 900000\nactive_file 300000\ninactive_file 500000\n"


def group(limit: str, used: int = 2_000_000) -> dict[str, str]:
    values = {"max": f"{limit}\n", "current": f"{used}\n", "stat": STAT}
    return MEMINFO | {f"/sys/fs/cgroup/memory.{name}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MEMINFO, 8_192_000),
        (group("max"), 8_192_000),
        (group("100000000"), 8_192_000),
        (group("3000000"), 1_800_000),  # what is cached of files gives way
        (group("1000000"), 0),
        (group("3000000") | {"/sys/fs/cgroup/memory.stat": "anon 5\n"}, 8_192_000),
    ],
    ids=["no group", "no limit", "large limit", "limit", "over the limit", "other figures"],
)
def test_free_memory_is_what_system_and_container_allow(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    pretending.system_files(monkeypatch, files)
    assert free_memory(torch.device("cpu")) == expected


def test_free_memory_is_some_of_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    total = device.os.sysconf("SC_PAGE_SIZE") * device.os.sysconf("SC_PHYS_PAGES")
    assert 0 < free_memory(torch.device("cpu")) < total
    pretending.system_files(monkeypatch, {})
    assert free_memory(torch.device("cpu")) == total // 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_free_memory_of_a_gpu_is_the_drivers() -> None:
    free, total = torch.cuda.mem_get_info()
    assert 0 < free_memory(torch.device("cuda")) <= total
    assert free_memory(torch.device("cuda")) == pytest.approx(free, rel=0.1)


# --- copies -------------------------------------------------------------------------------------------


def test_cutting_copies_no_inputs() -> None:
    images = torch.randint(256, (50, 3, 4, 4), dtype=torch.uint8)
    whole = Dataset("x", Split(images, torch.arange(50)), Split(images, torch.arange(50)), classes=("a", "b"))
    cut = prepare(whole, Data(val_fraction=0.25, limit=40))
    assert cut.val is not None
    for split in (cut.train, cut.val, cut.test, cut.train.take(slice(3)).take(torch.tensor([2, 0]))):
        assert split.samples is images


def test_a_part_of_a_part_is_of_the_whole() -> None:
    images = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1)
    part = Split(images, torch.arange(50)).take(torch.tensor([9, 4, 7, 30, 2])).take(slice(1, 4))
    for split in (part, part.take(torch.tensor([2, 0, 1])).take(torch.tensor([1, 2, 0]))):
        assert split.inputs.flatten().tolist() == split.targets.tolist() == [4, 7, 30]
        assert split[torch.tensor([2, 2])].flatten().tolist() == [30, 30]
        assert len(split) == 3


@pytest.mark.parametrize("nbytes", [1, 5, 12, 10**9])
def test_chunks_are_all_inputs_in_parts_of_a_size(nbytes: int) -> None:
    split = Split(torch.arange(60, dtype=torch.int16).view(20, 3), torch.arange(20)).take(slice(1, 18))
    chunks = list(split.chunks(nbytes))
    assert torch.equal(torch.cat(chunks), split.inputs)
    assert max(len(chunk) for chunk in chunks) == min(17, max(1, nbytes // 6))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rows_are_what_indexing_gives(layout: torch.memory_format) -> None:
    images = torch.randint(256, (9, 3, 4, 5), dtype=torch.uint8).contiguous(memory_format=layout)
    for samples in (images, images[:, 0, 0]):
        for index in (slice(2, 7), slice(None), torch.tensor([8, 0, 0, 3])):
            assert torch.equal(splits.rows_of(samples, index), samples[index])


COPIES = """
import re, resource, sys
from pathlib import Path
import numpy as np, torch
from trainer.config.data import Data
from trainer.data.batches import Batches
from trainer.data.cache import stored
from trainer.data.cache_entry import Declared
from trainer.data.preparing import prepare
from trainer.data.splits import Dataset

def run(path):
    found = stored(path, "name", {}, "", lambda allocate: 1 / 0, Declared({"train": (None, 32, 32, 3)}, 1))
    raw = Dataset("x", found.split("train"), found.split("train"), standardise=True)
    data = prepare(raw, Data(val_fraction=0.1))
    for workers in (None, 0):
        batches = Batches(data.train, 256, torch.device("cpu"), torch.float32, data.mean, data.std, workers=workers)
        assert sum(len(y) for _, y in batches.epoch(0)) == len(data.train)
        assert all(x.dtype == torch.float32 for x, _ in Batches(data.test, 256, torch.device("cpu"), workers=workers))

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # where the figure of getrusage begins with the parent's
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS

torch.set_num_threads(1)
run(sys.argv[1])  # all code and buffers, few samples
before = peak()
run(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.slow
def test_no_copy_of_the_whole_set_is_made(tmp_path: Path) -> None:
    """The file's own pages, where it is mapped, count as one copy; floats would be four more."""
    size = 32 * 32 * 3

    def make(allocate: Allocate, count: int) -> dict[str, Any]:
        allocate("train", (count, 32, 32, 3), "uint8")[:] = np.arange(size, dtype=np.uint8).reshape(1, 32, 32, 3)
        allocate("train-targets", (count,), "int64")[:] = 0
        return {}

    counts = {"small": 5000, "large": 40_000}  # 15 and 123 MB
    for name, count in counts.items():
        declared = Declared({"train": (count, 32, 32, 3)}, 1)
        stored(str(tmp_path / name), "name", {}, "", lambda allocate, count=count: make(allocate, count), declared)
    command = [sys.executable, "-c", COPIES, str(tmp_path / "small"), str(tmp_path / "large")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 1.5 * counts["large"] * size
