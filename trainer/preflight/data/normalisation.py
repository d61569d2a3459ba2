"""Whether inputs reach the model as numbers of about 1."""

from collections.abc import Iterator

import torch

from trainer.data.batches import Batches
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.errors import listed

ABOUT = "the normalisation"
LOW, HIGH = 0.1, 10.0  # deviations of what the model sees
FAR = 3.0  # how far its mean may be from 0, in deviations of 1 or its own, whichever is larger
APART = 1000.0  # one column's deviation to another's
DIM = 16  # values of 0..255 below which images seem to hold 0..1


def look(subject: Subject) -> Iterator[Finding]:
    """Measure the inputs of some training samples as the model sees them."""
    data, few = subject.data, subject.few
    if data.is_image and few.dtype == torch.uint8 and int(few.inputs.max()) < DIM:
        found = f"none is above {int(few.inputs.max())} of 255: the files seem to hold 0..1 as whole numbers"
        yield Finding("pixel values", found, "write the images anew, with values of 0..255", wrong=True)
        return
    compute = subject.first.compute
    batches = Batches(few, len(few), torch.device("cpu"), compute.dtype, data.mean, data.std, workers=0)
    inputs, _ = next(iter(batches))
    dims = (0, 2, 3) if data.is_image else (0,)
    means, deviations = inputs.double().mean(dims), inputs.double().std(dims, correction=0)
    mean, std = float(means.mean()), float(inputs.double().std(correction=0))
    told = f"the model sees mean {mean:.3g}, deviation {std:.3g}"
    varied = deviations[deviations > 0]
    given = "data.mean= and data.std=" if hasattr(subject.config.data, "mean") else "the mean and std of the data set"
    if (std and not LOW < std < HIGH) or abs(mean) > FAR * max(1.0, std):
        measured = _measured(subject)
        advice = f"{given}: what was measured is {measured} (of values in 0..1)" if data.is_image else _rows_advice()
        yield Finding("normalisation", told, advice, wrong=True)
    elif not data.is_image and len(varied) > 1 and float(varied.max()) > APART * float(varied.min()):
        found = f"columns of deviations from {float(varied.min()):.3g} to {float(varied.max()):.3g}"
        yield Finding("normalisation", found, _rows_advice(), wrong=True)
    else:
        yield Finding("normalisation", told)


def _rows_advice() -> str:
    return "standardise the columns: give the data set mean and std"


def _measured(subject: Subject) -> str:
    inputs = subject.few.inputs.double() / (255 if subject.few.dtype == torch.uint8 else 1)
    means, stds = inputs.mean((0, 2, 3)).tolist(), inputs.std((0, 2, 3), correction=0).tolist()
    return f"mean [{listed([f'{m:.3g}' for m in means])}], std [{listed([f'{s:.3g}' for s in stds])}]"
