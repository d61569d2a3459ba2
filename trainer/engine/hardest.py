"""Which classes a model finds hardest: those of the lowest recall, and those that it takes for each other."""

import math
from dataclasses import dataclass

import torch

from trainer.engine.metrics import Evaluation

FEWEST = 10  # samples of a class, below which its recall says little
MISTAKES = 3  # of one kind, below which they may be chance
_Z = 1.96  # of a 95% interval


@dataclass(frozen=True)
class Class:
    """A class by its number, with its recall and its samples."""

    number: int
    recall: float
    samples: int


@dataclass(frozen=True)
class Mistake:
    """How many of the samples of a class were taken for another."""

    true: int
    guessed: int
    count: int
    samples: int


def worst(found: Evaluation, most: int = 3) -> list[Class]:
    """The classes whose recall is below that of all samples by more than chance, the lowest first.

    Chance is what the 95% interval of Wilson (1927) spans around the recall of a class; few samples say nothing.
    """
    total = sum(found.counts)
    if len(found.counts) < 2 or not total:
        return []
    overall = sum(found.right) / total
    each = zip(range(len(found.counts)), found.per_class, found.counts, strict=True)
    low = [Class(*of) for of in each if of[2] >= FEWEST and _upper(of[1], of[2]) < overall]
    return sorted(low, key=lambda one: (one.recall, one.number))[:most]


def confused(found: Evaluation, most: int = 2) -> list[Mistake]:
    """The mistakes that are made most, by their share of the class: those that stand out among the mistakes of theirs.

    Of two classes there is one kind of mistake for each, and nothing stands out.
    """
    classes = len(found.counts)
    if found.confusion is None or classes < 3:
        return []
    cells = found.confusion.clone().fill_diagonal_(0)
    samples = torch.tensor(found.counts)[:, None]
    standing_out = 2 * cells.sum(1, keepdim=True) <= cells * (classes - 1)
    places = ((cells >= MISTAKES) & (samples >= FEWEST) & standing_out).nonzero()
    shares = (cells / samples)[places[:, 0], places[:, 1]]
    first = places[shares.sort(descending=True, stable=True).indices[:most]].tolist()
    return [Mistake(true, guessed, int(cells[true, guessed]), found.counts[true]) for true, guessed in first]


def pairs(confusion: torch.Tensor, most: int) -> list[tuple[int, int]]:
    """The pairs of different classes (true, predicted) with the most samples, and of as many the greater share."""
    wrong = confusion.to(torch.float64, copy=True)
    wrong.fill_diagonal_(0)
    order = wrong + 0.99 * wrong / confusion.sum(1, keepdim=True).clamp(min=1)
    places = order.flatten().argsort(descending=True, stable=True)[: min(most, int((wrong > 0).sum()))]
    return [divmod(int(place), len(confusion)) for place in places]


def never_guessed(found: Evaluation) -> list[int]:
    """The classes that no sample was taken for, of those that have enough samples for that to say something."""
    each = zip(range(len(found.counts)), found.counts, found.guessed, strict=True)
    return [number for number, count, guesses in each if count >= FEWEST and not guesses]


def _upper(share: float, count: int) -> float:
    """The upper end of Wilson's interval of a share of so many."""
    square = _Z * _Z / count
    spread = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return (share + square / 2 + spread) / (1 + square)
