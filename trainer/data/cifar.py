"""CIFAR-10 (Krizhevsky, 2009): torchvision downloads it; its pickles are read here, so that they run no code."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.cache import Allocate, Array
from trainer.data.download import Source, kept
from trainer.data.sets.cifar10 import CIFAR10
from trainer.data.splits import Dataset, Track
from trainer.system.errors import DataError

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
PIXELS = 3 * 32 * 32
HALF = (0.5, 0.5, 0.5)


def load(config: CIFAR10, track: Track[object]) -> Dataset:
    """50,000 training and 10,000 test images of 3x32x32."""

    def download(root: str) -> None:
        from torchvision import datasets

        datasets.CIFAR10(root, download=True)

    source = Source(config, FOLDER, download, ARCHIVE)

    def make(allocate: Allocate) -> dict[str, Any]:
        from torchvision import datasets  # late: it takes longer to import than the files to read

        published, meta = datasets.CIFAR10, datasets.CIFAR10.meta
        sums = dict([*published.train_list, *published.test_list, (meta["filename"], meta["md5"])])
        contents = _contents(source, sums, published.tgz_md5)
        classes = _unpickled(source, meta["filename"], contents)[meta["key"]]
        for name, files in (("train", published.train_list), ("test", published.test_list)):
            parts = [_batch(source, file, contents, len(classes)) for file, _ in files]
            images = np.concatenate([images for images, _ in parts])
            allocate(name, images.shape, "uint8")[:] = images
            labels = np.concatenate([labels for _, labels in parts])
            allocate(f"{name}-targets", labels.shape, "int64")[:] = labels
        return {"classes": classes}

    found = kept(source, make)
    classes = tuple(found.facts["classes"])
    return Dataset("cifar10", found.split("train"), found.split("test"), None, classes, HALF, HALF, cache=found.note)


def _contents(source: Source, sums: dict[str, str | None], archive_sum: str | None) -> dict[str, bytes]:
    """The bytes of each file: what is checked is what is then read, whoever writes to the folder meanwhile."""
    if source.folder.is_dir():
        return {name: _genuine(source.folder / name, md5, source.hint) for name, md5 in sums.items()}
    archive = _genuine(source.archive, archive_sum, source.hint)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            wanted = ((member, Path(member.name).name) for member in tar)
            files = {name: tar.extractfile(member) for member, name in wanted if name in sums}
            return {name: files[name].read() for name in sums}  # type: ignore[union-attr]  # none is a folder
    except Exception as error:  # it is not the published one, or else it would have a sum
        raise DataError(f"{source.archive} cannot be read: {error}", source.hint) from error


def _genuine(path: Path, md5: str | None, hint: str) -> bytes:
    """A file's bytes, if they are the published ones."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint) from error
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        size = f"{len(content):,} bytes"
        raise DataError(f"{path} is damaged: its {size} do not have the checksum of the published file", hint)
    return content


def _batch(source: Source, name: str, contents: dict[str, bytes], classes: int) -> tuple[Array, Array]:
    """Images (N, 32, 32, 3) and labels (N,) of one file."""
    entry = _unpickled(source, name, contents)
    try:
        images, labels = np.asarray(entry["data"]), np.asarray(entry["labels"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{source.folder / name} has no data and labels: {error!r}", source.hint) from error
    if images.shape != (len(labels), PIXELS) or images.dtype != np.uint8:
        shapes = f"{images.shape} values of {images.dtype} and {len(labels)} labels"
        raise DataError(f"{source.folder / name} has {shapes}, not {PIXELS} bytes for each label", source.hint)
    for label in labels[(labels < 0) | (labels >= classes)]:
        raise DataError(f"{source.folder / name}: label {label}, and the classes are 0 to {classes - 1}", source.hint)
    return images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def _unpickled(source: Source, name: str, contents: dict[str, bytes]) -> Any:
    try:
        return _Arrays(io.BytesIO(contents[name]), encoding="latin1").load()
    except Exception as error:  # damaged pickles raise nearly anything
        raise DataError(f"{source.folder / name} is no file of CIFAR-10: {error}", source.hint) from error


class _Arrays(pickle.Unpickler):
    """Reads pickles of plain values and arrays; any other is refused before it can run code."""

    ALLOWED = frozenset(
        (module, name)
        for modules, names in (
            (("numpy.core.multiarray", "numpy._core.multiarray"), ("_reconstruct",)),
            (("numpy.core.numeric", "numpy._core.numeric"), ("_frombuffer",)),
            (("numpy",), ("ndarray", "dtype")),
            (("_codecs",), ("encode",)),
        )
        for module in modules
        for name in names
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it would run {module}.{name}")
        return super().find_class(module, name)
