"""CIFAR-10 (Krizhevsky, 2009): torchvision downloads it and knows the checksums; a file without them is not opened.

Its files are pickles, which could run anything: what is unpickled are the very bytes whose checksum was right.
"""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.cache_entry import Allocate, Declared
from trainer.data.download import Source, kept
from trainer.data.sets.cifar10 import CIFAR10
from trainer.data.splits import Dataset, Track
from trainer.system.errors import DataError
from trainer.system.paths import regular

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
HALF = (0.5, 0.5, 0.5)
SHAPE = (32, 32, 3)
DECLARED = Declared({"train": (None, *SHAPE), "test": (None, *SHAPE)}, classes=10, texts={"classes": 10})


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
        contents = _checked(source, sums, published.tgz_md5)
        read = {name: pickle.loads(content, encoding="latin1") for name, content in contents.items()}
        for name, files in (("train", published.train_list), ("test", published.test_list)):
            images = np.concatenate([read[file]["data"] for file, _ in files])
            images = images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            allocate(name, images.shape, "uint8")[:] = images
            labels = [label for file, _ in files for label in read[file]["labels"]]
            allocate(f"{name}-targets", (len(labels),), "int64")[:] = labels
        return {"classes": read[meta["filename"]][meta["key"]]}

    found = kept(source, make, DECLARED)
    classes = tuple(found.facts["classes"])
    return Dataset("cifar10", found.split("train"), found.split("test"), None, classes, HALF, HALF, cache=found.note)


def _checked(source: Source, sums: dict[str, str], archive_sum: str) -> dict[str, bytes]:
    """The bytes of each file, read once: whoever writes to the folder meanwhile changes none that are used."""
    if source.folder.is_dir():
        contents = {name: _bytes(source.folder / name, source.hint) for name in sums}
    else:
        archive = _bytes(source.archive, source.hint)
        _check(source.archive, archive, archive_sum, source.hint)
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            files = {Path(member.name).name: member for member in tar if member.isfile()}
            contents = {name: tar.extractfile(files[name]).read() for name in sums}  # type: ignore[union-attr]
    for name, md5 in sums.items():
        _check(source.folder / name, contents[name], md5, source.hint)
    return contents


def _bytes(path: Path, hint: str) -> bytes:
    try:
        with open(path, "rb", opener=regular) as file:
            return file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint) from error


def _check(path: Path, content: bytes, md5: str, hint: str) -> None:
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        size = f"{len(content):,} bytes"
        raise DataError(f"{path} is damaged: its {size} do not have the checksum of the published file", hint)
