"""Columns and images that hold nothing."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.preflight.finding import Finding
from trainer.preflight.samples import bounded
from trainer.preflight.subject import Subject
from trainer.system.errors import listed
from trainer.system.shown import counted, share

ABOUT = "what is always the same"
BLANK = 0.01  # share of images of one value that may be
NAMED = 5


def look(subject: Subject) -> Iterator[Finding]:
    """Look for constant columns of a table, and for blank images and channels."""
    return _of_images(subject) if subject.data.is_image else _of_rows(subject)


def _of_rows(subject: Subject) -> Iterator[Finding]:
    inputs = bounded(subject.data.train).inputs
    same = inputs.amin(0) == inputs.amax(0)
    found = [name for name, places in subject.columns if bool(same[places].all())]
    if not found:
        yield Finding("constant columns", f"none of {counted(len(subject.columns), 'column')}")
        return
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    named = listed(found[:NAMED])
    everything = len(found) == len(subject.columns)
    advice = "these samples tell nothing: look at how they are read" if everything else _drop(subject, found[:NAMED])
    told = f"{counted(len(found), 'column')} of {len(subject.columns):,} with one value: {named}{more}"
    yield Finding("constant columns", told, advice, wrong=everything)


def _drop(subject: Subject, names: list[str]) -> str:
    if subject.data.plan is None:
        return "they tell nothing: leave them out of the samples"
    return f"they tell nothing: data.drop=[{','.join(names)}]"


def _of_images(subject: Subject) -> Iterator[Finding]:
    train = bounded(subject.data.train)
    blank, low, high = 0, _ends(train.shape[0], 1), _ends(train.shape[0], -1)
    for images in train.chunks():
        flat = images.flatten(2).double()
        least, most = flat.amin(2), flat.amax(2)
        blank += int((least.amin(1) == most.amax(1)).sum())
        low, high = torch.minimum(low, least.amin(0)), torch.maximum(high, most.amax(0))
    empty = (low == high).nonzero()[:, 0].tolist()
    for channel in empty:
        found = f"channel {channel + 1} of {train.shape[0]} has the value {float(low[channel]):g} in every pixel"
        yield Finding("channels", found, "look at how the images are read; grey ones are data.channels=1", wrong=True)
    if blank > len(train) * BLANK:
        found = f"{blank:,} of {len(train):,} training images ({share(blank / len(train))}) have one value throughout"
        yield Finding("blank images", found, "look at the files, and remove them", wrong=True)
    else:
        yield Finding("blank images", f"{blank:,} of {len(train):,} training images")


def _ends(channels: int, sign: int) -> Tensor:
    return torch.full((channels,), sign * float("inf"), dtype=torch.float64)
