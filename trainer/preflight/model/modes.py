"""Whether the model says the same in training and in evaluation, but for dropout and normalisation by batch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.preflight.finding import Finding
from trainer.preflight.model.inputs import differ
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, keeping_randomness, normalises, unless_failing, within, without_chance
from trainer.system.shown import amount, counted

ABOUT = "training and evaluation mode"
LABEL = "modes"
STEPS = 30  # after which running statistics have forgotten 96% of what they begin with
SECONDS = 8.0
# Times the loss of the same samples in training mode, and of the first loss, that one in evaluation may have together:
# statistics of small batches are rough, and a loss near 0 is soon doubled.
WORSE, ROUGH = 2.0, 0.2
# Of the size of the outputs, by which both modes may differ: torch has faster kernels for some layers in evaluation.
SAME = {"float64": 1e-8, "float32": 1e-4, "tf32": 1e-2, "bfloat16": 0.05}


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the outputs for the first batch in both modes, and with batch normalisation those after some steps."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    inputs = trial.first()[0][0]
    first, again = (_drawn(trial, inputs, seed, training=False) for seed in (1, 2))
    if differ(first, again):
        advice = "F.dropout(x, self.p, self.training), or nn.Dropout: without self.training it drops in evaluation, too"
        yield Finding(LABEL, "in evaluation the outputs are drawn at random", advice, wrong=True)
        return
    with without_chance(trial.model):
        trained, anew = (_drawn(trial, inputs, seed, training=True) for seed in (1, 2))
    if not differ(trained, anew) and differ(trained, first, SAME[subject.settled.precision]):
        found = "the outputs in training are others than in evaluation, also without dropout and batch normalisation"
        yield Finding(LABEL, found, "look in forward, and in the layers, for what self.training decides", wrong=True)
        return
    if any(normalises(module) and module.training for module in trial.model.modules()):
        yield from _normalised(trial)
    elif differ(trained, anew):
        yield Finding(LABEL, "forward draws random numbers in training, and none in evaluation")
    else:
        yield Finding(LABEL, "give the same outputs, dropout aside")


def _drawn(trial: Trial, inputs: Tensor, seed: int, training: bool) -> Tensor:
    with torch.no_grad(), keeping_randomness():
        torch.manual_seed(seed)
        return trial.forward(inputs) if training else trial.answers(inputs)


def _normalised(trial: Trial) -> Iterator[Finding]:
    """Train for some steps, let the statistics of batch normalisation settle, and compare the losses of both modes."""
    losses = [trial.step() for _ in within(SECONDS, 5, STEPS)]
    batches = trial.first(2)
    training, evaluation = [], []
    with torch.no_grad(), keeping_randomness():
        for _ in within(SECONDS / 2, 5, STEPS):
            for inputs, _ in batches:
                trial.forward(inputs)
        for inputs, targets in batches:
            training.append(trial.value(trial.forward(inputs), targets))
            evaluation.append(trial.value(trial.answers(inputs), targets))
    there, here = (float(torch.stack(values).double().mean()) for values in (training, evaluation))
    found = (
        f"after {counted(len(losses), 'step')} the loss is {amount(there)} in training and {amount(here)} in evaluation"
    )
    if not here <= WORSE * there + ROUGH * losses[0]:
        advice = "look at momentum and eps of batch normalisation; larger data.batch_size makes its statistics surer"
        yield Finding(LABEL, found, advice, wrong=True)
    else:
        yield Finding(LABEL, found)
