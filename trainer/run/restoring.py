"""What a checkpoint holds of a training, put back where it was."""

from collections.abc import Mapping
from typing import Any, Protocol

from trainer.checkpoint import Checkpoint
from trainer.engine.state import State
from trainer.system.errors import CheckpointError, first_line
from trainer.system.paths import quoted


class Stateful(Protocol):
    """A part of a training that a checkpoint has to hold for the training to be resumed exactly."""

    def state_dict(self) -> dict[str, Any]:
        """Where the part stands, in tensors and plain values."""

    def load_state_dict(self, kept: Any, /) -> None:
        """Stand there again."""


def check_resumable(found: Checkpoint) -> None:
    """Refuse a file that holds no training.

    Raises:
        CheckpointError: it holds weights only, as best.pt and a bare `state_dict` do.
    """
    if found.bare or found.training.get("losses") is None:
        raise CheckpointError(
            f"{found.path} holds weights only, and no training to resume",
            f"start a new run from its weights: trainer train from={quoted(found.path)}",
        )


def restore(found: Checkpoint, state: State, stateful: Mapping[str, Stateful], steps: int) -> None:
    """Load the counters and every part; the model has its weights already. An epoch has so many `steps`.

    Raises:
        CheckpointError: the training is that of another model, or the file is damaged.
    """
    kept = found.training
    try:
        for name, part in stateful.items():
            part.load_state_dict(kept.get(name))
        state.load_state_dict(kept)
        if state.batch > steps:
            raise ValueError("its counters contradict each other")
    except Exception as error:  # torch's loaders raise nearly anything on values that are not theirs
        raise CheckpointError(f"{found.path} cannot be resumed from: {first_line(error)}") from error
