"""What a model says of each sample of a split, beside what is true: tables, pictures and calibration are made of it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trainer.data.splits import Dataset, Split
from trainer.engine import calibration
from trainer.engine.calibration import Calibration
from trainer.engine.metrics import Evaluation
from trainer.engine.reliability import Reliability, reliability


@dataclass(frozen=True)
class Outcome:
    """The `outputs` of a model for the samples of a split, in their order, and what they come to.

    `outputs` are logits (N, classes) as the model gives them, or predictions (N, columns) in the target's own units; in
    main memory, in double precision. Probabilities and what is predicted are those of the `calibration`.
    """

    split: str  # train, val, test or all
    data: Dataset
    samples: Split
    outputs: Tensor
    evaluation: Evaluation
    calibration: Calibration = calibration.NONE

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None in regression."""
        return self.data.classes

    @property
    def targets(self) -> Tensor:
        """Class indices (N,) int64, or values (N, columns) in their own units."""
        return self.samples.targets

    @cached_property
    def probabilities(self) -> Tensor:
        """Those of each class (N, classes); there are none in regression."""
        assert self.classes is not None, "only classes have probabilities"
        return self.calibration.probabilities(self.outputs)

    @cached_property
    def predicted(self) -> Tensor:
        """The classes (N,) that are told, or the predictions (N, columns)."""
        return self.calibration.predicted(self.outputs) if self.classes is not None else self.outputs

    @cached_property
    def confidence(self) -> Tensor:
        """The probability (N,) of the class that is predicted."""
        return self.probabilities.gather(1, self.predicted[:, None])[:, 0]

    @cached_property
    def reliability(self) -> Reliability:
        """How often the likeliest class is the true one, by its probability; a threshold is no matter."""
        highest, likeliest = self.probabilities.max(1)
        return reliability(highest, likeliest == self.targets)

    @cached_property
    def wrong(self) -> Tensor:
        """The numbers of the samples that are told wrong, the most confident mistake first; in regression those of all
        samples, the largest error first.
        """
        if self.classes is None:
            errors = (self.predicted - self.targets).abs().sum(1)
            return errors.argsort(descending=True, stable=True)
        found = (self.predicted != self.targets).nonzero()[:, 0]
        return found[self.confidence[found].argsort(descending=True, stable=True)]

    def name(self, number: int) -> str | int:
        """What a sample is called: its file, or the number of its row; or else its number."""
        return self.samples.name(number)


def in_double(outputs: list[Tensor]) -> Tensor:
    """The outputs of all batches in main memory, in double precision."""
    return torch.cat(outputs).cpu().double()
