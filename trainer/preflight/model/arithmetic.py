"""Whether the arithmetic is sound: the gradient in the precision of the training is about that in double precision."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.data.batches import Batch
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import ModelFailsError, Trial, failing, keeping_randomness, unless_failing, without_chance

ABOUT = "the arithmetic"
LABEL = "arithmetic"
MOST = {"float32": 0.02, "tf32": 0.1, "bfloat16": 0.5}  # of the length of the gradient, that it may differ by
FEW = 32  # samples


def look(subject: Subject) -> Iterator[Finding]:
    """Compute the gradient of the first samples once more in double precision."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    precision = subject.settled.precision
    trial = Trial(subject)
    if precision == "float64" or trial.parts.compute.device.type == "mps":
        return
    inputs, targets = trial.first()[0]
    batch = inputs[:FEW], targets[:FEW]
    plain = gradient(trial, batch)
    exact = Trial(subject, precision="float32")
    exact.model.double()
    try:
        wide = gradient(exact, (batch[0].double(), batch[1].double() if batch[1].is_floating_point() else batch[1]))
    except ModelFailsError:
        yield Finding(LABEL, "cannot be compared: the model does not compute in double precision")
        return
    error = float((plain - wide).norm() / wide.norm()) if bool(wide.any()) else 0.0
    found = f"the gradient in {precision} differs from that in float64 by {error:.1g} of its length"
    if not error <= MOST[precision]:
        advice = "look for log(softmax(x)), exp of large numbers, differences of large numbers, or a tiny eps"
        advice += "" if precision == "float32" else "; or precision=float32"
        yield Finding(LABEL, found, advice, wrong=True)
    else:
        yield Finding(LABEL, found)


def gradient(trial: Trial, batch: Batch) -> Tensor:
    """The gradient of a batch in one vector, in double precision, without dropout."""
    inputs, targets = batch
    with without_chance(trial.model), keeping_randomness():
        torch.manual_seed(0)
        loss = trial.value(trial.forward(inputs), targets)
        with failing("a backward pass"):
            loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.double().flatten() for p in trial.model.parameters() if p.grad is not None])
