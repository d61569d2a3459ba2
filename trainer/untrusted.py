"""Reads what `torch.save` wrote, from anybody, without running any of it."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from trainer.errors import CheckpointError

_WANTED = "a checkpoint is a file of trainer's, or of torch.save(model.state_dict(), FILE)"


def load(path: Path) -> Any:
    """What `torch.load` makes of the file without running any of it."""
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty", _WANTED)
    # Damaged files raise nearly anything, from struct.error to AssertionError: whatever it is, it is the file's fault.
    try:
        # torch.load does not check the CRCs of a zip archive; a file that is none may be in torch's legacy format.
        damaged = _wrong_crc(path) if zipfile.is_zipfile(path) else None
    except Exception as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if damaged:
        raise CheckpointError(f"{path} is damaged: the CRC of {damaged} is wrong")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on pickles of others
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if any(words in str(error) for words in ("Unsupported global", "GLOBAL ", "Unsupported class")):
            raise CheckpointError(
                f"{path} holds more than tensors and plain values, and trainer runs no code of a file",
                "save the model's state_dict: torch.save(model.state_dict(), FILE)",
            ) from error
        raise CheckpointError(f"{path} is not a checkpoint", _WANTED) from error


def _wrong_crc(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()
