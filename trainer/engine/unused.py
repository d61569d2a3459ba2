"""Parameters that a training leaves as they are, because no gradient reaches them."""

from collections.abc import Callable, Iterable

from torch import Tensor

from trainer.engine.loop import Hook
from trainer.engine.state import State

SHOWN = 3


def without_gradient(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """Say which of the named `parameters` require a gradient and have none after a backward pass.

    It is "" if all have one, or none has: the gradients of models that are stepped together lie elsewhere.
    """
    trained = [(name, values.grad is None) for name, values in parameters if values.requires_grad]
    names = [name for name, has_none in trained if has_none]
    if len(names) in (0, len(trained)):
        return ""
    what = "1 parameter" if len(names) == 1 else f"{len(names)} parameters"
    more = ", ..." if len(names) > SHOWN else ""
    return f"no gradient reaches {what} of the model, which training does not change: {', '.join(names[:SHOWN])}{more}"


class NamesUnused(Hook):
    """Warns once, after the first step, of parameters that have no gradient though they require one.

    `parameters` gives the names and tensors that the step computes gradients for; `warn` is told one line.
    """

    def __init__(self, parameters: Callable[[], Iterable[tuple[str, Tensor]]], warn: Callable[[str], None]) -> None:
        self.parameters, self.warn = parameters, warn
        self._looked = False

    def on_step(self, state: State) -> None:
        if self._looked:
            return
        self._looked = True
        found = without_gradient(self.parameters())
        if found:
            self.warn(found)
