"""Whether the splits are large enough for their figures to mean anything."""

from collections.abc import Iterator

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.shown import counted

ABOUT = "the sizes of the splits"
EMPTY, SMALL = 10, 30  # samples of a split: fewer tell nothing, and fewer tell little


def look(subject: Subject) -> Iterator[Finding]:
    """Judge the validation split, which picks the best, and the test split, where its figures are shares."""
    data = subject.data
    if subject.first.evaluated == "val" and data.val is not None:
        advice = "data.val_fraction=0.2 holds more out, data.folds=5 data.fold=0 all in turn, data.val_fraction=0 none"
        yield from _judged("val", len(data.val), "which picks best.pt", advice)
    if data.classes is not None:
        advice = "more test samples; of a data set that is split here data.test_fraction=0.3"
        yield from _judged("test", len(data.test), "which the result is of", advice)


def _judged(name: str, size: int, use: str, advice: str) -> Iterator[Finding]:
    found = f"{counted(size, 'sample')}, {use}"
    if size < SMALL:
        found += f": one of them more or less is {1 / max(1, size):.0%}"
        yield Finding(f"size of {name}", found, advice, wrong=size < EMPTY)
    else:
        yield Finding(f"size of {name}", found)
