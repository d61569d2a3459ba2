"""A model's weights in a file: under clean names, and whether they fit a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from trainer.checkpoint.values import FLOATS, overlaps
from trainer.system.errors import CheckpointError

_PREFIXES = ("module.", "_orig_mod.")  # DistributedDataParallel's and torch.compile's


def is_state(value: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether `value` is a `state_dict`: tensors by name, and at least one."""
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


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
    """The `state_dict` of a model; of the model inside, where it is wrapped for several processes or compiled."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":  # torch.compile's; importing the class takes seconds
            model = model.get_submodule("_orig_mod")
        else:
            return model.state_dict()


def load_into(model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """`load_state_dict` that names the first mismatches, expected and found.

    Raises:
        CheckpointError: keys, shapes or types differ.
    """
    model.load_state_dict(fitting(model, state, source))


def fitting(model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> dict[str, Tensor]:
    """`state` under the model's names; the model may be on torch's device `meta`, where it takes no memory.

    Raises:
        CheckpointError: keys, shapes or types differ.
    """
    own = model.state_dict()
    if state.keys() != own.keys():
        state = clean(state)
    wrong = [f"{k} is missing" for k in own if k not in state]
    wrong += [f"{k} is not the model's" for k in state if k not in own]
    wrong += [f"{k} {reason}" for k in own if k in state and (reason := misfit(state[k], own[k]))]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"{source} does not fit the model: {'; '.join(wrong[:3])}{more}",
            "choose the model it was saved from: model=...",
        )
    return dict(state)


def misfit(found: Tensor, own: Tensor) -> str:
    """Why a tensor cannot be the values of another, or ""."""
    if found.shape != own.shape:
        return f"is {_shape(found)}, expected {_shape(own)}"
    if _number(found) != _number(own):
        return f"is {_type(found)}, expected {_type(own)}"
    return "has elements that share their memory" if overlaps(found) else ""


def _number(tensor: Tensor) -> object:
    """What kind of numbers a tensor holds: of one kind, one type is converted to another as torch does."""
    if tensor.dtype in FLOATS:
        return float
    if tensor.is_complex():
        return complex
    whole = not tensor.is_floating_point() and not tensor.is_quantized and tensor.dtype is not torch.bool
    return int if whole else tensor.dtype


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
