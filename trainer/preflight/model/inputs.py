"""Whether the outputs depend on the inputs of a sample, and in evaluation on those of no other."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing, without_chance

ABOUT = "what the outputs depend on"
LABEL = "inputs"
SAME = 1e-5  # of the size of the outputs: smaller differences are rounding
STEPS = 3  # a last layer may begin at 0, and then gives 0 for all before the first step
FEW = 64  # samples that are compared


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the outputs of samples with each other, and with those beside other samples."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    for _ in range(STEPS):
        trial.step()
    inputs = torch.cat([inputs for inputs, _ in trial.first(2)])[: 2 * FEW]
    if len(inputs) < 2 or bool((inputs == inputs[:1]).all()):
        yield Finding(LABEL, "of one sample alone there is nothing to compare")
        return
    half = len(inputs) // 2
    mine, others = inputs[:half], inputs[half : 2 * half]
    # The same number of samples in the same places: the arithmetic is the same to the bit.
    alone = trial.answers(torch.cat([mine, mine]))[:half]
    beside = trial.answers(torch.cat([mine, others]))[:half]
    # Deep networks with batch normalisation say next to nothing in evaluation before its statistics have settled.
    with torch.no_grad(), without_chance(trial.model, by_batch=True):
        every = trial.forward(inputs)
    if not varies(every):
        found = "the outputs are the same for all samples: the model does not see its inputs"
        yield Finding(
            LABEL, found, "look in forward for units that are all off, or for inputs that are not used", wrong=True
        )
    elif differ(alone, beside):
        found = "in evaluation the outputs of a sample depend on the others in its batch"
        advice = "look for means over dimension 0, attention or normalisation across samples, or x.view(-1, ...)"
        yield Finding(LABEL, found, advice, wrong=True)
    else:
        yield Finding(LABEL, "decide on the outputs, those of each sample alone")


def varies(outputs: Tensor) -> bool:
    """Whether the outputs (N, ...) of samples differ by more than rounding."""
    return differ(outputs, outputs[:1].expand_as(outputs))


def differ(first: Tensor, second: Tensor, by: float = SAME) -> bool:
    """Whether two outputs differ by more than rounding: `by` so much of their size."""
    size = max(float(first.double().abs().max()), torch.finfo(torch.float32).tiny)
    return bool((first.double() - second.double()).abs().max() > by * size)
