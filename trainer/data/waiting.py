"""What sources have in common whose batches are read elsewhere, and waited for."""

from typing import Any

import torch
from torch import Tensor

from trainer.system.errors import StoppedError


class Waiting:
    """A source that hands over inputs and targets, and says while it waits for them that it is `waiting`."""

    order_device = torch.device("cpu")
    waiting = False

    def samples(self, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch; images are (B, H, W, C)."""
        return inputs, targets

    def give_up(self) -> None:
        """Stop waiting. It is called by the handler of a signal, in the thread that waits.

        Raises:
            StoppedError: Something is being waited for.
        """
        if self.waiting:
            raise StoppedError
