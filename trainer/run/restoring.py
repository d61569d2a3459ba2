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

    def check_state(self, kept: Any, at: State, /) -> None:
        """Check a state of a file, whatever it is, before anything is loaded; `at` says after how many steps.

        Raises:
            ValueError: it is not one for this part.
        """

    def load_state_dict(self, kept: Any, /) -> None:
        """Stand there again; the state has been checked."""


def check_resumable(found: Checkpoint, finite: bool = True) -> None:
    """Refuse a file that holds no training; `finite` says whether the weights of one have to be.

    Raises:
        CheckpointError: it holds weights only, as best.pt and a bare `state_dict` do, or ones that are not finite.
    """
    if found.bare or found.training.get("losses") is None:
        raise CheckpointError(f"{found.path} holds weights only, and no training to resume", _anew(found))
    if found.flaw and finite:
        raise CheckpointError(found.flaw, "resume the run all the same with on_nan=ignore")
    described = found.description
    if not isinstance(described.get("choices"), dict) or not isinstance(described.get("fingerprint"), str):
        raise CheckpointError(f"{found.path} is damaged: it does not say what it was trained on", _anew(found))


def restore(found: Checkpoint, state: State, stateful: Mapping[str, Stateful], steps: int) -> None:
    """Load the counters and every part, once all are checked; the model has its weights already.

    An epoch has so many `steps`.

    Raises:
        CheckpointError: the training is that of another model, or the file is damaged; nothing is changed then.
    """
    kept, at = found.training, State()
    try:
        at.load_state_dict(kept)
        at.check(steps)
        for name, part in stateful.items():
            part.check_state(kept.get(name), at)
        for name, part in stateful.items():
            part.load_state_dict(kept.get(name))
    except Exception as error:  # an optimizer of the user's raises nearly anything on values that are not its own
        raise CheckpointError(f"{found.path} cannot be resumed from: {first_line(error)}", _anew(found)) from error
    state.load_state_dict(kept)


def _anew(found: Checkpoint) -> str:
    return f"start a new run from its weights: trainer train from={quoted(found.path)}"
