"""How the training samples are divided into steps."""

from collections.abc import Iterator

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.shown import counted

ABOUT = "the batches"


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the size of a batch with that of the training set."""
    train, asked = subject.first.train, subject.config.samples.batch_size
    told = (
        f"{counted(len(subject.first.samples), 'step')} an epoch, of {counted(subject.first.samples[0], 'sample')} each"
    )
    typed = {"data.batch_size", "accumulate"} & subject.config.typed_keys
    step = (asked or 0) * subject.config.accumulate
    if typed and step > train.total:
        found = f"a step of {step:,} is more than the training set of {train.total:,}: one step an epoch"
        advice = f"data.batch_size={max(1, train.total // 10)}, or data.batch_size=null if you want all in each step"
        yield Finding("batches", found, advice, wrong=True)
    elif len(train.sizes) > 1 and train.sizes[-1] == 1:
        found = f"{told}, but the last has one sample, whose gradient counts as much as that of {train.sizes[0]:,}"
        yield Finding("batches", found, "data.drop_last=true leaves it out, or another data.batch_size")
    else:
        left = f", {counted(train.last, 'sample')} left out" if train.drops_last else ""
        yield Finding("batches", told + left)
