"""Columns that name the rows, by which a model learns them by heart."""

from collections.abc import Iterator

import numpy as np

from trainer.preflight.finding import Finding
from trainer.preflight.samples import bounded
from trainer.preflight.subject import Subject
from trainer.system.errors import listed
from trainer.system.shown import counted

ABOUT = "columns that number the rows"
FEWEST = 50  # rows
GAP = 1.1  # numbers of a range to rows: in one that is counted through, nearly each is there


def look(subject: Subject) -> Iterator[Finding]:
    """Find the columns whose values are equally spaced and all different, as numbers of rows are."""
    data = subject.data
    if data.is_image or len(data.train) < FEWEST or len(subject.columns) < 2:
        return
    splits = [split for split in (data.train, data.val, data.test) if split is not None and len(split)]
    rows = np.concatenate([bounded(split).inputs.double().numpy() for split in splits])
    found = [name for name, places in subject.columns if len(places) == 1 and _counts(rows[:, places[0]])]
    if found:
        yield Finding("identifiers", f"numbers of the rows: {listed(found[:5])}", subject.dropping(found[:5]))
    else:
        yield Finding("identifiers", f"none of {counted(len(subject.columns), 'column')}")


def _counts(values: np.ndarray) -> bool:
    """Whether they are, in some order, a range that was counted through, also if it was scaled since."""
    steps = np.diff(np.sort(values))
    usual = float(np.median(steps))
    return bool(steps.min() > usual / 2 > 0 and steps.sum() < GAP * usual * len(steps))
