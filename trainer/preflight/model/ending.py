"""Whether the model ends in what its loss expects: logits where there are classes, values of any size otherwise."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing
from trainer.system.shown import amount, share

ABOUT = "what the model ends in"
LABEL = "last layer"
OUTSIDE = 0.01  # of the targets, that a model may be unable to reach
# Functions whose values are bounded, by the node that torch keeps for their gradient: their name, and the bounds.
_BOUNDED = {
    "SoftmaxBackward": ("softmax", 0.0, 1.0),
    "SigmoidBackward": ("sigmoid", 0.0, 1.0),
    "ReluBackward": ("relu", 0.0, float("inf")),
    "TanhBackward": ("tanh", -1.0, 1.0),
}
_SHAPES = ("View", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Transpose", "Alias", "Select", "Slice")


def look(subject: Subject) -> Iterator[Finding]:
    """Look at the outputs for the first batch, and at the function that they come from."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    inputs, targets = trial.first()[0]
    outputs = trial.forward(inputs)
    name, low, high = last(outputs)
    if trial.loss.name == "cross_entropy":
        if name == "softmax" or are_shares(outputs.detach()):
            found = "softmax, and cross-entropy takes logits: it is taken twice, and the model learns slowly"
            yield Finding(LABEL, found, "return the outputs of the last linear layer, without softmax", wrong=True)
        elif name:
            found = f"{name}, and cross-entropy takes logits, which may be of any size"
            yield Finding(LABEL, found, f"return the outputs of the last linear layer, without {name}", wrong=True)
        else:
            yield Finding(LABEL, "gives logits, as cross-entropy takes them")
    elif subject.data.classes is None and name:
        beyond = float(((targets < low) | (targets > high)).double().mean())
        found = f"{name} gives values from {amount(low)} to {'any' if high == float('inf') else amount(high)}"
        if beyond > OUTSIDE:
            found += f", and {share(beyond)} of the targets, as they are trained on, lie outside"
            yield Finding(LABEL, found, f"return the outputs of the last linear layer, without {name}", wrong=True)
        else:
            yield Finding(LABEL, f"{found}, and so are the targets")
    elif subject.data.classes is None:
        yield Finding(LABEL, "gives values of any size")


def last(outputs: Tensor) -> tuple[str, float, float]:
    """The function that outputs come from and the bounds of its values; "" where it has none."""
    node: Any = outputs.grad_fn
    while node is not None:
        kind = type(node).__name__
        for start, bounded in _BOUNDED.items():
            if kind.startswith(start):
                return bounded
        if not kind.startswith(_SHAPES) or not node.next_functions:
            break
        node = node.next_functions[0][0]
    return "", -float("inf"), float("inf")


def are_shares(outputs: Tensor) -> bool:
    """Whether the outputs (N, classes) of each sample are probabilities: they lie in 0..1, and their sum is 1."""
    if outputs.shape[1] < 2:
        return False
    sums = outputs.double().sum(1)
    return bool(((outputs >= 0) & (outputs <= 1)).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-2)
