"""Whether inputs reach the model as numbers of about 1."""

from collections.abc import Iterator

import torch

from trainer.data.batches import Batches
from trainer.data.splits import Split
from trainer.preflight.finding import Finding
from trainer.preflight.samples import read
from trainer.preflight.subject import Subject
from trainer.system.errors import listed

ABOUT = "the normalisation"
LOW, HIGH = 0.1, 10.0  # deviations of what the model sees
FAR = 3.0  # how far its mean may be from 0, in deviations of 1 or its own, whichever is larger
APART = 1000.0  # one column's deviation to another's
SAMPLES = 500  # that are measured
DIM = 16  # values of 0..255 below which images seem to hold 0..1


def look(subject: Subject) -> Iterator[Finding]:
    """Measure the inputs of some training samples as the model sees them."""
    data, few = subject.data, read(subject.few, SAMPLES)
    if data.is_image and few.dtype == torch.uint8 and int(few.inputs.max()) < DIM:
        found = f"no pixel is above {int(few.inputs.max())} of 255: the files seem to hold 0..1 as whole numbers"
        yield Finding("normalisation", found, "write the images anew, with values of 0..255", wrong=True)
        return
    dtype = subject.first.compute.dtype
    batches = Batches(few, len(few), torch.device("cpu"), dtype, data.mean, data.std, workers=0)
    inputs = next(iter(batches))[0].double()
    within = inputs.var(
        (0, 2, 3) if data.is_image else 0, correction=0
    )  # channels or columns differ in their means, too
    mean, std = float(inputs.mean()), float(within.mean().sqrt())
    told = f"the model sees mean {mean:.3g}, deviation {std:.3g}"
    apart = _apart(inputs) if not data.is_image else 1.0
    if apart > APART:
        found = f"{told}; one column varies {apart:,.0f} times as much as another"
        yield Finding("normalisation", found, _advice(subject), wrong=True)
    elif std and (not LOW < std < HIGH or abs(mean) > FAR * max(1.0, std)):
        yield Finding("normalisation", told, _advice(subject), wrong=True)
    else:
        yield Finding("normalisation", told)


def _apart(inputs: torch.Tensor) -> float:
    """How many times the smallest deviation of a column that varies is that of the largest."""
    deviations = inputs.std(0, correction=0)
    varied = deviations[deviations > 0]
    return float(varied.max() / varied.min()) if len(varied) else 1.0


def _advice(subject: Subject) -> str:
    if not subject.data.is_image:
        return "standardise the columns: give the data set mean and std"
    where = "data.mean= and data.std=" if hasattr(subject.config.data, "std") else "mean and std of the data set"
    return f"{where}: the training images have {_measured(read(subject.few, SAMPLES))}"


def _measured(images: Split) -> str:
    inputs = images.inputs.double() / (255 if images.dtype == torch.uint8 else 1)
    means, stds = inputs.mean((0, 2, 3)).tolist(), inputs.std((0, 2, 3), correction=0).tolist()
    return f"mean=[{listed([f'{m:.3g}' for m in means])}] std=[{listed([f'{s:.3g}' for s in stds])}]"
