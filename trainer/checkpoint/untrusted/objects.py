"""What the pickles of `torch.save` are made of: tensors, their storages, and the few functions that make them.

A function or type that a pickle names stays a `Name`, and a tensor is `TENSOR`: nothing is made of them.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch

WANTED = "a checkpoint is a file of trainer's, or of torch.save(model.state_dict(), FILE)"
SAVE = "save the model's state_dict: torch.save(model.state_dict(), FILE)"

TENSOR = object()
_DEVICE = object()
_SCALARS = (str, int, float, bool, type(None))
_SHARED = 4  # tensors may share values, if all of them together have no more than so many times the file's size
_SMALL = 2**26  # so many bytes may all tensors together always have

# Bytes of an element of each class of storages.
_ITEMSIZE = {
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
_DTYPES = {
    f"torch {name}": getattr(torch, name).itemsize
    for name in (
        *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    )
    if hasattr(torch, name)
}
_KNOWN = {
    *_ITEMSIZE,
    *_DTYPES,
    *("collections OrderedDict", "collections Counter", "torch Size", "torch device", "_codecs encode"),
    *("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3"),
    *("torch._utils _rebuild_parameter", "__builtin__ set", "builtins set"),
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


class Objects:
    """Says what the calls of one file of `size` bytes would make, and gathers the storages that it declares."""

    def __init__(self, size: int) -> None:
        self.storages: dict[str, Storage] = {}
        self._room = max(_SMALL, _SHARED * size)

    def storage(self, found: Any) -> Storage:
        """A storage: `("storage", type, key, location, numel)`, in old files with a view of it, None, at the end."""
        if type(found) is not tuple or found[:1] != ("storage",) or found[5:] not in ((), (None,)):
            raise RefusedError("refers to something that is not in it")
        _, kind, key, location, numel = found[:5]
        if not (isinstance(kind, Name) and kind.name in _ITEMSIZE and isinstance(key, str)):
            raise RefusedError("holds values of a kind that trainer does not read", SAVE)
        if not isinstance(location, str) or not _is_count(numel):
            raise RefusedError("is damaged: the number of its values is wrong")
        storage = Storage(key, numel, _ITEMSIZE[kind.name])
        if self.storages.setdefault(key, storage) != storage:
            raise RefusedError("is damaged: it names the same values in two ways")
        return storage

    def call(self, function: Any, arguments: Any) -> Any:
        """The result of a call that `torch.save` writes."""
        if not isinstance(function, Name) or type(arguments) is not tuple:
            raise code(function)
        match function.name.split()[-1], arguments:
            case "OrderedDict", ():
                return Ordered()
            case "OrderedDict", ([*pairs],):
                return filled(Ordered(), pairs)
            case "Counter", (dict() as counts,):
                return filled({}, list(counts.items()))
            case "set", ([*items],) if all(isinstance(item, _SCALARS) for item in items):
                return items
            case "Size", (tuple() as sizes,) if all(map(_is_count, sizes)):
                return sizes
            case "device", (str(), *index) if len(index) <= 1 and all(map(_is_count, index)):
                return _DEVICE
            case "encode", (str() as text, "latin1"):
                return text
            case "_rebuild_tensor", (Storage() as storage, offset, size, stride):
                return self._tensor(storage, offset, size, stride, storage.itemsize)
            case "_rebuild_tensor_v2", (Storage() as storage, offset, size, stride, bool(), hooks, *more):
                if not hooks and more in ([], [None]):
                    return self._tensor(storage, offset, size, stride, storage.itemsize)
            case "_rebuild_tensor_v3", (Storage() as storage, offset, size, stride, bool(), hooks, Name(kind), *more):
                if not hooks and more in ([], [None]) and kind in _DTYPES:
                    return self._tensor(storage, offset, size, stride, _DTYPES[kind])
            case "_rebuild_parameter", (tensor, bool(), hooks) if tensor is TENSOR and not hooks:
                return TENSOR
        raise RefusedError(f"holds a call of {function.name.replace(' ', '.')} that torch.save does not write", SAVE)

    def _tensor(self, storage: Storage, offset: Any, size: Any, stride: Any, itemsize: int) -> object:
        """A tensor whose elements are all in its storage."""
        numbers = (offset, *size, *stride)
        if not all(map(_is_count, numbers)) or len(size) != len(stride):
            raise RefusedError("is damaged: the shape of a tensor is wrong")
        elements = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if elements else offset - 1
        if (last + 1) * itemsize > storage.nbytes:
            raise RefusedError("is damaged: a tensor reaches beyond its values")
        self._room -= elements * itemsize
        if self._room < 0:
            raise RefusedError("has tensors that are many times as large as their values")
        return TENSOR


def named(name: str) -> Name:
    """A function or type that the file names and may use."""
    if name not in _KNOWN:
        if name.startswith("torch._utils _rebuild"):
            raise RefusedError(f"holds a tensor that is not dense ({name.split()[-1]})", SAVE)
        raise code(name)
    return Name(name)


def filled(target: Any, pairs: list[Any]) -> dict[Any, Any]:
    """Enter `pairs`. Keys must be scalars: hashing nested ones can take forever, or overflow the stack."""
    if type(target) not in (dict, Ordered):
        raise RefusedError("is damaged: its pickle cannot be read")
    for key, value in pairs:
        if not isinstance(key, _SCALARS):
            raise RefusedError("holds a dictionary with keys that are not plain values", SAVE)
        target[key] = value
    return target  # type: ignore[no-any-return]


def check_leaf(value: Any) -> None:
    """Refuse what is neither a tensor nor a plain value."""
    dtype = isinstance(value, Name) and value.name in _DTYPES
    if not (dtype or value is TENSOR or value is _DEVICE or isinstance(value, _SCALARS)):
        raise code(value)


def code(what: Any) -> RefusedError:
    """The refusal of a file in which `what` would be run."""
    name = what.name if isinstance(what, Name) else what
    shown = f" ({name.replace(' ', '.')[:60]})" if isinstance(name, str) else ""
    return RefusedError(f"holds more than tensors and plain values{shown}, and trainer runs no code of a file", SAVE)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
