"""A model's forward and backward compiled by torch's inductor."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.system.errors import first_line


class Compiled:
    """The forward of `model`, compiled for inputs of the first shape that it gets; others run as written.

    So the smaller last batch of an epoch does not compile everything once more. Where compiling fails, the
    model runs as written from then on, and `say` is told why. Dropout draws the numbers that it draws eagerly.
    """

    def __init__(self, model: nn.Module, say: Callable[[str], None]) -> None:
        self.model, self.say = model, say
        self.usable = True
        self._compiled = torch.compile(model, dynamic=False, options={"fallback_random": True})
        self._shape: torch.Size | None = None
        self._worked = False

    def __call__(self, inputs: Tensor) -> Tensor:
        self._shape = self._shape or inputs.shape
        if not self.usable or inputs.shape != self._shape:
            return self.model(inputs)  # type: ignore[no-any-return]
        if self._worked:
            return self._compiled(inputs)  # type: ignore[no-any-return]
        try:
            outputs = self._compiled(inputs)
        except Exception as error:  # no compiler here, or a model it cannot take: inductor raises nearly anything
            self.usable = False
            self.say(f"compile: inductor cannot compile this model, steps run eagerly: {first_line(error)}")
            return self.model(inputs)  # type: ignore[no-any-return]
        self._worked = True
        return outputs  # type: ignore[no-any-return]
