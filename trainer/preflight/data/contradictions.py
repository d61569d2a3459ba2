"""Equal samples with different targets, which no model can tell apart."""

from collections.abc import Iterator

import torch

from trainer.data.digests import digests
from trainer.preflight.finding import Finding
from trainer.preflight.samples import bounded
from trainer.preflight.subject import Subject
from trainer.system.shown import counted, share

ABOUT = "equal samples of different classes"
IMAGES, ROWS = 0.001, 0.05  # share of samples that may contradict others: rows of few columns do so by nature


def look(subject: Subject) -> Iterator[Finding]:
    """Find the training samples that are equal to one of another class."""
    data = subject.data
    if data.classes is None or (not data.is_image and data.train.shape.numel() < 2):
        return
    train = bounded(data.train)
    _, groups = torch.unique(digests(train), return_inverse=True)
    pairs = torch.unique(torch.stack([groups, train.targets]), dim=1)
    classes_of = torch.bincount(pairs[0])
    count = int((classes_of > 1)[groups].sum())
    what = "images" if data.is_image else "rows"
    if count > max(1, len(train) * (IMAGES if data.is_image else ROWS)):
        found = f"{count:,} of {len(train):,} training {what} ({share(count / len(train))}) equal one of another class"
        advice = (
            "correct their labels: each pair has one that is wrong"
            if data.is_image
            else ("no model can tell them apart: correct the labels, or add the column that does")
        )
        yield Finding("contradictions", found, advice, wrong=data.is_image or count > len(train) / 2)
    else:
        yield Finding("contradictions", f"{counted(count, 'training sample')} equal to one of another class")
