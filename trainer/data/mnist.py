"""MNIST and its kin, in the IDX format (LeCun): a magic number, the lengths, and then one byte per value.

torchvision downloads them, but does not check the files that it reads.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.config.data import Downloaded
from trainer.data.cache_entry import Allocate, Array, Declared
from trainer.data.download import Source, kept
from trainer.data.splits import Dataset
from trainer.system.errors import DataError
from trainer.system.memory import free_memory
from trainer.system.paths import regular

SHAPE = (28, 28)


def of_kind(config: Downloaded, kind: str, classes: tuple[str, ...], mean: tuple[float], std: tuple[float]) -> Dataset:
    """Load a data set in MNIST's format: `kind` names torchvision's class and the folder below the root."""

    def download(root: str) -> None:
        from torchvision import datasets  # late: it takes longer to import than the files to read

        getattr(datasets, kind)(root, download=True)

    source = Source(config, kind, download)

    def make(allocate: Allocate) -> dict[str, Any]:
        for name, prefix in (("train", "train"), ("test", "t10k")):
            image_file, label_file = (
                _found(source.folder / "raw" / f"{prefix}-{content}-ubyte")
                for content in ("images-idx3", "labels-idx1")
            )
            images = _read(image_file, 3, source.hint)
            labels = _read(label_file, 1, source.hint)
            if images.shape[1:] != SHAPE:
                height, width = images.shape[1:]
                raise DataError(f"{image_file}: its images are {height} x {width}, not 28 x 28", source.hint)
            if len(labels) != len(images):
                counts = f"{len(labels)} labels, but {image_file.name} has {len(images)} images"
                raise DataError(f"{label_file} has {counts}", source.hint)
            for row in (labels >= len(classes)).nonzero()[0].tolist():
                wrong = f"label {row + 1} of {len(labels)} is {labels[row]}"
                raise DataError(f"{label_file}: {wrong}, and the classes are 0 to {len(classes) - 1}", source.hint)
            allocate(name, (*images.shape, 1), "uint8")[:] = images[..., None]
            allocate(f"{name}-targets", labels.shape, "int64")[:] = labels
        return {}

    declared = Declared({"train": (None, *SHAPE, 1), "test": (None, *SHAPE, 1)}, len(classes))
    found = kept(source, make, declared)
    return Dataset(config.name, found.split("train"), found.split("test"), None, classes, mean, std, cache=found.note)


def _found(path: Path) -> Path:
    """`path`, or its `.gz` if only that is there."""
    compressed = path.with_name(f"{path.name}.gz")
    return compressed if compressed.exists() and not path.exists() else path


def _read(path: Path, dimensions: int, hint: str) -> Array:
    """Read the bytes of a file, which may be a `.gz`, in the shape that its header says.

    Raises:
        DataError: The file is missing or not in this format, or longer or shorter than its header says.
    """
    magic = bytes([0, 0, 8, dimensions])  # 8: unsigned bytes
    try:
        with open(path, "rb", opener=regular) as raw:
            file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            header = file.read(4 + 4 * dimensions)
            if header[:4] != magic:
                begins = f"begins with '{header[:4].hex(' ')}', and such a file with '{magic.hex(' ')}'"
                raise DataError(f"{path} {begins}" if header else f"{path} is empty", hint)
            if len(header) < 4 + 4 * dimensions:
                raise DataError(f"{path} is cut short: it has {len(header)} bytes", hint)
            shape = tuple(np.frombuffer(header, ">u4")[1:].tolist())
            size = math.prod(shape)
            says = f"its header says {' x '.join(map(str, shape))} bytes"
            if size > free_memory(torch.device("cpu")):  # before memory is taken for what a wrong header promises
                raise DataError(f"{path}: {says}, more than there is memory", hint)
            content = file.read(size + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file", hint) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", hint) from error
    if len(content) < size:
        raise DataError(f"{path} is cut short: {says}, and {len(content)} are there", hint)
    if len(content) > size:
        raise DataError(f"{path} is too long: {says}, and there are more", hint)
    if size == 0:
        raise DataError(f"{path} is without samples: {says}", hint)
    return np.frombuffer(content, np.uint8).reshape(shape)
