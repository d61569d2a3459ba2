"""Checkpoints: one file of tensors and plain types, written whole or not at all, read without running anything.

A checkpoint is a dictionary that `torch.load(weights_only=True)` accepts:

    format       "trainer"            version    2
    model        state_dict with clean keys
    optimizer    state_dict           scheduler  state_dict, or None
    rng          the states of `trainer.engine.rng`
    epoch, batch, step, reported         where training stood: the counters of `trainer.engine.loop.State`
    losses       those of the steps of the epoch that ran
    best         {"value", "epoch", "step"} or None
    early_stopping                       {"waited", "best"}, where that was asked for
    average      {"trained", "updates"}, where `model` is an average: the state_dict of what is trained
    logs         {name: bytes} of the files that a resumed training appends to
    seconds, compute, parent             how long it took, on what, and whose weights it started with
    known        digests of the samples that the model was trained on
    versions     {"trainer", "torch", "python"} as text
    description  JSON text: model and data by registry name and scalars, classes, normalisation

best.pt has the counters but none of the states: training cannot be resumed from it.

Nothing in a checkpoint is instantiated, imported or resolved.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import __version__
from trainer.checkpoint import untrusted
from trainer.checkpoint.description import parsed
from trainer.checkpoint.location import locate
from trainer.checkpoint.training import check_training
from trainer.checkpoint.values import are_finite
from trainer.checkpoint.weights import is_state
from trainer.system.atomic import replacing
from trainer.system.errors import CheckpointError, FormatError

FORMAT = "trainer"
VERSION = 2
_APART = ("format", "version", "model", "description")  # all else is of the training


@dataclass
class Checkpoint:
    """What `read` found: at least the model's tensors, for a bare `state_dict` nothing else."""

    path: Path
    model: dict[str, Tensor]
    description: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)  # optimizer, scheduler, rng, epoch, ...
    broken: str = ""  # the name of the first of its weights that is not finite

    @property
    def bare(self) -> bool:
        """Whether this is somebody's `state_dict` and not one of our checkpoints."""
        return not self.description

    @property
    def flaw(self) -> str:
        """What is wrong with its weights though they can be read, in a line; "" if nothing is."""
        return f"{self.path} has weights that are not finite, first {self.broken}" if self.broken else ""


def write(
    path: Path, model: Mapping[str, Tensor], description: Mapping[str, Any], keep: Path | None = None, **training: Any
) -> None:
    """Write a checkpoint whole or not at all; `keep` is the second name that the file before it keeps.

    Raises:
        StorageError: it cannot be written; the file before it is unchanged.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "model": {k: v.detach().cpu().contiguous() for k, v in model.items()},
        "versions": {
            "trainer": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "description": json.dumps(description),
        **training,
    }
    with replacing(path, keep) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's writer covers up what was wrong with the file
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def read(ckpt: str | Path, key: str = "ckpt") -> Checkpoint:
    """Read a checkpoint, or a bare `state_dict` in any of torch's formats, onto the CPU.

    Raises:
        CheckpointError: there is no such file; it is damaged, or no checkpoint.
        FormatError: a trainer of another version wrote it.
    """
    path = locate(str(ckpt), key)
    content = untrusted.load(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a checkpoint: it holds a {type(content).__name__}")
    found = _own(path, content) if _is_own(content) else _bare(path, content)
    found.broken = next((name for name, values in found.model.items() if not are_finite(values)), "")
    return found


def _is_own(content: dict[str, Any]) -> bool:
    """Whether a trainer wrote it, be it a later one whose format has another name."""
    return content.get("format") == FORMAT or content.keys() >= {"version", "description"}


def _bare(path: Path, content: dict[str, Any]) -> Checkpoint:
    """A `state_dict`, or the one in a dictionary of the usual kinds."""
    for state in (*map(content.get, ("state_dict", "model_state_dict", "model")), content):
        if is_state(state):
            return Checkpoint(path, state)
    raise CheckpointError(f"{path} is not a checkpoint: no state_dict is in it")


def _own(path: Path, content: dict[str, Any]) -> Checkpoint:
    """A checkpoint of `write`'s, whose parts are what they should be."""
    kind, version = content.get("format"), content.get("version")
    if kind != FORMAT or type(version) is not int or version != VERSION:
        said = f"{_shown(version)} of the format {_shown(kind)}" if kind != FORMAT else _shown(version)
        older = kind == FORMAT and type(version) is int and 1 <= version < VERSION
        raise FormatError(
            f"{path} has format version {said}; this trainer {__version__} reads version {VERSION}",
            "read it with the trainer that wrote it" if older else "update trainer",
        )
    description = parsed(path, content.get("description"))
    model = content.get("model")
    if not is_state(model):
        raise CheckpointError(f"{path} is damaged: it has no model")
    training = {name: value for name, value in content.items() if name not in _APART}
    check_training(path, training)
    return Checkpoint(path, model, description, training)


def _shown(value: Any) -> str:
    """A value of a stranger's file, short and without anything that a terminal would obey."""
    return ascii(value)[:40] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
