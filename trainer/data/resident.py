"""Samples that lie on the device, whole."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.data.splits import Split, packed


class Resident:
    """The samples of a split on the device, once, `packed`.

    In main memory images are used where they are, in a mapped file too: `rows` says which are the split's. A
    device of its own gets them a part at a time, so that no second copy is made on the way.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.order_device = device
        self.targets = split.targets.to(device)
        self.rows: Tensor | None = None
        if device.type == "cpu" and len(split.shape) == 3:
            self.inputs, self.rows = packed(split.samples[:]), split.rows
        elif device.type == "cpu":
            self.inputs = split.inputs
        else:
            first = packed(split[:1])
            self.inputs = torch.empty((len(split), *first.shape[1:]), dtype=first.dtype, device=device)
            done = 0
            for chunk in split.chunks():
                self.inputs[done : done + len(chunk)] = packed(chunk)
                done += len(chunk)

    def read(self, indices: Sequence[Tensor | slice], before: int = 0) -> Iterator[tuple[Any, ...]]:
        """Each batch as `samples` takes it: its indices, for there is nothing to wait for."""
        return zip(indices)

    def samples(self, indices: Any) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch; images are (B, H, W, C)."""
        rows = indices if self.rows is None else self.rows[indices]
        if isinstance(indices, slice):
            return self.inputs[rows], self.targets[indices]
        return self.inputs.index_select(0, rows), self.targets.index_select(0, indices)

    def give_up(self) -> None:
        """Nothing is waited for."""

    def close(self, at_once: bool = False) -> None:
        """Nothing is left running."""
