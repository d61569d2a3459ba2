"""Files in the formats of data sets, byte by byte, as they should be."""

import hashlib
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def idx(array: np.ndarray) -> bytes:
    """The IDX format (LeCun): two zero bytes, type 8 (unsigned byte), dimensions, values."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def random_images(count: int, seed: int, shape: tuple[int, ...] = (28, 28)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(count, *shape)), rng.permutation(np.arange(count) % 10)


def write_mnist(folder: Path, train: int = 30, test: int = 20) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    (folder / "raw").mkdir(parents=True)
    parts = {"train": random_images(train, 0), "t10k": random_images(test, 1)}
    for name, (images, labels) in parts.items():
        (folder / "raw" / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / "raw" / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
    return parts


def write_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """Six batches of five images as pickles of dictionaries; torchvision is told their checksums."""
    from torchvision.datasets import CIFAR10

    folder.mkdir(parents=True)
    sums, images, labels = {}, {}, {}
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels, classes = random_images(5, number, (3072,))
        images[name], labels[name] = pixels.astype(np.uint8), classes.tolist()
        content = pickle.dumps({"data": images[name], "labels": labels[name]})
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": NAMES})
    (folder / "batches.meta").write_bytes(meta)
    monkeypatch.setattr(CIFAR10, "train_list", [[n, s] for n, s in sums.items() if n != "test_batch"])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": hashlib.md5(meta).hexdigest()})
    return images, labels


def png(pixels: np.ndarray, colour: int, extra: bytes = b"") -> bytes:
    """A PNG of (H, W, C) uint16 pixels, which Pillow does not write; `colour` is the format's type of it."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
