"""Whether each class is in each split, and how unequal they are."""

from collections.abc import Iterator

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.errors import listed
from trainer.system.shown import counted

ABOUT = "the classes"
UNEQUAL, EXTREME = 20.0, 100.0  # the largest class to the smallest: small ones are learnt late, or passed over
NAMED = 3
_ABSENT = {
    "train": "a model cannot learn what it never sees: add samples of it, or remove the class",
    "val": "hold more out, data.val_fraction=0.2; or add samples of it",
    "test": "no figure will tell how well it is known: add test samples of it",
}


def look(subject: Subject) -> Iterator[Finding]:
    """Count the classes of each split."""
    data = subject.data
    if data.classes is None:
        return
    counts = {
        name: torch.bincount(split.targets, minlength=len(data.classes))
        for name in _ABSENT
        if (split := getattr(data, name)) is not None and len(split)
    }
    for name, of_split in counts.items():
        absent = [data.classes[number] for number in (of_split == 0).nonzero()[:, 0].tolist()]
        if absent:
            more = f" and {len(absent) - NAMED:,} more" if len(absent) > NAMED else ""
            found = f"no sample of {listed(absent[:NAMED])}{more}"
            yield Finding(f"classes of {name}", found, _ABSENT[name], wrong=name == "train")
    train = counts["train"]
    sizes = train[train > 0]
    ratio = float(sizes.max() / sizes.min())
    said = (
        f"{counted(len(data.classes), 'class', 'classes')}, "
        f"the largest has {int(sizes.max()):,} training samples, the smallest {int(sizes.min()):,}"
    )
    if ratio > UNEQUAL and not _balanced(subject):
        advice = "loss.class_weight=balanced or data.sampler=balanced, and metrics=[balanced_accuracy]"
        yield Finding("class balance", said, advice, wrong=ratio > EXTREME)
    else:
        yield Finding("class balance", said)


def _balanced(subject: Subject) -> bool:
    weighted = getattr(subject.config.loss, "class_weight", "none") not in (None, "none")
    return weighted or subject.config.samples.sampler == "balanced"
