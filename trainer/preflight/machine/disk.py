"""Whether the run directory can be written, and its checkpoints fit on the disk."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from trainer import checkpoint
from trainer.data.known import KEPT
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.paths import expanded

ABOUT = "the disk"
FEW = 2  # samples of a step
FILES = 20 * 2**20  # of tables, pictures, TensorBoard's file and the report


def look(subject: Subject) -> Iterator[Finding]:
    """Compare what a run leaves with the room that there is where it is to lie."""
    parts = subject.parts(compile="off")
    parts.train.batch_size = min(FEW, parts.train.batch_size)
    parts.step([next(parts.train.epoch(0))])  # from which on the optimizer has a state
    one = _size(checkpoint.state_of(parts.model)) + _size(parts.optimizer.state_dict()) + 8 * KEPT
    if parts.average is not None:
        one += _size(checkpoint.state_of(parts.model))
    kept = 4 if parts.picks_best else 3  # last.pt, the one before, best.pt, and one that is being written
    output = expanded(subject.config.output)
    place = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    needed, free = kept * one + FILES, shutil.disk_usage(place).free
    told = f"{_megabytes(one)} a checkpoint, {_megabytes(needed)} a run, {_megabytes(free)} free in {place}"
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield Finding("disk", f"{place} cannot be written to", "output=DIR takes another folder", wrong=True)
    elif needed > free:
        yield Finding("disk", told, "make room there, or output=DIR on another disk", wrong=True)
    else:
        yield Finding("disk", told)


def _size(value: Any) -> int:
    """The bytes of all tensors within."""
    if isinstance(value, Tensor):
        return value.nbytes
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(map(_size, inner))


def _megabytes(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"
