"""Whether the activations let gradients through: units that are off for all samples learn nothing."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, keeping_randomness, unless_failing
from trainer.system.shown import counted, share

ABOUT = "the activations"
LABEL = "activations"
BATCHES = 2
LARGEST = 0.9  # share of units that are off, or of values that are saturated, which is no accident any more
FLAT = 0.01  # of the greatest slope of a function: where it is less, the function is saturated
SHOWN = 3
_OFF = {"relu": "ReLU", "relu6": "ReLU6"}
_FLAT = {"sigmoid": "sigmoid", "tanh": "tanh"}


def look(subject: Subject) -> Iterator[Finding]:
    """Send the first batches through, and look at what each activation gives."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    inputs = [inputs for inputs, _ in trial.first(BATCHES)]
    seen = watched(trial, inputs)
    if not seen:
        return
    bad = {name: (kind, part) for name, (kind, part) in seen.items() if part > LARGEST}
    for name, (kind, part) in list(bad.items())[:SHOWN]:
        if kind in _FLAT.values():
            found = f"{share(part)} of the values of the {kind} {name} are saturated: hardly a gradient comes through"
            advice = "smaller initial weights, standardised inputs, or a normalisation before it"
        else:
            found = f"{share(part)} of the units of the {kind} {name} are off for all samples: they cannot learn"
            advice = "initial biases near 0, standardised inputs, or a normalisation before it"
        yield Finding(LABEL, found, advice, wrong=True)
    if not bad:
        worst = max(part for _, part in seen.values())
        layers = counted(len(seen), "layer")
        yield Finding(LABEL, f"at most {share(worst)} of the units of one are off or saturated, of {layers}")


def watched(trial: Trial, inputs: list[Tensor]) -> dict[str, tuple[str, float]]:
    """Of each activation, by where it stands: its kind, and the share of units that are off or of saturated values."""
    with torch.no_grad(), keeping_randomness(), _Watch(trial.model) as watch:
        for batch in inputs:
            watch.number = 0
            trial.forward(batch)
    return {name: (kind, float(found)) for name, (kind, found) in watch.found().items()}


class _Watch(TorchFunctionMode):
    """Sees each function of torch that is called: most activations are no layers, which hooks could be put on."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.number, self.after = 0, ""
        self._on: dict[str, tuple[str, Tensor]] = {}  # units that were on, or shares of values that are saturated
        self._handles = [
            layer.register_forward_hook(self._passed(name))
            for name, layer in model.named_modules()
            if name and [*layer.parameters(recurse=False)]
        ]

    def _passed(self, name: str) -> Any:
        def hook(*_: object) -> None:
            self.after = name

        return hook

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = getattr(func, "__name__", "").rstrip("_")
        if (kind in _OFF or kind in _FLAT) and isinstance(result, Tensor) and result.dim() > 1:
            self.number += 1
            self._note(f"after {self.after}" if self.after else f"number {self.number}", kind, result)
        return result

    def _note(self, name: str, kind: str, values: Tensor) -> None:
        called = (_OFF | _FLAT)[kind]
        if kind in _OFF:  # units are channels, or features
            on = values.transpose(0, 1).flatten(1).ne(0).any(1)
            before = self._on.get(name)
            self._on[name] = called, on if before is None or before[1].shape != on.shape else before[1] | on
        else:
            slope = 4 * values * (1 - values) if kind == "sigmoid" else 1 - values * values
            self._on[name] = called, (slope < FLAT).double().mean()

    def found(self) -> dict[str, tuple[str, float]]:
        """The share of each activation that is off or saturated."""
        return {
            name: (kind, float(seen) if kind in _FLAT.values() else 1 - float(seen.double().mean()))
            for name, (kind, seen) in self._on.items()
        }
