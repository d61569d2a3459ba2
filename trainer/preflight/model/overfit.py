"""Whether a few samples can be learnt by heart with the optimizer of the config."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.batches import Batch
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing, within
from trainer.system.shown import amount, counted

ABOUT = "whether a few samples can be learnt"
LABEL = "a few samples"
FEW = 16  # samples
MOST = 2000  # steps on them
SECONDS = 8.0
EVERY = 10  # steps
LEAST = 20  # steps, however long they take
ENOUGH = 0.5  # of the loss of the best constant answer: below it the answers depend on the inputs
OTHERS = (0.1, 10.0)  # times the learning rate, which are tried where that does not learn


def look(subject: Subject) -> Iterator[Finding]:
    """Train on a few samples alone, until their loss is half of that of the best constant answer."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    samples = few(trial.seen())
    constant = of_constant(trial.loss.name, samples[1], len(subject.data.classes or ()))
    before = "it was" if constant is None else "a constant answer has"
    if constant is None:
        constant = trial.level(samples)
    if not constant > 0 or not math.isfinite(constant):
        return
    ended = learnt(trial, samples, trial.rate, ENOUGH * constant)
    what = f"the loss of {counted(len(samples[1]), 'sample')}"
    to = f"{before} {amount(constant)}"
    if ended.enough:
        yield Finding(LABEL, f"{what} falls to {amount(ended.loss)} in {counted(ended.steps, 'step')}; {to}")
        return
    found = f"{what} is {amount(ended.loss)} after {counted(ended.steps, 'step')} on them alone, and {to}"
    if ended.steps < MOST and math.isfinite(ended.loss):
        yield Finding(LABEL, f"{found}: steps take too long to say more")
        return
    for factor in OTHERS:
        other = Trial(subject)
        if learnt(other, samples, factor * other.rate, ENOUGH * constant).enough:
            better = amount(factor * other.rate).replace(",", "")
            yield Finding(
                LABEL, f"{found}; at a learning rate of {better} it can learn them", f"optim.lr={better}", True
            )
            return
    advice = "look at the loss and at forward: neither a smaller nor a larger optim.lr learns them"
    yield Finding(LABEL, found, advice, wrong=True)


@dataclass(frozen=True)
class Ended:
    """How a training on a few samples ended."""

    loss: float
    steps: int
    enough: bool


def few(samples: Batch) -> Batch:
    """`FEW` of the samples, from all over them."""
    inputs, targets = samples
    some = torch.linspace(0, len(targets) - 1, min(FEW, len(targets)), device=targets.device).long()
    return inputs[some], targets[some]


def of_constant(loss: str, targets: Tensor, classes: int) -> float | None:
    """The loss of the best constant answer to some targets; None of a loss that is not ours."""
    if loss == "cross_entropy":
        shares = torch.bincount(targets, minlength=classes).double() / len(targets)
        return float(torch.special.entr(shares).sum())
    squares = (targets.double() - targets.double().mean(0)).square()
    return {"mse": float(squares.mean()), "half_sse": float(0.5 * squares.sum())}.get(loss)


def learnt(trial: Trial, samples: Batch, rate: float, enough: float) -> Ended:
    """Train on `samples` alone until their loss is `enough`, or for `MOST` steps; less of a large model."""
    level, taken = math.inf, 0
    for number in within(SECONDS, LEAST, MOST):
        value, taken = trial.step(rate, [samples]), number + 1
        if not math.isfinite(value):
            return Ended(value, taken, False)
        if taken % EVERY == 0:
            level = trial.level(samples)
            if level <= enough:
                return Ended(level, taken, True)
    return Ended(level, taken, False)
