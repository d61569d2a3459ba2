"""A digest of each sample, by which equal ones are found again: in another split, order, file or run."""

import numpy as np
import torch
from torch import Tensor

from trainer.data.splits import Split

# Odd constants of splitmix64 (Steele, Lea and Flood, 2014), which spread every bit of a word over all of it.
_GAMMA, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def digests(split: Split) -> Tensor:
    """64 bits (N,) int64 of each sample's inputs, as they lie in the split; its target is no matter.

    They depend on nothing but the values and their type, so that they can be kept and compared. They are no
    protection against somebody who makes samples of equal digests on purpose.
    """
    if split.digests is not None:
        return split.digests
    found, done = torch.empty(len(split), dtype=torch.int64), 0  # at once: small pieces would keep large ones from use
    for chunk in split.chunks():
        found[done : done + len(chunk)] = torch.from_numpy(of_rows(chunk.contiguous().numpy()))
        done += len(chunk)
    return found


def of_rows(inputs: np.ndarray) -> np.ndarray:
    """The digests (N,) of inputs (N, ...)."""
    rows = np.ascontiguousarray(inputs).reshape(len(inputs), -1)
    values = rows.view(np.uint8).reshape(len(rows), -1)
    missing = -values.shape[1] % 8
    words = (np.pad(values, ((0, 0), (0, missing))) if missing else values).view(np.uint64)
    places = _mixed(np.arange(1, words.shape[1] + 1, dtype=np.uint64) * _GAMMA) | np.uint64(1)
    found: np.ndarray = _mixed((_mixed(words) * places).sum(1, dtype=np.uint64)).view(np.int64)
    return found


def _mixed(words: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64; a bijection of 64 bits."""
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    found: np.ndarray = words ^ (words >> np.uint64(31))
    return found
