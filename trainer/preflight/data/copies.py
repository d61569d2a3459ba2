"""Samples that are in two splits, so that the figures of one are those of training."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.data.digests import digests
from trainer.data.known import CHANCE
from trainer.data.splits import Split
from trainer.preflight.finding import Finding
from trainer.preflight.samples import bounded
from trainer.preflight.subject import Subject
from trainer.system.shown import share

ABOUT = "copies of samples in two splits"
HALF = 0.5  # of the rows: so many may be twins by nature, and the figures are still those of rows that were seen
SURE = 3.0  # deviations of the number of twins
IMAGES = 0.005  # share of images that may be copies: no two photographs are equal by chance


def look(subject: Subject) -> Iterator[Finding]:
    """Compare the digests of the splits; equal rows of a table are no wonder where there are some among themselves."""
    data = subject.data
    seen = _digests(data.train)
    _, times = torch.unique(seen, return_counts=True)
    twins = float(times[times > 1].sum()) / max(1, len(seen))
    what, counts = "images" if data.is_image else "rows", []
    for name, split in (("val", data.val), ("test", data.test)):
        if split is None or not len(split):
            continue
        own = _digests(split)
        count = int(torch.isin(own, seen).sum())
        wrong = count > max(1.0, IMAGES * len(own) if data.is_image else _usual(len(own), twins))
        if wrong or count > HALF * len(own):
            found = f"{count:,} of {len(own):,} {what} of {name} are in training or validation, too"
            among = "" if wrong else f", as {share(twins)} of training rows are there more than once"
            yield Finding(f"copies in {name}", found + among, _advice(subject), wrong)
        else:
            counts.append(f"{count:,} of {len(own):,} {what} of {name}")
        seen = torch.cat([seen, own])
    if counts:
        yield Finding("copies", f"{', '.join(counts)} are in training, too")


def _usual(rows: int, twins: float) -> float:
    """So many of some rows at most have a twin in another split, where such a share has one in the same."""
    return rows * (twins + CHANCE) + SURE * math.sqrt(rows * twins * (1 - twins))


def _digests(split: Split) -> Tensor:
    return digests(split if split.digests is not None else bounded(split))


def _advice(subject: Subject) -> str:
    if hasattr(subject.config.data, "duplicates"):
        return "data.duplicates=drop leaves them out of training"
    if hasattr(subject.config.data, "group"):
        return "remove them, or name the column of who they are of, data.group=, so that all of one are in one split"
    return "remove them from one of the two: the figures look better than they are"
