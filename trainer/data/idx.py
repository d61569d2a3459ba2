"""The IDX format of MNIST and its kin (LeCun): a magic number, the lengths, and then one byte per value."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch

from trainer.data.cache import Array
from trainer.system.errors import DataError
from trainer.system.memory import free_memory


def found(path: Path) -> Path:
    """`path`, or its `.gz` if only that is there."""
    compressed = path.with_name(f"{path.name}.gz")
    return compressed if compressed.exists() and not path.exists() else path


def read(path: Path, dimensions: int, hint: str) -> Array:
    """Read the bytes of a file, which may be a `.gz`, in the shape that its header says.

    Raises:
        DataError: The file is missing or not in this format, or longer or shorter than its header says.
    """
    magic = bytes([0, 0, 8, dimensions])  # 8: unsigned bytes
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
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
