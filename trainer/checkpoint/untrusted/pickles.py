"""Walks through a pickle without running it: what would it make, and how large would that be?

`torch.load(weights_only=True)` calls only functions of a list, but some of them allocate as much as they are told to,
and a tensor that reaches beyond its values is given the room for it. The walk keeps a stack as an unpickler does, on
which functions are names and tensors are `TENSOR`. It accepts what the `state_dict`s of torch's modules, optimizers
and schedules are made of.
"""

import io
import math
import pickletools
from typing import Any

from trainer.checkpoint.untrusted import nesting
from trainer.checkpoint.untrusted.values import (
    DEVICE,
    DTYPES,
    ITEMSIZE,
    KNOWN,
    LARGEST,
    SAVE,
    SCALARS,
    TENSOR,
    Name,
    Ordered,
    RefusedError,
    Storage,
    code,
    is_count,
)

LONGEST = 2**26  # bytes of a pickle with its texts; a ResNet-18 with its optimizer has 60 thousand
_SHARED = 4  # tensors may share values, if all of them together have no more than so many times the file's size
_SMALL = 2**26  # so many bytes may all tensors together always have

_MARK = object()  # where the items of a list begin on the stack
_UNREADABLE = RefusedError("is damaged: its pickle cannot be read")


class Walk:
    """Walks through the pickles of one file of `size` bytes, and gathers the storages that they declare."""

    def __init__(self, size: int) -> None:
        self.storages: dict[str, Storage] = {}
        self._room = max(_SMALL, _SHARED * size)
        self._steps = LARGEST
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def content(self, pickled: bytes | io.BytesIO) -> None:
        """Walk through the pickle of what was saved.

        Raises:
            RefusedError: it holds anything but tensors and plain values, or more than the file can have.
        """
        nesting.check(self.value(pickled))

    def value(self, pickled: bytes | io.BytesIO) -> Any:
        """The content of one pickle, with `TENSOR` in place of each tensor.

        Raises:
            RefusedError: it is damaged, too long, or has instructions that `torch.save` does not write.
        """
        self._stack, self._memo = [], {}
        try:
            for op, argument, _ in pickletools.genops(pickled):
                self._steps -= 1
                if self._steps < 0:
                    raise RefusedError("is damaged: its pickle is too long")
                self._step(op.name, argument)
            (result,) = self._stack
        except RefusedError:
            raise
        except Exception as error:  # pickletools raises several kinds, and so does a stack that is used up
            raise _UNREADABLE from error
        return result

    def _step(self, instruction: str, argument: Any) -> None:
        """Do to the stack what one instruction says; the most frequent ones come first."""
        stack = self._stack
        match instruction:
            case "BINPUT" | "LONG_BINPUT":
                (self._memo[argument],) = self._top(1)
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "BINUNICODE" | "SHORT_BINSTRING" | "BINFLOAT":
                stack.append(argument)
            case "BININT" | "BININT1" | "BININT2" | "LONG1":
                if not -(2**63) <= argument < 2**64:
                    raise RefusedError("is damaged: it holds a number that is too large")
                stack.append(argument)
            case "MARK":
                stack.append(_MARK)
            case "TUPLE":
                stack.append(tuple(self._pop_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(self._pop(int(instruction[-1])))
            case "GLOBAL":
                stack.append(_name(argument))
            case "BINPERSID":
                stack.append(self._storage(*self._pop(1)))
            case "REDUCE":
                stack.append(self._call(*self._pop(2)))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[instruction])
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "APPEND":
                self._append(self._pop(1))
            case "APPENDS":
                self._append(self._pop_mark())
            case "SETITEM":
                key, value = self._pop(2)
                _fill(stack[-1], [(key, value)])
            case "SETITEMS":
                items = self._pop_mark()
                _fill(stack[-1], list(zip(items[::2], items[1::2], strict=True)))
            case "BUILD":
                self._build(*self._top(2))
            case "PROTO" | "STOP":
                pass
            case _:
                raise RefusedError(f"holds a pickle that torch.load does not read safely ({instruction})", SAVE)

    def _top(self, count: int) -> tuple[Any, ...]:
        found = tuple(self._stack[-count:])
        if len(found) < count or _MARK in found:
            raise _UNREADABLE
        return found

    def _pop(self, count: int) -> tuple[Any, ...]:
        found = self._top(count)
        del self._stack[-count:]
        return found

    def _pop_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _append(self, items: list[Any] | tuple[Any, ...]) -> None:
        if type(self._stack[-1]) is not list:
            raise _UNREADABLE
        self._stack[-1].extend(items)

    def _storage(self, found: Any) -> Storage:
        """A storage: `("storage", type, key, location, numel)`, in old files with a view of it, None, at the end."""
        if type(found) is not tuple or found[:1] != ("storage",) or found[5:] not in ((), (None,)):
            raise RefusedError("refers to something that is not in it")
        _, kind, key, location, numel = found[:5]
        if not (isinstance(kind, Name) and kind.name in ITEMSIZE and isinstance(key, str)):
            raise RefusedError("holds values of a kind that trainer does not read", SAVE)
        if not isinstance(location, str) or not is_count(numel):
            raise RefusedError("is damaged: the number of its values is wrong")
        storage = Storage(key, numel, ITEMSIZE[kind.name])
        if self.storages.setdefault(key, storage) != storage:
            raise RefusedError("is damaged: it names the same values in two ways")
        return storage

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Name) or type(arguments) is not tuple:
            raise code(function)
        match function.name.split()[-1], arguments:
            case "OrderedDict", ():
                return Ordered()
            case "OrderedDict", ([*pairs],):
                return _fill(Ordered(), pairs)
            case "Counter", (dict() as counts,):
                return _fill({}, list(counts.items()))
            case "set", ([*items],) if all(isinstance(item, SCALARS) for item in items):
                return items
            case "Size", (tuple() as sizes,) if all(map(is_count, sizes)):
                return sizes
            case "device", (str(), *index) if len(index) <= 1 and all(map(is_count, index)):
                return DEVICE
            case "encode", (str() as text, "latin1"):
                return text
            case "_rebuild_tensor", (Storage() as storage, offset, size, stride):
                return self._tensor(storage, offset, size, stride, storage.itemsize)
            case "_rebuild_tensor_v2", (Storage() as storage, offset, size, stride, bool(), hooks, *more):
                if not hooks and more in ([], [None]):
                    return self._tensor(storage, offset, size, stride, storage.itemsize)
            case "_rebuild_tensor_v3", (Storage() as storage, offset, size, stride, bool(), hooks, Name(kind), *more):
                if not hooks and more in ([], [None]) and kind in DTYPES:
                    return self._tensor(storage, offset, size, stride, DTYPES[kind])
            case "_rebuild_parameter", (tensor, bool(), hooks) if tensor is TENSOR and not hooks:
                return TENSOR
        raise RefusedError(f"holds a call of {function.name.replace(' ', '.')} that torch.save does not write", SAVE)

    def _tensor(self, storage: Storage, offset: Any, size: Any, stride: Any, itemsize: int) -> object:
        """A tensor whose elements are all in its storage."""
        numbers = (offset, *size, *stride)
        if not all(map(is_count, numbers)) or len(size) != len(stride):
            raise RefusedError("is damaged: the shape of a tensor is wrong")
        elements = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if elements else offset - 1
        if (last + 1) * itemsize > storage.nbytes:
            raise RefusedError("is damaged: a tensor reaches beyond its values")
        self._room -= elements * itemsize
        if self._room < 0:
            raise RefusedError("has tensors that are many times as large as their values")
        return TENSOR

    def _build(self, target: Any, state: Any) -> None:
        """Set attributes of an object: `state_dict`s have the versions of their modules in `_metadata`."""
        if type(target) is not Ordered or type(state) is not dict or list(state) != ["_metadata"]:
            raise code(target)
        self._pop(1)


def _name(name: str) -> Name:
    if name not in KNOWN:
        if name.startswith("torch._utils _rebuild"):
            raise RefusedError(f"holds a tensor that is not dense ({name.split()[-1]})", SAVE)
        raise code(name)
    return Name(name)


def _fill(target: Any, pairs: list[Any]) -> dict[Any, Any]:
    """Enter `pairs`. Keys must be scalars: hashing nested ones can take forever, or overflow the stack."""
    if type(target) not in (dict, Ordered):
        raise _UNREADABLE
    for key, value in pairs:
        if not isinstance(key, SCALARS):
            raise RefusedError("holds a dictionary with keys that are not plain values", SAVE)
        target[key] = value
    return target  # type: ignore[no-any-return]
