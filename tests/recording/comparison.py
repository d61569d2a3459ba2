"""Two canonical trees compared to the bit; two texts compared by line."""

import difflib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class _Absent:
    """What a key has on the side that lacks it."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """A leaf, or a whole branch that one side lacks, and what each side has there."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if isinstance(self.old, Tensor) and isinstance(self.new, Tensor):
            return f"{self.key}: {_apart(self.old, self.new)}"
        return f"{self.key}: {_short(self.old)} has become {_short(self.new)}"


@dataclass(frozen=True)
class Expected:
    """A change that is made on purpose: the key, what it was, what it is, and why."""

    key: str
    old: Any
    new: Any
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether this is the reason for `difference`, in whatever file it was found."""
        asked = (self.key, self.old, self.new)
        return all(same(one, other) for one, other in zip(asked, _found(difference), strict=True))


def _found(difference: Difference) -> tuple[str, Any, Any]:
    return difference.key.rpartition(": ")[2], difference.old, difference.new


def differences(old: Any, new: Any, key: str = "") -> Iterator[Difference]:
    """Every place where two trees of dictionaries, lists, tensors and plain values are not equal to the bit.

    The order of a dictionary's keys says nothing. A number equals one of the same type and the same bits, so that 1
    and 1.0 differ, and so do 0.0 and -0.0, while NaN equals itself.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            inner = _inner(key, name)
            yield from differences(old.get(name, ABSENT), new.get(name, ABSENT), inner)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        if len(old) != len(new):
            yield Difference(f"{key} (length)", len(old), len(new))
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from differences(one, other, f"{key}[{number}]")
    elif not same(old, new):
        yield Difference(key, old, new)


def _inner(key: str, name: object) -> str:
    if key and not key.endswith(": "):
        return f"{key}.{name}"
    return f"{key}{name}"


def same(old: Any, new: Any) -> bool:
    """Whether two leaves are equal to the bit."""
    if type(old) is not type(new):
        return False
    if isinstance(old, float):
        return struct.pack("d", old) == struct.pack("d", new)
    if isinstance(old, Tensor):
        return old.dtype == new.dtype and old.shape == new.shape and torch.equal(_bytes(old), _bytes(new))
    return bool(old == new)


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def _apart(old: Tensor, new: Tensor) -> str:
    if old.dtype != new.dtype or old.shape != new.shape:
        return f"{old.dtype} {tuple(old.shape)} has become {new.dtype} {tuple(new.shape)}"
    apart = (old.double() - new.double()).abs()
    differing = int((old != new).sum())
    return f"{differing:,} of {old.numel():,} values differ, by at most {apart.max().item():.3g}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def leaves(tree: Any) -> int:
    """How many values are compared."""
    if isinstance(tree, dict | list | tuple):
        return sum(map(leaves, tree.values() if isinstance(tree, dict) else tree))
    return 1


def changes(old: str, new: str) -> Iterable[str]:
    """The hunks of a unified diff of two texts, without context."""
    hunk: list[str] = []
    for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))[2:]:
        if line.startswith("@@"):
            if hunk:
                yield "\n".join(hunk)
            hunk = []
        else:
            hunk.append(line)
    if hunk:
        yield "\n".join(hunk)
