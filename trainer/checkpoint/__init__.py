"""Checkpoints: the format, and reading files from anybody without running any of them.

What needs torch is imported when it is first asked for: where a checkpoint lies is to be known before.
"""

import importlib
from typing import TYPE_CHECKING, Any

from trainer.checkpoint.description import scalars
from trainer.checkpoint.location import locate

if TYPE_CHECKING:
    from trainer.checkpoint.format import Checkpoint, read, write
    from trainer.checkpoint.weights import clean, fitting, load_into, misfit, state_of

__all__ = ["Checkpoint", "clean", "fitting", "load_into", "locate", "misfit", "read", "scalars", "state_of", "write"]

_WITH_TORCH = dict.fromkeys(("Checkpoint", "read", "write"), "format") | dict.fromkeys(
    ("clean", "fitting", "load_into", "misfit", "state_of"), "weights"
)


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
