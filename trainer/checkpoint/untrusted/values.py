"""What a pickle of `torch.save`'s is made of, and why a file is refused.

A function or type that the pickle names stays a `Name`, and a tensor is `TENSOR`: nothing is made of them.
"""

from dataclasses import dataclass
from typing import Any

import torch

WANTED = "a checkpoint is a file of trainer's, or of torch.save(model.state_dict(), FILE)"
SAVE = "save the model's state_dict: torch.save(model.state_dict(), FILE)"

TENSOR = object()
DEVICE = object()
SCALARS = (str, int, float, bool, type(None))
LARGEST = 2**20  # so many values may be in a pickle, and so many instructions, each of which makes less than 100 bytes

# Bytes of an element of each class of storages.
ITEMSIZE = {
    "torch.storage UntypedStorage": 1,
    **{f"torch {kind}Storage": size for size, kinds in {
        1: "Byte Char Bool",
        2: "Short Half BFloat16",
        4: "Int Float",
        8: "Long Double ComplexFloat",
        16: "ComplexDouble",
    }.items() for kind in kinds.split()},
}  # fmt: skip
# Types that have no storage class of their own, and all others, as plain values.
DTYPES = {
    f"torch {name}": getattr(torch, name).itemsize
    for name in (
        *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    )
    if hasattr(torch, name)
}
KNOWN = {
    *ITEMSIZE,
    *DTYPES,
    "collections OrderedDict",
    "collections Counter",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
    "_codecs encode",
    "__builtin__ set",
    "builtins set",
}


class RefusedError(Exception):
    """Why a file is not read: what comes after its name in a message, and a hint."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True)
class Storage:
    """Values that the file holds, as the pickle declares them."""

    key: str
    numel: int
    itemsize: int

    @property
    def nbytes(self) -> int:
        return self.numel * self.itemsize


@dataclass(frozen=True)
class Name:
    """A function or type that the file names."""

    name: str


class Ordered(dict[Any, Any]):
    """An OrderedDict, the one kind of object that may have attributes."""


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number from 0 on that torch can take."""
    return type(value) is int and 0 <= value < 2**63


def code(what: Any) -> RefusedError:
    """The refusal of a file in which `what` would be run."""
    name = what.name if isinstance(what, Name) else what
    shown = f" ({name.replace(' ', '.')[:60]})" if isinstance(name, str) else ""
    return RefusedError(f"holds more than tensors and plain values{shown}, and trainer runs no code of a file", SAVE)
