"""The format of `torch.save` before torch 1.6, which it still writes if asked: pickles, then all values."""

import io
import struct
from typing import BinaryIO

from trainer.checkpoint.untrusted import pickles
from trainer.checkpoint.untrusted.objects import WANTED, RefusedError

_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # torch's magic number, pickled
_VERSION = 1001


def check(file: BinaryIO, size: int) -> None:
    """Check the pickles, and that the file has all values that they name: torch.load makes room for them unchecked.

    Raises:
        RefusedError: the file is damaged, or torch.save did not write it.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise RefusedError("is not a checkpoint", WANTED)
    stream = io.BytesIO(file.read(pickles.LONGEST))
    walk = pickles.Walk(size)
    try:
        version = walk.value(stream)
        walk.value(stream)  # about the system that wrote the file: torch.load ignores it
        walk.content(stream)
        keys = walk.value(stream)
    except RefusedError:
        if stream.tell() == pickles.LONGEST:
            raise RefusedError("is damaged: its pickle is too long") from None
        raise
    if version != _VERSION or not isinstance(keys, list) or sorted(map(str, keys)) != sorted(walk.storages):
        raise RefusedError("is damaged: its list of values is not what it should be")
    at = len(_MAGIC) + stream.tell()
    for key in keys:
        storage = walk.storages[key]
        file.seek(at)
        if file.read(8) != struct.pack("<q", storage.numel):
            raise RefusedError("is damaged: it is cut off, or the number of its values is wrong")
        at += 8 + storage.nbytes
    if at > size:
        raise RefusedError("is damaged: it is cut off")
