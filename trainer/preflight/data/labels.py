"""Whether the targets have anything to do with the samples: shuffled labels do not."""

from collections.abc import Iterator

from trainer.preflight import guessing
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.shown import counted

ABOUT = "whether the samples tell the targets"
WEAK = 0.35  # of `Signal.value`: where at most so much can be there, nothing is


def look(subject: Subject) -> Iterator[Finding]:
    """Fit two quick models to some training samples, and ask them of others."""
    samples, classes = subject.rows, subject.data.classes is not None
    known = guessing.signal(samples.rows, samples.targets, classes)
    told = f"two quick models reach {known.said(classes)} on {counted(len(samples), 'sample')} unseen"
    if known.sure:
        yield Finding("signal", told)
    elif known.most < WEAK:
        advice = "are the targets in the same order as the samples? compare some of them with where they come from"
        yield Finding("signal", f"none: {told}", advice, wrong=True)
    else:
        yield Finding("signal", f"too few samples to tell: {told}")
