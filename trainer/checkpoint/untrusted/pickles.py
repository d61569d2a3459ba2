"""Walks through a pickle without running it: what would it make, and how large would that be?

`torch.load(weights_only=True)` calls only functions of a list, but some of them allocate as much as they are told to,
and a tensor that reaches beyond its values is given the room for it. The walk keeps a stack as an unpickler does. It
accepts what the `state_dict`s of torch's modules, optimizers and schedules are made of (`objects`).
"""

import io
import pickletools
from typing import Any

from trainer.checkpoint.untrusted.objects import (
    SAVE,
    Objects,
    Ordered,
    RefusedError,
    Storage,
    check_leaf,
    code,
    filled,
    named,
)

LONGEST = 2**26  # bytes of a pickle with its texts; a ResNet-18 with its optimizer has 60 thousand
_MOST = 2**20  # values, and instructions, each of which makes less than 100 bytes
_DEEPEST = 50  # levels of containers

_MARK = object()  # where the items of a list begin on the stack
_UNREADABLE = RefusedError("is damaged: its pickle cannot be read")


class Walk:
    """Walks through the pickles of one file of `size` bytes."""

    def __init__(self, size: int) -> None:
        self._objects = Objects(size)
        self._steps = _MOST
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    @property
    def storages(self) -> dict[str, Storage]:
        """Those that the pickles so far declare."""
        return self._objects.storages

    def content(self, pickled: bytes | io.BytesIO) -> None:
        """Walk through the pickle of what was saved.

        Raises:
            RefusedError: it holds anything but tensors and plain values, or more than the file can have.
        """
        _check_nesting(self.value(pickled))

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
                stack.append(named(argument))
            case "BINPERSID":
                stack.append(self._objects.storage(*self._pop(1)))
            case "REDUCE":
                stack.append(self._objects.call(*self._pop(2)))
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
                filled(stack[-1], [(key, value)])
            case "SETITEMS":
                items = self._pop_mark()
                filled(stack[-1], list(zip(items[::2], items[1::2], strict=True)))
            case "BUILD":  # attributes of an object: `state_dict`s have the versions of their modules in `_metadata`
                target, state = self._top(2)
                if type(target) is not Ordered or type(state) is not dict or list(state) != ["_metadata"]:
                    raise code(target)
                self._pop(1)
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


def _check_nesting(content: Any) -> None:
    """Check that `content` has tensors and plain values only, in containers that code can walk by recursion.

    A container may contain itself, or share parts so that it unfolds without end.
    """
    known: dict[int, tuple[int, int]] = {}

    def measured(value: Any, around: int) -> tuple[int, int]:
        """How many values there are in `value`, counting each as often as it is met, and how deep it is."""
        if not isinstance(value, list | dict | tuple):
            check_leaf(value)
            return 1, 0
        count, depth = known.get(id(value), (1, 1))
        if around + depth > _DEEPEST:
            raise RefusedError("is damaged: it is nested too deeply")
        if id(value) not in known:
            for part in value.values() if isinstance(value, dict) else value:
                values, below = measured(part, around + 1)
                count, depth = count + values, max(depth, 1 + below)
                if count > _MOST:
                    raise RefusedError("is damaged: it unfolds to too many values")
            known[id(value)] = count, depth
        return count, depth

    measured(content, 0)
