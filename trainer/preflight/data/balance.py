"""Whether each class is in each split, and how unequal they are."""

from collections.abc import Iterator

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.errors import listed
from trainer.system.shown import counted

ABOUT = "the classes"
RATIO = 10.0  # of the largest class to the smallest of the training split, from which on small ones are passed over
NAMED = 3


def look(subject: Subject) -> Iterator[Finding]:
    """Count the classes of the splits."""
    data = subject.data
    if data.classes is None:
        return
    names = data.classes
    counts = torch.bincount(data.train.targets, minlength=len(names))
    for name in ("val", "test"):
        split = getattr(data, name)
        if split is not None and len(split):
            held_out = torch.bincount(split.targets, minlength=len(names))
            if absent := [names[i] for i in ((counts > 0) & (held_out == 0)).nonzero()[:, 0].tolist()]:
                shown = listed(absent[:NAMED])
                yield Finding(f"classes of {name}", f"{counted(len(absent), 'class', 'classes')} absent: {shown}", "x")
    yield Finding("classes", f"{counted(len(names), 'class', 'classes')}")
