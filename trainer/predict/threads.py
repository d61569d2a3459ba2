"""How many threads a model computes on while other processes decode its inputs, on the same cores."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch

from trainer.system.machine import cores


class Threads:
    """One thread until it is known what takes longer, and where that is decoding; else as many as before.

    The threads of torch wait for each other by spinning: on cores that are busy with decoding, two of them can take
    ten times as long as one. Seconds are those of a core, so that it matters little how busy the machine is.
    """

    def __init__(self, device: torch.device) -> None:
        self.before = torch.get_num_threads()
        self.open = device.type == "cpu" and self.before > 1  # whether it is still to be seen
        self.warm = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self.before)

    @contextmanager
    def beside(self, decoding: float | None) -> Iterator[None]:
        """Compute within the block; other processes took so many seconds to decode the inputs, if any did."""
        if not self.open or decoding is None:
            yield
            return
        torch.set_num_threads(1)
        begun = time.thread_time()
        yield
        computing = time.thread_time() - begun
        if self.warm:  # the first time a model computes takes longer
            self.open = False
            if computing * (cores() - 1) > decoding:
                torch.set_num_threads(self.before)
        self.warm = True
