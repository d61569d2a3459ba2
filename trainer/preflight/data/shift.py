"""Whether the held-out samples look like those of training."""

from collections.abc import Iterator

from trainer.preflight import guessing
from trainer.preflight.finding import Finding
from trainer.preflight.samples import read, rows_of
from trainer.preflight.subject import FEW, Subject

ABOUT = "whether the splits look alike"
NOTE, WRONG = 0.4, 0.8  # of `Signal.value` of models that tell two splits apart: AUC 0.7 and 0.9
FEWEST = 10  # samples of a split


def look(subject: Subject) -> Iterator[Finding]:
    """Fit two quick models that are to tell the samples of a split from those of training."""
    data = subject.data
    for name, split in (("val", data.val), ("test", data.test)):
        if split is None or len(split) < FEWEST or len(data.train) < FEWEST:
            continue
        known = guessing.told_apart(subject.rows.rows, rows_of(read(split, FEW)).rows)
        told = f"two quick models tell them apart with {known.said(True)}"
        if not known.sure or known.value < NOTE:
            yield Finding(f"{name} against train", told)
        else:
            advice = f"the figures of {name} say little of samples like those of train: mix them, and split anew"
            yield Finding(f"{name} against train", told, advice, wrong=known.value > WRONG)
