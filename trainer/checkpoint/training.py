"""What a checkpoint may say of the training that it is of, beside the states that only that training can judge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.checkpoint.values import is_count, is_finite, is_number, overlaps
from trainer.system.errors import CheckpointError


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


def _best(value: Any) -> bool:
    """It may be infinite: a loss can be, and still be the best so far."""
    return _has(value, {"value": is_number, "epoch": is_count, "step": is_count})


def _logs(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_name(name) and is_count(length) for name, length in value.items())


def _is_name(value: Any) -> bool:
    """Whether it names a file in the run directory itself."""
    return _is_text(value) and value not in ("", ".", "..") and not set("/\\\0") & set(value)


def _seconds(value: Any) -> bool:
    return is_finite(value) and value >= 0


def _parent(value: Any) -> bool:
    """The checkpoint that the weights were of: a bare `state_dict` has no epoch and no step."""
    return _has(value, {"path": _is_text, "epoch": _is_count_or_none, "step": _is_count_or_none})


def _versions(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, [*value, *value.values()]))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count_or_none(value: Any) -> bool:
    return value is None or is_count(value)


def _has(value: Any, entries: dict[str, Callable[[Any], bool]]) -> bool:
    """Whether it is a dictionary of these entries, each of which fits."""
    return (
        isinstance(value, dict)
        and value.keys() == entries.keys()
        and all(fits(value[name]) for name, fits in entries.items())
    )


_FACTS: dict[str, Callable[[Any], bool]] = {
    "epoch": is_count,
    "batch": is_count,
    "step": is_count,
    "reported": is_count,
    "losses": _losses,
    "best": _best,
    "logs": _logs,
    "seconds": _seconds,
    "compute": _is_text,
    "parent": _parent,
    "versions": _versions,
}
