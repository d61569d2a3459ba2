"""What a checkpoint may say of the training that it is of, beside the states that only that training can judge."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.checkpoint.values import overlaps
from trainer.system.errors import CheckpointError
from trainer.system.shapes import Shape, has, is_amount, is_count, is_real, is_text, optional, table


def check_training(path: Path, training: dict[str, Any]) -> None:
    """Check the entries of the file `path` that are as all checkpoints have them; None is as good as absent.

    Raises:
        CheckpointError: one of them is not what it should be.
    """
    for name, fits in _FACTS.items():
        if training.get(name) is not None and not fits(training[name]):
            raise CheckpointError(f"{path} is damaged: its {name!r} is not what it should be")


def _losses(value: Any) -> bool:
    wide = isinstance(value, Tensor) and value.dtype in (torch.float32, torch.float64)
    return wide and value.dim() == 1 and not overlaps(value)


def _logs(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_name(name) and is_count(length) for name, length in value.items())


def _is_name(value: Any) -> bool:
    """Whether it names a file in the run directory itself."""
    return is_text(value) and value not in ("", ".", "..") and not set("/\\\0") & set(value)


def _digests(value: Any) -> bool:
    whole = isinstance(value, Tensor) and value.dtype is torch.int64
    return whole and value.dim() == 1 and len(value) <= _MOST_DIGESTS and not overlaps(value)


_MOST_DIGESTS = 2**20  # far more than are kept
# Digests of the samples that the model was trained on: those of so many samples whose lowest bits are zero.
_KNOWN: dict[str, Shape] = {"digests": _digests, "samples": is_count, "bits": lambda v: is_count(v) and v < 63}
# A loss can be infinite; that of the same split decides between epochs of equal value.
_BEST: dict[str, Shape] = {"value": is_real, "loss": optional(is_real), "epoch": is_count, "step": is_count}
# The checkpoint that the weights were of; a bare `state_dict` has no epoch and no step.
_PARENT: dict[str, Shape] = {"path": is_text, "epoch": optional(is_count), "step": optional(is_count)}
_FACTS: dict[str, Shape] = {
    "epoch": is_count,
    "batch": is_count,
    "step": is_count,
    "reported": is_count,
    "losses": _losses,
    "best": has(_BEST, ("value", "epoch", "step")),
    "known": has(_KNOWN, tuple(_KNOWN)),
    "logs": _logs,
    "seconds": is_amount,
    "compute": is_text,
    "parent": has(_PARENT, tuple(_PARENT)),
    "versions": table(is_text),
}
