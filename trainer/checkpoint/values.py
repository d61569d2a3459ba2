"""What tensors of a file may be: the words in which the parts of a checkpoint say what is for them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # what people keep numbers in to train them


def are_equal(one: Any, other: Any) -> bool:
    """Whether two values of plain ones in lists and dictionaries are equal; a tensor is equal to nothing."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(are_equal(one[key], other[key]) for key in one)
    return not isinstance(one, Tensor) and not isinstance(other, Tensor) and bool(one == other)


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in what was read from a file, whose depth has been bounded."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def overlaps(tensor: Tensor) -> bool:
    """Whether elements of a tensor may share memory: writing to one would change another."""
    reached = 0  # by the dimensions so far, in elements beyond the first
    if tensor.numel() == 0:
        return False
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride <= reached:
                return True
            reached += stride * (size - 1)
    return False


def is_dense(tensor: Tensor) -> bool:
    """Whether the elements of a tensor fill a stretch of memory, in whatever order, each once."""
    reached = sum(stride * (size - 1) for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
    return tensor.numel() == 0 or (not overlaps(tensor) and reached + 1 == tensor.numel())


def are_finite(tensor: Tensor) -> bool:
    """Whether all elements are finite; those that are no floats are."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    # Not every torch has `isfinite` for the kinds of float that take one byte.
    return bool((tensor.float() if tensor.itemsize == 1 else tensor).isfinite().all())


def kind(tensor: Tensor) -> str:
    """What a tensor is in a message: `float32 of 64x10`, or `a float32`."""
    dtype, shape = str(tensor.dtype).removeprefix("torch."), "x".join(map(str, tensor.shape))
    return f"{dtype} of {shape}" if shape else f"a {dtype}"
