"""torchvision's data sets from small files in their own formats, and downloads that cannot go half-way."""

import gzip
import hashlib
import multiprocessing
import os
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from filelock import FileLock
from formats import NAMES, idx, write_cifar10, write_mnist

from trainer import data
from trainer.data.download import Source, fetch
from trainer.data.sets.cifar10 import CIFAR10
from trainer.data.sets.fashion_mnist import FashionMNIST
from trainer.data.sets.mnist import MNIST
from trainer.system.errors import DataError

forking = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # or import torch anew
KINDS = [("MNIST", MNIST), ("FashionMNIST", FashionMNIST)]


@pytest.mark.parametrize(("folder", "kind"), KINDS)
def test_mnist_and_its_kin_are_read_from_idx_files(tmp_path: Path, folder: str, kind: type[MNIST]) -> None:
    parts = write_mnist(tmp_path / folder)
    found = data.load(kind(root=str(tmp_path), val_fraction=0, download=False, cache=None))
    for split, name in ((found.train, "train"), (found.test, "t10k")):
        images, labels = parts[name]
        assert np.array_equal(split.inputs, images[:, None])
        assert np.array_equal(split.targets, labels)
    assert split.inputs.dtype == torch.uint8
    assert len(found.classes or ()) == 10


def test_their_normalisation_is_the_published_one(tmp_path: Path) -> None:
    found = []
    for folder, kind in KINDS:
        write_mnist(tmp_path / folder)
        loaded = data.load(kind(root=str(tmp_path), cache=None))
        found.append((loaded.mean, loaded.std))
    assert found == [((0.1307,), (0.3081,)), ((0.2860,), (0.3530,))]


def test_a_limit_and_a_validation_split_are_cut_from_the_training_images(tmp_path: Path) -> None:
    images, _ = write_mnist(tmp_path / "MNIST")["train"]
    found = data.load(MNIST(root=str(tmp_path), limit=10, val_fraction=0.2, cache=None))
    assert found.val is not None
    assert [len(found.train), len(found.val), len(found.test)] == [8, 2, 10]
    both = sorted(i.numpy().tobytes() for split in (found.train, found.val) for i in split.inputs)
    assert both == sorted(i.tobytes() for i in images[:10].astype(np.uint8))


def test_cifar10_is_read_from_its_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    found = data.load(CIFAR10(root=str(tmp_path), val_fraction=0, download=False, cache=None))
    training = [f"data_batch_{i}" for i in range(1, 6)]
    expected = np.concatenate([images[name] for name in training]).reshape(-1, 3, 32, 32)
    assert np.array_equal(found.train.inputs, expected)
    assert found.train.targets.tolist() == [label for name in training for label in labels[name]]
    assert np.array_equal(found.test.inputs, images["test_batch"].reshape(-1, 3, 32, 32))
    assert found.classes == tuple(NAMES)
    assert (found.mean, found.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_a_second_load_does_not_need_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes longer to import than a cached set to open."""
    write_mnist(tmp_path / "MNIST")
    write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    kinds = (MNIST, CIFAR10)
    configs = [kind(root=str(tmp_path), download=False, cache=str(tmp_path / "cache")) for kind in kinds]
    first = [data.load(config) for config in configs]
    monkeypatch.setitem(sys.modules, "torchvision", None)  # importing it now fails
    for before, config in zip(first, configs, strict=True):
        found = data.load(config)
        assert torch.equal(found.train.inputs, before.train.inputs)
        assert torch.equal(found.test.targets, before.test.targets)
        assert found.classes == before.classes
    (tmp_path / "cifar-10-batches-py" / "test_batch").touch()
    with pytest.raises(ImportError):
        data.load(configs[1])


def test_a_data_root_is_the_same_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    for root in (str(tmp_path), ".", "link", "link/cifar-10-batches-py/.."):
        data.load(CIFAR10(root=root, download=False, cache=str(tmp_path / "cache")))
        monkeypatch.setitem(sys.modules, "torchvision", None)


def test_a_cifar10_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    with (tmp_path / "cifar-10-batches-py" / "data_batch_3").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=r"/data_batch_3 is damaged: its [0-9,]+ bytes do not have the checksum"):
        data.load(CIFAR10(root=str(tmp_path), cache=None))


def _shorter(raw: Path) -> None:
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])


def _fewer_labels(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7)))


def _label_77(raw: Path) -> None:
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.full(30, 77)))


def _not_idx(raw: Path) -> None:
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"<html>not found</html>")


def _empty(raw: Path) -> None:
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"")


def _gone(raw: Path) -> None:
    (raw / "t10k-images-idx3-ubyte").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_shorter, r"/train-images-idx3-ubyte is cut short: its header says 30 x 28 x 28 bytes, and 23420 are there"),
        (_fewer_labels, r"/train-labels-idx1-ubyte has 7 labels, but train-images-idx3-ubyte has 30 images"),
        (_label_77, r"/train-labels-idx1-ubyte: label 1 of 30 is 77, and the classes are 0 to 9"),
        (_not_idx, r"/t10k-images-idx3-ubyte begins with '3c 68 74 6d', and such a file with '00 00 08 03'"),
        (_empty, r"/t10k-images-idx3-ubyte is empty"),
        (_gone, r"/t10k-images-idx3-ubyte: no such file"),
    ],
)
def test_damaged_mnist_files_are_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    write_mnist(tmp_path / "MNIST")
    damage(tmp_path / "MNIST" / "raw")
    with pytest.raises(DataError, match=message) as caught:
        data.load(MNIST(root=str(tmp_path), download=False, cache=None))
    assert caught.value.hint == f"remove {tmp_path / 'MNIST'} to download it again"


# --- downloads ----------------------------------------------------------------------------------------


def mnist_in(root: Path, cache: str | None = None, **keys: Any) -> MNIST:
    return MNIST(root=str(root), cache=cache, **keys)


def everything(root: Path) -> set[str]:
    return {p.name for p in root.rglob("*") if not p.name.endswith(".lock")}


def test_threads_that_start_together_download_once(tmp_path: Path) -> None:
    starting, downloads, failures = threading.Barrier(6), [], []

    def opener(root: str) -> None:
        downloads.append(root)
        (Path(root) / "MNIST").mkdir()
        (Path(root) / "MNIST" / "whole").touch()

    def run() -> None:
        starting.wait()
        try:
            fetch(Source(mnist_in(tmp_path / "new"), "MNIST", opener))
            assert (tmp_path / "new" / "MNIST" / "whole").exists()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(downloads) == 1
    assert everything(tmp_path / "new") == {"MNIST", "whole"}


def _slow_opener(root: str) -> None:
    with (Path(root).parent / "log").open("a") as log:
        log.write("downloaded\n")
    (Path(root) / "MNIST").mkdir()
    for number in range(200):
        (Path(root) / "MNIST" / str(number)).touch()


def _fetch_together(starting: Any, root: Path) -> None:
    starting.wait()
    fetch(Source(mnist_in(root), "MNIST", _slow_opener))
    assert len(list((root / "MNIST").iterdir())) == 200


@forking
def test_processes_that_start_together_download_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    starting = context.Barrier(4)
    processes = [context.Process(target=_fetch_together, args=(starting, tmp_path)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "log").read_text() == "downloaded\n"


def test_who_waits_for_a_download_is_told_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """However long that takes."""
    monkeypatch.setattr("trainer.data.download.SILENT_SECONDS", 0.0)
    lock, waited = FileLock(tmp_path / ".mnist.lock"), list[float | None]()
    plain = FileLock.acquire

    def acquire(self: FileLock, timeout: float | None = None, **keys: Any) -> Any:
        waited.append(timeout)
        if len(waited) > 1:
            lock.release()
        return plain(self, timeout, **keys)

    lock.acquire()
    monkeypatch.setattr(FileLock, "acquire", acquire)
    fetch(Source(mnist_in(tmp_path), "MNIST", lambda root: (Path(root) / "MNIST").mkdir()))
    assert waited == [0.0, -1]
    said = capfd.readouterr().err
    assert said.startswith("warning: waiting for another process, which downloads mnist (it holds ")
    assert len(said.splitlines()) == 1


@forking
def test_a_download_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    """Others wait for it; then one of them starts anew, and what was half done goes away."""
    context = multiprocessing.get_context("fork")
    begun, starting = context.Event(), context.Barrier(3)

    def stalls(root: str) -> None:
        (Path(root) / "MNIST").mkdir()
        (Path(root) / "MNIST" / "half").touch()
        begun.set()
        time.sleep(60)

    first = context.Process(target=lambda: fetch(Source(mnist_in(tmp_path), "MNIST", stalls)))
    first.start()
    others = [context.Process(target=_fetch_together, args=(starting, tmp_path)) for _ in range(2)]
    try:
        assert begun.wait(30)
        for process in others:
            process.start()
        starting.wait(30)  # they are about to ask for the lock, or have
        assert not (tmp_path / "log").exists()
        first.kill()
        for process in others:
            process.join(30)
        assert [process.exitcode for process in others] == [0, 0]
    finally:
        for process in (first, *others):
            if process.pid is not None:
                process.kill()
                process.join(30)
    assert (tmp_path / "log").read_text() == "downloaded\n"
    assert {p.name for p in tmp_path.iterdir()} == {"MNIST", "log", ".mnist.lock"}
    assert not (tmp_path / "MNIST" / "half").exists()


@forking
def test_a_download_that_fails_leaves_the_root_to_those_who_wait(tmp_path: Path) -> None:
    """The first makes the root and would remove it again; each of the others then tries for itself."""
    root = tmp_path / "new"
    context = multiprocessing.get_context("fork")
    begun, starting = context.Event(), context.Barrier(4)

    def fails(into: str) -> None:
        begun.set()
        starting.wait(30)
        raise URLError("no network")

    def expects_failure() -> None:
        with pytest.raises(DataError, match="no network"):
            fetch(Source(mnist_in(root), "MNIST", fails))

    first = context.Process(target=expects_failure)
    others = [context.Process(target=_fetch_together, args=(starting, root)) for _ in range(3)]
    first.start()
    try:
        assert begun.wait(30)
        for process in others:
            process.start()
        for process in (first, *others):
            process.join(30)
        assert [process.exitcode for process in (first, *others)] == [0] * 4
    finally:
        for process in (first, *others):
            process.kill()
            process.join(30)
    assert (root / "log").read_text() == "downloaded\n"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """A server of MNIST's four archives, the only one that torchvision knows: its folder, and what was asked for."""
    from torchvision.datasets import MNIST

    folder, asked = tmp_path / "mirror", []
    write_mnist(folder)
    resources = []
    for path in sorted((folder / "raw").iterdir()):
        content = gzip.compress(path.read_bytes())
        (folder / f"{path.name}.gz").write_bytes(content)
        resources.append((f"{path.name}.gz", hashlib.md5(content).hexdigest()))

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(f"{self.command} {self.path}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield folder, asked
    server.shutdown()
    server.server_close()
    thread.join(20)


def test_first_downloads_at_once_fetch_each_file_once(tmp_path: Path, mirror: tuple[Path, list[str]]) -> None:
    found: list[Any] = []
    data.load(mnist_in(tmp_path / "alone"))
    alone = sorted(mirror[1])
    mirror[1].clear()
    config = mnist_in(tmp_path / "root", cache=str(tmp_path / "cache"))
    threads = [threading.Thread(target=lambda: found.append(data.load(config))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [len(dataset.test) for dataset in found] == [20] * 4
    assert sorted(mirror[1]) == alone
    assert {p.name for p in (tmp_path / "root").iterdir()} == {"MNIST", ".mnist.lock"}


def test_an_archive_that_arrives_truncated_is_named_and_not_kept(
    tmp_path: Path, mirror: tuple[Path, list[str]]
) -> None:
    path = mirror[0] / "t10k-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    message = r"cannot be downloaded: Error downloading t10k-labels-idx1-ubyte\.gz: File not found or corrupted\."
    with pytest.raises(DataError, match=message):
        data.load(mnist_in(tmp_path / "root"))
    assert not (tmp_path / "root").exists()
    path.write_bytes(whole)
    assert len(data.load(mnist_in(tmp_path / "root")).test) == 20


def test_archives_that_lie_there_are_read_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people put them where nothing can be downloaded."""
    from torchvision import datasets

    images, labels = write_mnist(tmp_path / "MNIST")["train"]
    for path in list((tmp_path / "MNIST" / "raw").iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    found = data.load(mnist_in(tmp_path, val_fraction=0, download=False, cache=None))
    assert np.array_equal(found.train.inputs, images[:, None])
    assert np.array_equal(found.train.targets, labels)

    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10(folder, monkeypatch)
    config = CIFAR10(root=str(tmp_path), download=False, cache=None)
    unpacked = data.load(config)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(folder, folder.name)
    shutil.rmtree(folder)
    whole = (tmp_path / "cifar-10-python.tar.gz").read_bytes()
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(whole).hexdigest())
    packed = data.load(config)
    assert torch.equal(packed.train.inputs, unpacked.train.inputs)
    assert torch.equal(packed.test.targets, unpacked.test.targets)
    assert not folder.exists()


def test_what_is_there_is_not_downloaded(tmp_path: Path) -> None:
    (tmp_path / "MNIST").mkdir()

    def opener(root: str) -> None:
        raise AssertionError("downloads")

    fetch(Source(mnist_in(tmp_path), "MNIST", opener))
    assert everything(tmp_path) == {"MNIST"}


@pytest.mark.parametrize(
    "failure",
    [URLError("no network"), RuntimeError("Error downloading x:\nhttps://a failed"), TimeoutError("timed out")],
)
@pytest.mark.parametrize("existed", [True, False])
def test_a_download_that_fails_leaves_nothing_behind(tmp_path: Path, failure: Exception, existed: bool) -> None:
    root = tmp_path / "root"
    if existed:
        root.mkdir()

    def opener(into: str) -> None:
        (Path(into) / "MNIST" / "raw").mkdir(parents=True)
        (Path(into) / "MNIST" / "raw" / "half").touch()
        raise failure

    with pytest.raises(DataError, match=r"mnist is not in .*MNIST and cannot be downloaded: ") as caught:
        fetch(Source(mnist_in(root), "MNIST", opener))
    assert "data=digits" in caught.value.hint
    assert root.exists() == existed
    assert everything(root) == set()


def test_an_interrupted_download_leaves_no_half_of_it(tmp_path: Path) -> None:
    def opener(into: str) -> None:
        (Path(into) / "MNIST").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Source(mnist_in(tmp_path), "MNIST", opener))
    assert everything(tmp_path) == set()


def test_a_failing_download_takes_nothing_of_another_data_set_with_it(tmp_path: Path) -> None:
    """Two processes find no data root; one gets its files, then the other fails."""
    root = tmp_path / "root"

    def good(into: str) -> None:
        (Path(into) / "FashionMNIST").mkdir()

    def bad(into: str) -> None:
        fetch(Source(FashionMNIST(root=str(root)), "FashionMNIST", good))
        raise URLError("no network")

    with pytest.raises(DataError, match="no network"):
        fetch(Source(mnist_in(root), "MNIST", bad))
    assert everything(root) == {"FashionMNIST"}


def test_no_download_is_tried_when_told_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mnist is not in .*MNIST, and data\.download=false"):
        fetch(Source(mnist_in(tmp_path / "root", download=False), "MNIST", lambda root: None))
    assert not (tmp_path / "root").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_root_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"cannot be downloaded: .*Permission denied"):
        fetch(Source(mnist_in(tmp_path / "root"), "MNIST", lambda root: None))


def test_a_root_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(DataError, match=r"cannot be downloaded: .*(File exists|Not a directory)"):
        fetch(Source(mnist_in(tmp_path / "root"), "MNIST", lambda root: None))
    assert (tmp_path / "root").is_file()
