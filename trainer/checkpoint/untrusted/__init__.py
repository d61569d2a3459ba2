"""Reads what `torch.save` wrote, from anybody, without running any of it.

`torch.load(weights_only=True)` reads the file, and nothing else does. By itself, though, it allocates any size that a
file names, and calls those of torch's own functions that it names. So the file is checked first: its archive
(`archive`, or `legacy` for torch's format before 1.6), and its pickle, instruction by instruction (`pickles`).
"""

import os
import stat
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from trainer.checkpoint.untrusted import archive, legacy
from trainer.checkpoint.untrusted.objects import WANTED, RefusedError
from trainer.checkpoint.values import tensors
from trainer.system.errors import CheckpointError
from trainer.system.memory import free_memory


def load(path: Path) -> Any:
    """The tensors and plain values that the file holds.

    Raises:
        CheckpointError: it is no file, is damaged, holds anything else, or is wrong about sizes.
    """
    try:
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            free = free_memory(torch.device("cpu"))
            if size == 0:
                raise RefusedError("is empty", WANTED)
            if size > free:
                raise RefusedError(f"has {size / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of memory are free")
            check = archive.check if file.read(4) == archive.MAGIC else legacy.check  # as torch.load chooses
            file.seek(0)
            check(file, size)
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's remarks on pickles of other programs
                content = torch.load(file, map_location="cpu", weights_only=True)
        if not all(map(_is_sound, tensors(content))):
            raise RefusedError("is damaged: a tensor reaches beyond its values")
        for tensor in tensors(content):
            tensor.requires_grad_(False)  # a parameter is read for its values
        return content
    except RefusedError as error:
        raise CheckpointError(f"{path} {error.reason}", error.hint) from error
    # Damaged files raise nearly anything, from struct.error to AssertionError, and each is a fault of the file.
    except Exception as error:
        raise CheckpointError(f"{path} is not a checkpoint", WANTED) from error


def _opened(path: Path) -> BinaryIO:
    """The file, opened once: what is checked is what is read, even if another file takes its name."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise RefusedError("is not a regular file")
    return file


def _is_sound(tensor: Tensor) -> bool:
    """Whether all elements of a tensor that torch has made are in its storage."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    if tensor.numel() == 0:
        return True
    last = tensor.storage_offset() + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return bool((last + 1) * tensor.itemsize <= tensor.untyped_storage().nbytes())
