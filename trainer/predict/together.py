"""One predictor or several as one model: the mean of what they say, and how much they agree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from trainer.data.image import Way
from trainer.predict.predictor import Answers, Predictor
from trainer.predict.tables import Features, Reasons
from trainer.system.errors import CheckpointError

_FEATURES = 2**24  # features of rows that are given to a model together, at most


@dataclass(frozen=True)
class Said:
    """What M members say of N samples: `each` (M, N, classes or columns), and all together."""

    each: Tensor

    @cached_property
    def likely(self) -> Tensor:
        """The mean of the members' probabilities (N, classes) or, in regression, of their predictions (N, columns)."""
        return self.each.mean(0)


class Together:
    """The `members`, which are models of the same classes or of as many columns.

    Raises:
        CheckpointError: They are not.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members = members
        first = members[0]
        for member in members[1:]:
            if member.is_image != first.is_image:
                raise _differ(first, member, "one is of images, and one of a table's columns")
            if set(member.classes or ()) != set(first.classes or ()):
                raise _differ(first, member, "they are of different classes")
            if member.outputs != first.outputs:
                raise _differ(first, member, f"they have {first.outputs:,} and {member.outputs:,} outputs")
        self.classes = first.classes
        thresholds = [member.threshold for member in members]
        given = [threshold for threshold in thresholds if threshold is not None]
        self.threshold = sum(given) / len(given) if len(given) == len(members) else None

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def ways(self) -> list[Way]:
        """The different ways in which the members read images."""
        return [*dict.fromkeys(member.way for member in self.members)]

    @property
    def rows_at_once(self) -> int:
        """How many rows of a table the members are given together."""
        return max(1, min(1000, _FEATURES // max(member.shape.numel() for member in self.members)))

    def images(self, pixels: Sequence[np.ndarray]) -> Said:
        """What they say of images (N, H, W, C), which are given as each of the `ways` reads them."""
        read = {way: torch.from_numpy(array) for way, array in zip(self.ways, pixels, strict=True)}
        return self._said([member.images(read[member.way]) for member in self.members])

    def rows(self, features: Sequence[Tensor]) -> Said:
        """What they say of rows; for each member its features (N, F)."""
        return self._said([member.rows(own) for member, own in zip(self.members, features, strict=True)])

    def _said(self, answers: Sequence[Answers]) -> Said:
        return Said(torch.stack([self._in_order(one) for one in answers]))

    def _in_order(self, answers: Answers) -> Tensor:
        """The probabilities of the classes in the order that they have for the first member."""
        if self.classes is None or answers.classes is None or answers.classes == self.classes:
            return answers.likely
        return answers.likely[:, [answers.classes.index(name) for name in self.classes]]


class Encoders:
    """Makes features for each of several members; those that take the same columns share them."""

    def __init__(self, members: Sequence[Predictor], names: Sequence[str], nameless: bool, path: Path) -> None:
        self.found: list[Features] = []
        self.places: list[int] = []  # of each member among the encoders
        known: list[Predictor] = []
        for member in members:
            place = next((i for i, other in enumerate(known) if member.takes_as(other)), len(known))
            if place == len(known):
                known.append(member)
                self.found.append(Features(member, names, nameless, path))
            self.places.append(place)

    def of(self, block: Mapping[str, pl.Series], size: int) -> Iterator[tuple[list[Tensor], Reasons]]:
        """For some rows, of at most `size` together, the features of each member and why some cannot be used."""
        for made in zip(*(encoder.of(block, size) for encoder in self.found), strict=True):
            reasons = Reasons()
            for _, its in made:
                reasons = its | reasons
            yield [made[place][0] for place in self.places], reasons

    def said(self) -> list[str]:
        """What is worth knowing of all rows so far."""
        return [*dict.fromkeys(line for encoder in self.found for line in encoder.said())]


def _differ(one: Predictor, other: Predictor, how: str) -> CheckpointError:
    return CheckpointError(f"{one.found.path} and {other.found.path} cannot answer together: {how}", "use them apart")
