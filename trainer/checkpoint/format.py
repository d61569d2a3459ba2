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
    logs         {name: bytes} of the files that a resumed training appends to
    seconds, compute, parent             how long it took, on what, and whose weights it started with
    versions     {"trainer", "torch", "python"} as text
    description  JSON text: model and data by registry name and scalars, classes, normalisation

best.pt has the counters but not what it takes to go on, and so has version 1 (trainer 0.1).

Nothing in it is instantiated, imported or resolved.
"""

import difflib
import json
import math
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer import __version__
from trainer.checkpoint import untrusted
from trainer.system.atomic import replacing
from trainer.system.errors import CheckpointError
from trainer.system.paths import expanded

FORMAT = "trainer"
VERSION = 2
_LONGEST = 2**23  # characters of a description
_DEEPEST = 20  # of its lists and dictionaries
_PREFIXES = ("module.", "_orig_mod.")  # DistributedDataParallel's and torch.compile's


@dataclass
class Checkpoint:
    """What `read` found: at least the model's tensors, for a bare `state_dict` nothing else."""

    path: Path
    model: dict[str, Tensor]
    description: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)  # optimizer, scheduler, rng, epoch, ...
    warnings: list[str] = field(default_factory=list)  # what is wrong with it and does not keep it from being read

    @property
    def bare(self) -> bool:
        """Whether this is somebody's `state_dict` and not one of our checkpoints."""
        return not self.description


def clean(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` without the prefixes that wrappers put before each key."""
    cleaned = dict(state)
    while cleaned:
        prefix = next((p for p in _PREFIXES if all(k.startswith(p) for k in cleaned)), None)
        if prefix is None:
            break
        cleaned = {k.removeprefix(prefix): v for k, v in cleaned.items()}
    return cleaned


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """The `state_dict` of a model, of what is inside where it is wrapped for several processes or compiled."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":  # torch.compile's; importing the class takes seconds
            model = model.get_submodule("_orig_mod")
        else:
            return model.state_dict()


def write(
    path: Path, model: Mapping[str, Tensor], description: Mapping[str, Any], keep: Path | None = None, **training: Any
) -> None:
    """Write a checkpoint whole or not at all; `keep` names the one that was there before.

    Raises:
        StorageError: it cannot be written; the one before is as it was.
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


def locate(ckpt: str, key: str = "ckpt") -> Path:
    """The checkpoint file that `key`= means: a file, or a run directory's best.pt or else last.pt.

    Raises:
        CheckpointError: there is none.
    """
    path = expanded(ckpt)
    try:
        path.stat()
    except OSError as error:
        hint = _near(path) if isinstance(error, FileNotFoundError) and not path.is_symlink() else ""
        raise CheckpointError(f"{key}={ckpt}: {(error.strerror or 'cannot be read').lower()}", hint) from error
    if path.is_dir():
        for candidate in (
            *("checkpoints/best.pt", "checkpoints/last.pt", "checkpoints/previous.pt"),
            *("best.pt", "last.pt", "previous.pt"),
        ):
            if (path / candidate).is_file():
                return path / candidate
        raise CheckpointError(
            f"{key}={ckpt}: a directory without a run (no checkpoints/best.pt or last.pt)",
            "give a run directory, like runs/NAME/2026-01-31_12-00-00, or a checkpoint file",
        )
    if not path.is_file():
        raise CheckpointError(f"{key}={ckpt}: not a regular file")
    return path


def read(ckpt: str | Path, key: str = "ckpt") -> Checkpoint:
    """Read a checkpoint, or a bare `state_dict` in any of torch's formats, onto the CPU.

    Raises:
        CheckpointError: no such file; damaged; not a checkpoint; of a newer format.
    """
    path = locate(str(ckpt), key)
    content = untrusted.load(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a checkpoint: it holds a {type(content).__name__}")
    if content.get("format") == FORMAT:
        found = _own(path, content)
    else:
        nested = next(
            (content[k] for k in ("state_dict", "model_state_dict", "model") if _is_state(content.get(k))),
            None,
        )
        state = nested if nested is not None else content
        if not _is_state(state):
            raise CheckpointError(f"{path} is not a checkpoint: no state_dict is in it")
        found = Checkpoint(path, dict(state))
    broken = [k for k, v in found.model.items() if v.is_floating_point() and not _is_finite(v)]
    if broken:
        found.warnings.append(f"{path} has weights that are not finite, first {broken[0]}")
    return found


def load_into(model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """`load_state_dict` that names the first mismatches, expected and found.

    Raises:
        CheckpointError: keys or shapes differ.
    """
    model.load_state_dict(fitting(model, state, source))


def fitting(model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> dict[str, Tensor]:
    """`state` under the model's names; the model may be on torch's device `meta`, where it takes no memory.

    Raises:
        CheckpointError: keys or shapes differ.
    """
    own = model.state_dict()
    if state.keys() != own.keys():
        state = clean(state)
    wrong = [f"{k} is missing" for k in own if k not in state]
    wrong += [f"{k} is not the model's" for k in state if k not in own]
    wrong += [
        f"{k} is {_shape(state[k])}, expected {_shape(own[k])}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"{source} does not fit the model: {'; '.join(wrong[:3])}{more}",
            "choose the model it was saved from: model=...",
        )
    return dict(state)


def _own(path: Path, content: dict[str, Any]) -> Checkpoint:
    version = content.get("version")
    if type(version) is not int or version < 1:
        raise CheckpointError(f"{path} is damaged: its format version is not a number from 1 on")
    if version > VERSION:
        raise CheckpointError(
            f"{path} has format version {version}; this trainer {__version__} reads up to {VERSION}",
            "update trainer",
        )
    description = _described(path, content.get("description"))
    if not _is_state(content.get("model")):
        raise CheckpointError(f"{path} is damaged: it has no model")
    for name in ("epoch", "batch", "step"):
        if content.get(name) is not None and not _count(content[name]):
            raise CheckpointError(f"{path} is damaged: its {name} is not a whole number")
    for name, fits in _FACTS.items():
        if description.get(name) is not None and not fits(description[name]):
            raise CheckpointError(f"{path} is damaged: its description's {name} are not what they should be")
    known = (*_TRAINING, "versions")
    return Checkpoint(path, dict(content["model"]), description, {k: content.get(k) for k in known})


def _described(path: Path, text: Any) -> dict[str, Any]:
    """The description of a file, which is JSON; checks its size before it is parsed, and what Python's JSON allows."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise CheckpointError(f"{path} is damaged: its description is not a text, or too long")

    def whole(digits: str) -> int:
        number = int(digits)
        if abs(number) >= 2**63:
            raise ValueError(f"{digits} is too large")
        return number

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        description = json.loads(text, parse_int=whole, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its description cannot be read") from error
    if not isinstance(description, dict) or _depth(description) > _DEEPEST:
        raise CheckpointError(f"{path} is damaged: its description is not what it should be")
    return description


def _depth(value: Any) -> int:
    """How deep lists and dictionaries are nested, found level by level: code that walks them may rely on it."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        containers = [v for v in level if isinstance(v, list | dict)]
        level = [part for v in containers for part in (v.values() if isinstance(v, dict) else v)]
        depth += bool(containers)
    return depth


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _reals(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, int | float) and math.isfinite(v) for v in value)


_TRAINING = (
    *("optimizer", "scheduler", "rng", "epoch", "batch", "step", "reported", "losses", "best"),
    *("early_stopping", "logs", "seconds", "compute", "parent"),
)
_SHELL = re.compile(r"""[$`;&|<>()'"\\\x00-\x1f]""")
_FACTS: dict[str, Callable[[Any], bool]] = {
    "classes": _words,
    "columns": _words,
    "mean": _reals,
    "std": lambda value: _reals(value) and all(v > 0 for v in value),
    # They are shown as what to type: nothing that a shell would make more of.
    "choices": lambda value: (
        isinstance(value, dict) and _words([*value.values()]) and not any(map(_SHELL.search, value.values()))
    ),
    "samples": _count,
}


def _is_finite(values: Tensor) -> bool:
    # Not every torch has `isfinite` for the kinds of float that take one byte.
    return bool((values.float() if values.itemsize == 1 else values).isfinite().all())


def _is_state(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _near(path: Path) -> str:
    """What is there beside a path that is not."""
    parent = path.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    entries = sorted(p.name for p in parent.iterdir() if not p.name.startswith(".")) if parent.is_dir() else []
    close = difflib.get_close_matches(path.name, entries, n=1) if parent == path.parent else []
    if close or not entries:
        return f"did you mean {parent / close[0]}?" if close else ""
    return f"{parent} has: {', '.join(entries[:6])}{', ...' if len(entries) > 6 else ''}"


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `values` that are plain: text, numbers, booleans, None, and lists or dicts of them."""

    def plain(value: Any) -> bool:
        if isinstance(value, float):
            return math.isfinite(value)
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        if isinstance(value, dict):
            return all(isinstance(k, str) and plain(v) for k, v in value.items())
        return value is None or isinstance(value, str | int | bool)

    return {k: v for k, v in values.items() if plain(v)}
