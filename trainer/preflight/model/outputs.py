"""Whether the model gives as many finite values for each sample of a batch as the data need, in both modes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.models.mode import evaluating
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import ModelFailsError, Trial, keeping_randomness
from trainer.system.shown import counted

ABOUT = "the outputs of the model"
LABEL = "outputs"
_MODES = {"training": True, "evaluation": False}


def look(subject: Subject) -> Iterator[Finding]:
    """Send the first batch through, in training and in evaluation mode, and look at what comes out."""
    trial = Trial(subject)
    inputs, targets = trial.first()[0]
    wanted = len(inputs), int(subject.data.facts()["outputs"])
    if not bool(inputs.isfinite().all()):
        number = int((~inputs.flatten(1).isfinite().all(1)).sum())
        found = f"{counted(number, 'sample')} of the first batch have inputs that are not finite"
        yield Finding(LABEL, found, "look at the data: check.only=data", wrong=True)
        return
    for mode, training in _MODES.items():
        try:
            outputs = _outputs(trial, inputs, training)
            problem = fault(outputs, wanted)
            if problem is None:
                trial.value(outputs, targets, training)
        except ModelFailsError as error:
            yield Finding(LABEL, f"in {mode} {error.message}", _mend(error), wrong=True)
            return
        if problem is not None:
            found, advice = problem
            if subject.settled.precision == "bfloat16" and advice == _ARITHMETIC:
                advice = f"precision=float32, or {advice}"
            yield Finding(LABEL, f"in {mode} {found}", advice, wrong=True)
            return
    shape = "x".join(map(str, wanted))
    yield Finding(LABEL, f"{counted(len(inputs), 'sample')} give {shape} finite values, in training and evaluation")


_ARITHMETIC = "look in forward for log(0), a division by 0, or exp of a large number"


def fault(outputs: Tensor, wanted: tuple[int, int]) -> tuple[str, str] | None:
    """What is wrong with the outputs (N, outputs) of a batch, and what to do; None where nothing is."""
    if outputs.shape != wanted:
        found = f"the outputs of {counted(wanted[0], 'sample')} have the shape {tuple(outputs.shape)}, not {wanted}"
        return found, "keep the first dimension, of samples: x.flatten(1), or x.view(len(x), -1)"
    broken = int((~outputs.isfinite()).any(1).sum())
    if broken:
        return f"the outputs of {broken:,} of {counted(wanted[0], 'sample')} are not finite", _ARITHMETIC
    return None


def _outputs(trial: Trial, inputs: Tensor, training: bool) -> Tensor:
    with torch.no_grad(), keeping_randomness():
        if training:
            return trial.forward(inputs)
        with evaluating(trial.model):
            return trial.forward(inputs)


def _mend(error: ModelFailsError) -> str:
    if "the loss" in error.message:
        return "look at what the loss expects of outputs and targets"
    return "forward has to take batches of any size: (N, ...) in, (N, outputs) out"
