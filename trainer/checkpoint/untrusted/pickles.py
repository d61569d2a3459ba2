"""Walks through a pickle without running it: what would be made of it, how large, and of nothing else.

`torch.load(weights_only=True)` calls only functions of a list, but the list has constructors that allocate what they
are told to, and tensors that reach beyond their values are given the room. The walk keeps a stack like an unpickler's,
on which functions are names and tensors are `TENSOR`. What it lets pass is what `state_dict`s of torch's modules,
optimizers and schedules are made of.
"""

import io
import math
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

WANTED = "a checkpoint is a file of trainer's, or of torch.save(model.state_dict(), FILE)"
SAVE = "save the model's state_dict: torch.save(model.state_dict(), FILE)"

LONGEST = 2**26  # bytes of a pickle, with texts and logs; that of a ResNet-18 with its optimizer has 60 thousand
_MOST = 2**20  # instructions; each makes less than 100 bytes
_DEEPEST = 50
_SHARED = 4  # a file's tensors may be views of the same values, of so many times the file's size in all
_SMALL = 2**26  # bytes that views may always take together

_ITEMSIZE = {
    "torch ByteStorage": 1,
    "torch CharStorage": 1,
    "torch BoolStorage": 1,
    "torch ShortStorage": 2,
    "torch HalfStorage": 2,
    "torch BFloat16Storage": 2,
    "torch IntStorage": 4,
    "torch FloatStorage": 4,
    "torch LongStorage": 8,
    "torch DoubleStorage": 8,
    "torch ComplexFloatStorage": 8,
    "torch ComplexDoubleStorage": 16,
    "torch.storage UntypedStorage": 1,
}
# Kinds that have no storage class of their own, and all others, as plain values.
_DTYPES = {
    **{f"torch {name}": size for size, names in {
        1: "uint8 int8 bool float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu",
        2: "uint16 int16 float16 bfloat16",
        4: "uint32 int32 float32",
        8: "uint64 int64 float64 complex64",
        16: "complex128",
    }.items() for name in names.split()},
}  # fmt: skip
_OTHERS = {
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
class _Name:
    """A function or type of the file's, which here is only a name."""

    name: str


class _Ordered(dict[Any, Any]):
    """An OrderedDict, the one kind of object that has attributes."""


class _Mark:
    """Where the items of a list begin on the stack."""


_UNREADABLE = RefusedError("is damaged: its pickle cannot be read")

TENSOR = object()
_DEVICE = object()
_MARK = _Mark()
_SCALARS = (str, int, float, bool, type(None))
_CONTAINERS = (list, dict, tuple)


class Walk:
    """Walks through the pickles of one file of `size` bytes, and gathers the storages that they declare."""

    def __init__(self, size: int) -> None:
        self.storages: dict[str, Storage] = {}
        self._room = max(_SMALL, _SHARED * size)
        self._steps = _MOST
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def content(self, pickled: bytes | io.BytesIO) -> None:
        """The pickle of what was saved.

        Raises:
            RefusedError: it holds anything but tensors and plain values, or more than the file can have.
        """
        _check_nesting(self.value(pickled))

    def value(self, pickled: bytes | io.BytesIO) -> Any:
        """What one pickle holds, with `TENSOR` for tensors."""
        self._stack, self._memo = [], {}
        try:
            for op, argument, _ in pickletools.genops(pickled):
                self._steps -= 1
                if self._steps < 0:
                    raise RefusedError("is damaged: its pickle is too long")
                step = _STEPS.get(op.name)
                if step is None:
                    raise RefusedError(f"holds a pickle that torch.load does not read safely ({op.name})", SAVE)
                step(self, argument)
            (result,) = self._stack
        except RefusedError:
            raise
        except Exception as error:  # pickletools raises several kinds, and so does a stack that is used up
            raise _UNREADABLE from error
        return result

    # --- instructions ---------------------------------------------------------------------------------

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _integer(self, value: int) -> None:
        if not -(2**63) <= value < 2**64:
            raise RefusedError("is damaged: it holds a number that is too large")
        self._stack.append(value)

    def _name(self, name: str) -> None:
        if name not in _KNOWN:
            if name.startswith("torch._utils _rebuild"):
                raise RefusedError(f"holds a tensor that is not dense ({name.split()[-1]})", SAVE)
            raise _code(name)
        self._stack.append(_Name(name))

    def _store(self, index: int) -> None:
        if self._stack[-1] is _MARK:
            raise _UNREADABLE
        self._memo[index] = self._stack[-1]

    def _recall(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _pop(self, count: int) -> tuple[Any, ...]:
        found = tuple(self._stack[-count:])
        if len(found) < count or _MARK in found:
            raise _UNREADABLE
        del self._stack[-count:]
        return found

    def _pop_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise _UNREADABLE
        self._stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        _fill(self._stack[-1], list(zip(items[::2], items[1::2], strict=True)))

    def _persistent(self, _: None) -> None:
        """A storage: `("storage", type, key, location, numel)`, in old files with a view of it, None, at the end."""
        (found,) = self._pop(1)
        if (
            not isinstance(found, tuple)
            or len(found) not in (5, 6)
            or found[0] != "storage"
            or found[5:] not in ((), (None,))
        ):
            raise RefusedError("refers to something that is not in it")
        _, kind, key, location, numel = found[:5]
        if not (isinstance(kind, _Name) and kind.name in _ITEMSIZE and isinstance(key, str)):
            raise RefusedError("holds values of a kind that trainer does not read", SAVE)
        if not isinstance(location, str) or not _is_count(numel):
            raise RefusedError("is damaged: the number of its values is wrong")
        storage = Storage(key, numel, _ITEMSIZE[kind.name])
        if self.storages.setdefault(key, storage) != storage:
            raise RefusedError("is damaged: it names the same values in two ways")
        self._stack.append(storage)

    def _reduce(self, _: None) -> None:
        function, arguments = self._pop(2)
        if not isinstance(function, _Name) or type(arguments) is not tuple:
            raise _code(function)
        self._stack.append(self._call(function.name, arguments))

    def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        match name.split()[-1], arguments:
            case "OrderedDict", ():
                return _Ordered()
            case "OrderedDict", ([*pairs],):
                return _fill(_Ordered(), pairs)
            case "Counter", (dict() as counts,):
                return _fill({}, list(counts.items()))
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
            case "_rebuild_tensor_v3", (Storage() as storage, offset, size, stride, bool(), hooks, _Name(kind), *more):
                if not hooks and more in ([], [None]) and kind in _DTYPES:
                    return self._tensor(storage, offset, size, stride, _DTYPES[kind])
            case "_rebuild_parameter", (tensor, bool(), hooks) if tensor is TENSOR and not hooks:
                return TENSOR
        raise RefusedError(f"holds a call of {name.replace(' ', '.')} that torch.save does not write", SAVE)

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

    def _build(self, _: None) -> None:
        """Attributes of an object: `state_dict`s have versions of their modules in `_metadata`."""
        target, state = self._stack[-2], self._stack[-1]
        if type(target) is not _Ordered or type(state) is not dict or list(state) != ["_metadata"]:
            raise _code(target)
        self._pop(1)


def _fill(target: Any, pairs: list[Any]) -> dict[Any, Any]:
    """Enter `pairs`. Keys are scalars: of nested ones, the hash alone can take forever or overflow the stack."""
    if type(target) not in (dict, _Ordered):
        raise _UNREADABLE
    for key, value in pairs:
        if not isinstance(key, _SCALARS):
            raise RefusedError("holds a dictionary with keys that are not plain values", SAVE)
        target[key] = value
    return target  # type: ignore[no-any-return]


def _check_nesting(root: Any) -> None:
    """What contains itself, or shares parts so that it unfolds without end, may not reach code that walks it."""
    unfolded: dict[int, int] = {}  # how many values are in a container, counted each time they are met
    above: dict[int, Any] = {}  # the containers around the current one
    path: list[tuple[Any, Iterator[Any], int]] = []

    def enter(value: Any) -> None:
        above[id(value)] = value
        path.append((value, iter(value.values() if isinstance(value, dict) else value), 1))

    if isinstance(root, _CONTAINERS):
        enter(root)
    else:
        _check_leaf(root)
    while path:
        value, parts, count = path.pop()
        for part in parts:
            if not isinstance(part, _CONTAINERS):
                _check_leaf(part)
                count += 1
            elif id(part) in unfolded:
                count += unfolded[id(part)]
            else:
                path.append((value, parts, count))
                if id(part) in above or len(path) > _DEEPEST:
                    raise RefusedError("is damaged: it is nested too deeply")
                enter(part)
                break
            if count > _MOST:
                raise RefusedError("is damaged: it unfolds to too many values")
        else:
            del above[id(value)]
            unfolded[id(value)] = count
            if path:
                around, rest, so_far = path.pop()
                path.append((around, rest, so_far + count))


def _check_leaf(value: Any) -> None:
    named = isinstance(value, _Name) and value.name in _DTYPES
    if not (named or value is TENSOR or value is _DEVICE or isinstance(value, _SCALARS)):
        raise _code(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _code(what: Any) -> RefusedError:
    name = what.name if isinstance(what, _Name) else what
    shown = f" ({name.replace(' ', '.')[:60]})" if isinstance(name, str) else ""
    return RefusedError(f"holds more than tensors and plain values{shown}, and trainer runs no code of a file", SAVE)


_KNOWN = {*_ITEMSIZE, *_DTYPES, *_OTHERS}
_STEPS: dict[str, Callable[[Walk, Any], None]] = {
    "PROTO": lambda walk, _: None,
    "STOP": lambda walk, _: None,
    "NONE": lambda walk, _: walk._push(None),
    "NEWTRUE": lambda walk, _: walk._push(True),
    "NEWFALSE": lambda walk, _: walk._push(False),
    "EMPTY_LIST": lambda walk, _: walk._push([]),
    "EMPTY_DICT": lambda walk, _: walk._push({}),
    "EMPTY_TUPLE": lambda walk, _: walk._push(()),
    "MARK": lambda walk, _: walk._push(_MARK),
    "TUPLE": lambda walk, _: walk._push(tuple(walk._pop_mark())),
    "TUPLE1": lambda walk, _: walk._push(walk._pop(1)),
    "TUPLE2": lambda walk, _: walk._push(walk._pop(2)),
    "TUPLE3": lambda walk, _: walk._push(walk._pop(3)),
    "APPEND": lambda walk, _: walk._append([*walk._pop(1)]),
    "APPENDS": lambda walk, _: walk._append(walk._pop_mark()),
    "SETITEM": lambda walk, _: walk._set([*walk._pop(2)]),
    "SETITEMS": lambda walk, _: walk._set(walk._pop_mark()),
    "BINFLOAT": Walk._push,
    "BINUNICODE": Walk._push,
    "SHORT_BINSTRING": Walk._push,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), Walk._integer),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), Walk._store),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), Walk._recall),
    "GLOBAL": Walk._name,
    "BINPERSID": Walk._persistent,
    "REDUCE": Walk._reduce,
    "BUILD": Walk._build,
}
