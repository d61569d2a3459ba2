"""Whether the first loss is that of a model that knows nothing, or near it."""

import math
from collections.abc import Iterator

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing
from trainer.run.parts import Parts
from trainer.system.shown import amount

ABOUT = "the first loss"
LABEL = "first loss"
BATCHES = 4
# Outputs that vary by 2 around 0 add 2^2 / 2 to the cross-entropy of a model that knows nothing, and 2^2 times the
# variance of the targets to a squared error.
SPREAD = 2.0


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the mean loss of the first batches with that of outputs that are all 0."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    batches = trial.first(BATCHES)
    with torch.no_grad():
        outputs = [trial.forward(inputs) for inputs, _ in batches]
        values = [trial.value(found, targets) for found, (_, targets) in zip(outputs, batches, strict=True)]
        nothing = [trial.value(torch.zeros_like(f), t) for f, (_, t) in zip(outputs, batches, strict=True)]
    first, blank = (float(torch.stack(each).double().mean()) for each in (values, nothing))
    if not math.isfinite(first):
        advice = "smaller initial weights, standardised inputs and targets, or log_softmax in the place of log(softmax)"
        yield Finding(LABEL, f"it is {first}", advice, wrong=True)
        return
    found = f"{amount(first)}; {_said(trial.parts, blank)} {amount(blank)}"
    if not math.isfinite(blank) or trial.loss.name not in ("cross_entropy", "mse", "half_sse"):
        yield Finding(LABEL, amount(first))
    elif first > highest(trial.loss.name, blank):
        spread = float(torch.cat(outputs).double().std())
        found = f"{found}: it is sure of what it cannot know, its outputs spread by {amount(spread)}"
        yield Finding(LABEL, found, "smaller initial weights, or inputs that are standardised", wrong=True)
    else:
        yield Finding(LABEL, found)


def highest(loss: str, blank: float) -> float:
    """The largest first loss that is as it should be, where outputs of 0 have the loss `blank`."""
    return blank + SPREAD**2 / 2 if loss == "cross_entropy" else blank * (1 + SPREAD**2)


def _said(parts: Parts, blank: float) -> str:
    classes = len(parts.data.classes or ())
    is_plain = classes and math.isclose(blank, math.log(classes), rel_tol=1e-3)
    return f"a model that knows nothing has ln {classes} =" if is_plain else "outputs of 0 have"
