"""Samples that lie on the device, whole."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.data.splits import Split


class Resident:
    """The samples of a split on the device, once, each as `form` makes it.

    In main memory images are used where they are, in a mapped file too: `rows` says which are the split's. A
    device of its own gets them a part at a time, so that no second copy is made on the way.
    """

    def __init__(self, split: Split, form: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self.order_device = device
        self.targets = split.targets.to(device)
        self.rows: Tensor | None = None
        if device.type == "cpu" and len(split.shape) == 3:
            self.inputs, self.rows = form(split.samples[:]), split.rows
        elif device.type == "cpu":
            self.inputs = form(split.inputs)
        else:
            first = form(split[:1])
            self.inputs = torch.empty((len(split), *first.shape[1:]), dtype=first.dtype, device=device)
            done = 0
            for chunk in split.chunks():
                self.inputs[done : done + len(chunk)] = form(chunk)
                done += len(chunk)

    def fetch(self, batches: Sequence[Tensor | slice]) -> Iterator[tuple[Any, ...]]:
        """The rows of each batch: there is nothing to wait for."""
        return ((rows,) for rows in batches)

    def close(self) -> None:
        """Nothing is left running."""

    def samples(self, raw: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch; images are (B, H, W, C)."""
        (rows,) = raw
        of_all = rows if self.rows is None else self.rows[rows]
        if isinstance(rows, slice):
            return self.inputs[of_all], self.targets[rows]
        return self.inputs.index_select(0, of_all), self.targets.index_select(0, rows)
