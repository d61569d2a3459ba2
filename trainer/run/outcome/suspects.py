"""suspects.csv: samples whose labels are probably wrong, by what models say that have not seen them."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from trainer.engine.label_errors import suspected
from trainer.engine.outcome import Outcome
from trainer.run.evaluating import Evaluated
from trainer.run.outcome import table
from trainer.run.outcome.predictions import DIGITS, called
from trainer.system.shown import counted

FOLDS = "out of fold"
_SPLITS = {"val": "the validation split", "test": "the test split", "all": "all samples"}


@dataclass(frozen=True)
class HeldOut:
    """Samples that were held out from training, with what is said of them: `probabilities` (N, classes).

    `names` are what they are called, and `splits` where each of them is from.
    """

    classes: tuple[str, ...]
    names: pl.Series
    splits: pl.Series
    given: Tensor
    probabilities: Tensor

    @property
    def said(self) -> str:
        """Which samples these are, in words."""
        splits = self.splits.unique(maintain_order=True).to_list()
        if splits == [FOLDS]:
            return f"{counted(len(self.names), 'training sample')}, each judged by models that have not seen it"
        where = " and ".join(_SPLITS[split] for split in splits)
        return f"{counted(len(self.names), 'sample')} of {where}"

    def frame(self) -> pl.DataFrame:
        """A row per suspect, the one whose label is the least probable first."""
        found = suspected(self.probabilities, self.given)
        numbers, given = found.numbers, self.given[found.numbers]
        own, other = (self.probabilities[numbers, which].numpy() for which in (given, found.suggested))
        columns = {
            "input": self.names.gather(pl.Series(numbers.numpy())),
            "split": self.splits.gather(pl.Series(numbers.numpy())),
            "label": table.named(self.classes, given),
            "suggested": table.named(self.classes, found.suggested),
            "label_probability": pl.Series(own).round_sig_figs(DIGITS),
            "suggested_probability": pl.Series(other).round_sig_figs(DIGITS),
        }
        return pl.DataFrame(columns)


def of_splits(outcomes: Sequence[Outcome]) -> HeldOut | None:
    """Splits that a model was not trained on, together; None where there are no classes."""
    if not outcomes or outcomes[0].classes is None:
        return None
    names = [called(outcome.samples) for outcome in outcomes]
    if len({series.dtype for series in names}) > 1:
        names = [series.cast(pl.String) for series in names]
    return HeldOut(
        outcomes[0].classes,
        pl.concat(names),
        pl.concat(
            [pl.Series([outcome.split], dtype=pl.String).new_from_index(0, len(outcome)) for outcome in outcomes]
        ),
        torch.cat([outcome.targets for outcome in outcomes]),
        torch.cat([outcome.probabilities for outcome in outcomes]),
    )


def of_evaluation(model: Evaluated, outcome: Outcome) -> HeldOut | None:
    """The split that was evaluated, unless the model was trained on it, and its validation split."""
    seen = outcome.split == "train" or (outcome.split == "all" and not model.whole)
    found = [] if seen else [outcome]
    if outcome.classes is not None and outcome.split != "val" and model.data.val is not None:
        found.insert(0, model.evaluator.outcome("val"))
    return of_splits(found)


class Folds:
    """The validation splits of a sweep's jobs: what is said of a sample is the mean of those that have not seen it."""

    def __init__(self) -> None:
        self._places: dict[str | int, int] = {}
        self._each: list[tuple[Tensor, Tensor, Tensor]] = []  # places, labels and probabilities
        self._largest = 0
        self._classes: tuple[str, ...] | None = None

    def add(self, validation: Outcome) -> None:
        """Add what a job says of its own validation split."""
        self._classes = validation.classes
        names = called(validation.samples).to_list()
        places = torch.tensor([self._places.setdefault(name, len(self._places)) for name in names])
        self._each.append((places, validation.targets, validation.probabilities))
        self._largest = max(self._largest, len(validation))

    def held_out(self) -> HeldOut | None:
        """All of them; None where there are none, no classes, or labels that jobs do not agree in."""
        if not self._each or self._classes is None:
            return None
        count = len(self._places)
        given, times = torch.full((count,), -1), torch.zeros(count, dtype=torch.float64)
        total = torch.zeros(count, len(self._classes), dtype=torch.float64)
        for places, labels, probabilities in self._each:
            if bool(((given[places] >= 0) & (given[places] != labels)).any()):
                return None
            given[places] = labels
            total.index_add_(0, places, probabilities)
            times[places] += 1
        where = FOLDS if count > self._largest else "val"
        splits = pl.Series([where]).new_from_index(0, count)
        return HeldOut(self._classes, pl.Series([*self._places]), splits, given, total / times[:, None])
