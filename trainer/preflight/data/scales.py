"""Whether the targets are of a size that a network can be trained to."""

from collections.abc import Iterator

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.errors import listed
from trainer.system.shown import amount

ABOUT = "the scale of the targets"
APART = 100.0  # one column's deviation to another's, from which on the loss is that of the larger one
SMALL, LARGE = 1e-3, 1e3  # deviations and means that weights of about 1 do not reach


def look(subject: Subject) -> Iterator[Finding]:
    """Measure the targets as the loss sees them."""
    data = subject.data
    if data.classes is not None:
        return
    values = data.train.targets.double().reshape(len(data.train), -1)
    deviations, largest = values.std(0, correction=0), float(values.abs().max())
    spread = listed([amount(one) for one in deviations.tolist()][:5])
    if not bool((deviations > 0).any()):
        yield Finding(
            "targets", f"all are {amount(largest)}", "there is nothing to learn: look at the target", wrong=True
        )
    elif data.target_std is not None:
        yield Finding("targets", f"deviation {spread}, standardised for the loss")
    elif len(deviations) > 1 and float(deviations.max()) > APART * float(deviations.min()):
        advice = "the loss sees the largest only: bring the columns to one scale, or train one model for each"
        yield Finding("targets", f"columns of deviation {spread}", advice, wrong=True)
    elif not SMALL < float(deviations.max()) < LARGE or largest > LARGE:
        found = f"deviation {spread}, up to {amount(largest)}, and they are not standardised"
        yield Finding(
            "targets", found, "divide them, so that they are about 1: give target_mean and target_std", wrong=True
        )
    else:
        yield Finding("targets", f"deviation {spread}")
