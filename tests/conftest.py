"""Shared fixtures: an empty working directory, a small image folder, and `trainer` run in this process."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import processes
import pytest
import torch
from PIL import Image

from trainer.cli.main import main


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Trainer = Callable[..., Ran]

# More kills and interruptions than the suite has time for.
SOAK = bool(os.environ.get("TRAINER_SOAK"))

# For the processes that tests start: several at once, with all threads each, would wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)  # also for what is made for a whole file, before its first test

# A shell that starts the tests in the background has Ctrl-C ignored, by them and by all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Side by side, these files begin first: at the end one of them would keep everybody waiting.
LONG = (
    *("reliability", "sweep_kills", "sweep_ray", "sweep_slurm", "train_eval", "batched_sweep", "sweep_parallel"),
    *("errors", "untrusted", "resume_command", "batched", "odd_places", "streamed", "docs", "resume"),
    *("search_resume", "recipes"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Hide a GPU from all tests but those marked `gpu`: the others' oracles are of the CPU, to the bit."""
    if not re.search(r"(?<!not )\bgpu\b", config.option.markexpr):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors are fastest on one thread, and tests that run side by side do not fight."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests share a cache of their own, apart from the user's."""
    monkeypatch.setenv("TRAINER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without the user's data root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAINER_DATA", raising=False)
    return tmp_path


@pytest.fixture
def trainer(empty: Path, capfd: pytest.CaptureFixture[str]) -> Trainer:
    """Run `trainer ARGS...` in an empty working directory and in this process."""

    def run(*args: str) -> Ran:
        capfd.readouterr()
        code = main(list(args))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """Ended with the tests, if one of them has started it."""
    yield
    processes.SERVER.close()


@pytest.fixture
def machine(empty: Path) -> Iterator[processes.Machine]:
    """Starts commands as processes of their own, in an empty working directory; none outlives the test."""
    with processes.machine(empty, TRAINER_CACHE=os.environ["TRAINER_CACHE"]) as made:
        yield made


@pytest.fixture
def images(empty: Path) -> Path:
    """`images/{train,test}/{dark,light}/*.png`: 24 + 8 images of 20x20 that anything can tell apart."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for label, level in (("dark", 60), ("light", 190)):
            folder = empty / "images" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(rng.normal(level, 20, (20, 20, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return empty / "images"
