"""The proof that an exported file answers as the trained model does: both are asked, sample by sample."""

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.export.samples import BATCH, Samples, resized
from trainer.predict.predictor import Answers, Predictor

Runner = Callable[[Any], dict[str, np.ndarray]]  # an exported file: samples -> its outputs by name

TOLERANCE = 1e-4  # of the largest logit, or of the largest value from the target's mean
UNEQUAL = 1e-4  # the share of samples that may be answered otherwise: two classes may be equally likely
_PATIENCE = 0.5  # seconds that each speed is measured
_MOST = 50  # times that it is


@dataclass(frozen=True)
class Proof:
    """What comparing the two gave. Figures of a pair are (trained model, exported file)."""

    of_classes: bool
    samples: int
    difference: float  # the largest of two logits, or values
    relative: float  # that as a share of the largest logit; of values, of the largest deviation from the target's mean
    unequal: int  # samples with another answer; of values, those that differ by more than the tolerance
    score: tuple[float, float] | None  # accuracy, or root of the mean squared error; None: unknown
    one: tuple[float, float] = (math.nan, math.nan)  # milliseconds per sample, one at a time
    many: tuple[float, float] = (math.nan, math.nan)  # and in a batch
    batch: int = BATCH  # samples of that
    allowed: float | None = None  # what a quantized file may lose

    @property
    def equal(self) -> float:
        """The share of samples with equal answers."""
        return 1 - self.unequal / self.samples

    @property
    def lost(self) -> float:
        """The accuracy that the file loses, or the share by which its error is larger.

        Where nobody knows what is true: the share of unequal answers, or the relative difference.
        """
        if self.score is None:
            return self.unequal / self.samples if self.of_classes else self.relative
        trained, exported = self.score
        if self.of_classes:
            return trained - exported
        return (exported - trained) / trained if trained else (math.inf if exported else 0.0)

    @property
    def holds(self) -> bool:
        """Whether the file may be taken for the model."""
        if self.allowed is not None:
            return self.lost <= self.allowed
        return self.relative <= TOLERANCE and self.unequal <= UNEQUAL * self.samples  # nothing is, if it is not finite


def prove(predictor: Predictor, runner: Runner, parts: Iterable[Samples], allowed: float | None = None) -> Proof:
    """Ask both for all samples, and then for some of them again and again, to see how long it takes.

    A quantized file may lose what is `allowed`, and other answers are its own affair.
    """
    compared = _Compared(predictor)
    first: Samples | None = None
    for part in parts:
        first = first or part
        compared.add(part, runner(part.given))
    assert first is not None
    return replace(compared.proof(*_speeds(predictor, runner, first)), allowed=allowed)


@dataclass
class _Compared:
    predictor: Predictor
    differences: list[Tensor] = field(default_factory=list)  # (N, outputs); of logits the largest of all, (1, 1)
    largest: list[Tensor] = field(default_factory=list)  # (1, outputs) of values, (1, 1) of logits
    samples: int = 0
    unequal: int = 0
    scores: list[Tensor] = field(default_factory=list)  # sums of what is right, or of squared errors: a pair each
    scored: int = 0

    def add(self, part: Samples, found: dict[str, np.ndarray]) -> None:
        expected = self.predictor.outputs_of(part.taken)
        answers = self.predictor.answers(expected)
        self.samples += len(part)
        if self.predictor.classes is None:
            values = torch.from_numpy(found["values"]).double()
            other = Answers(values, None)
            self.differences.append((values - answers.likely).abs())
            self.largest.append((answers.likely - self._mean()).abs().amax(0, keepdim=True))
        else:
            logits = torch.from_numpy(found["logits"]).double()
            other = Answers(torch.from_numpy(found["probabilities"]).double(), answers.classes, answers.threshold)
            self.differences.append((logits - expected).abs().max()[None, None])
            self.largest.append(expected.abs().max()[None, None])
            self.unequal += int((other.predicted != answers.predicted).sum())
        if part.targets is not None:
            self.scores.append(torch.stack([self._score(asked, part.targets) for asked in (answers, other)]))
            self.scored += part.targets.numel()

    def proof(self, one: tuple[float, float], many: tuple[float, float], batch: int) -> Proof:
        differences, largest = torch.cat(self.differences), torch.cat(self.largest).amax(0)
        shares = torch.where(differences == 0, 0.0, differences / largest)
        unequal = self.unequal
        if self.predictor.classes is None:
            unequal = int((~(shares <= TOLERANCE)).any(1).sum())
        score = None
        if self.scores:
            mean = torch.stack(self.scores).sum(0) / self.scored
            score = tuple((mean if self.predictor.classes is not None else mean.sqrt()).tolist())
        of_classes, difference = self.predictor.classes is not None, float(differences.max())
        return Proof(of_classes, self.samples, difference, float(shares.max()), unequal, score, one, many, batch)

    def _mean(self) -> Tensor:
        mean = self.predictor.facts.get("target_mean")
        return torch.tensor(mean or [0.0], dtype=torch.float64)

    def _score(self, answers: Answers, targets: Tensor) -> Tensor:
        if answers.classes is not None:
            return (answers.predicted == targets).sum().double()
        return (answers.likely - targets.double().reshape(answers.likely.shape)).square().sum()


def _speeds(
    predictor: Predictor, runner: Runner, part: Samples
) -> tuple[tuple[float, float], tuple[float, float], int]:
    """Milliseconds per sample of the trained model and of the file: one at a time, and in a batch of so many.

    Both begin with what the file takes: where images are resized, Pillow does it for the trained model.
    """

    def trained(part: Samples) -> object:
        inputs = resized(predictor, part.given) if predictor.is_image else part.taken
        return predictor.answers(predictor.outputs_of(inputs))

    def exported(part: Samples) -> object:
        return runner(part.given)

    many = part.repeated(BATCH)
    pairs = [(_pace(trained, few), _pace(exported, few)) for few in (part.few(1), many)]
    return pairs[0], pairs[1], len(many)


def _pace(function: Callable[[Samples], object], part: Samples) -> float:
    """The median of some calls, in milliseconds per sample."""
    function(part)  # memory and kernels are chosen then
    seconds: list[float] = []
    deadline = time.perf_counter() + _PATIENCE
    while len(seconds) < 3 or (len(seconds) < _MOST and time.perf_counter() < deadline):
        begun = time.perf_counter()
        function(part)
        seconds.append(time.perf_counter() - begun)
    return 1000 * statistics.median(seconds) / len(part)
