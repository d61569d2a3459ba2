"""Whether the units of a layer differ: those that begin alike, and get the same gradient, stay one unit."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing
from trainer.system.errors import listed
from trainer.system.shown import counted

ABOUT = "the units of each layer"
LABEL = "units"
STEPS = 3
ALIKE = 1e-4  # of the largest change: by less the changes of units differ through rounding alone
SHOWN = 4


def look(subject: Subject) -> Iterator[Finding]:
    """Take the first steps, and look for layers whose units were the same before, and were moved in the same way."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    weights = {name: p for name, p in trial.model.named_parameters() if p.requires_grad and p.dim() > 1 and len(p) > 1}
    before = {name: p.detach().clone() for name, p in weights.items()}
    for _ in range(STEPS):
        trial.step()
    same = [name for name, p in weights.items() if are_one(before[name], p.detach())]
    if not weights:
        return
    if same:
        more = f" and {len(same) - SHOWN:,} more" if len(same) > SHOWN else ""
        found = f"all units of {listed(same[:SHOWN])}{more} are the same, and stay so: each layer is one unit"
        yield Finding(LABEL, found, "draw the initial weights at random, as torch's layers do", wrong=True)
    else:
        yield Finding(LABEL, f"differ in all {counted(len(weights), 'weight matrix', 'weight matrices')}")


def are_one(before: Tensor, after: Tensor) -> bool:
    """Whether the rows of a weight were the same before some steps, and were moved by the same.

    A layer that begins at zero, as a last one may, is none of these: its units get gradients of their own.
    """
    if not torch.equal(before, before[:1].expand_as(before)):
        return False
    change = (after - before).flatten(1)
    return bool((change - change[:1]).abs().max() <= ALIKE * change.abs().max())
