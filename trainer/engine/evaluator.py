"""A model and the splits it is evaluated on, ready on the device."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainer.data.batches import Batch, Batches
from trainer.data.placing import ON_DEVICE, Placing
from trainer.data.splits import Dataset
from trainer.engine import calibration, metrics
from trainer.engine.calibration import Calibration
from trainer.engine.device import Compute
from trainer.engine.losses import Loss
from trainer.engine.metrics import Evaluation, Metric, wide
from trainer.engine.outcome import Outcome, in_double
from trainer.engine.own import Beside, OwnMetric
from trainer.models.mode import evaluating
from trainer.system.errors import StoppedError

if TYPE_CHECKING:
    from trainer.engine.ranks.rounds import Rounds

Shown = Callable[[Iterable[Batch], int, str], Iterable[Batch]]  # of batches, the samples in them, and their split


@dataclass
class Evaluator:
    """Evaluates a model on the splits of a data set, which are put on the device once, or read as `placing` says."""

    model: nn.Module
    data: Dataset
    compute: Compute
    loss: Loss
    batch_size: int
    placing: Placing = ON_DEVICE
    stopped: Callable[[], object] = bool  # whether to give up an evaluation
    latest: Evaluation | None = None  # what was found last
    shown: Shown | None = None  # how far an evaluation is
    pace: float | None = None  # seconds per sample that it took
    calibration: Calibration = calibration.NONE  # of the model, which `raw` outputs have not
    own: Sequence[OwnMetric] = ()  # metrics of the user's own
    rounds: "Rounds | None" = None  # in which several ranks evaluate together
    _batches: dict[str, Batches] = field(default_factory=dict)

    def batches(self, split: str) -> Batches:
        """The split in order, without augmentation."""
        if split not in self._batches:
            data, compute = self.data, self.compute
            self._batches[split] = Batches(
                data.split(split),
                self.batch_size,
                compute.device,
                compute.dtype,
                data.mean,
                data.std,
                workers=self.placing.workers,
                window=self.placing.ahead,
                target_mean=data.target_mean,
                target_std=data.target_std,
            )
        return self._batches[split]

    @property
    def ranks(self) -> int:
        """How many evaluate together."""
        return self.rounds.ranks.size if self.rounds is not None else 1

    def share(self, other: "Evaluator") -> None:
        """Use the samples that `other` has on the device, of the same data."""
        self._batches = other._batches

    def give_up(self) -> None:
        """As `Batches.give_up`."""
        for batches in self._batches.values():
            batches.give_up()

    def close(self, at_once: bool = False) -> None:
        """End what reads batches."""
        for batches in self._batches.values():
            batches.close(at_once)

    def __call__(self, split: str) -> Evaluation:
        """Evaluate the model on a split.

        Raises:
            StoppedError: `stopped` said so before the last batch.
        """
        return self._evaluated(split)

    def outcome(self, split: str) -> Outcome:
        """Evaluate the model on a split, and keep what it says of each sample.

        Raises:
            StoppedError: `stopped` said so before the last batch.
        """
        kept: list[Tensor] = []
        evaluation = self._evaluated(split, kept)
        outputs = self.data.in_units(in_double(kept))
        return Outcome(split, self.data, self.data.split(split), outputs, evaluation, self.calibration)

    def _evaluated(self, split: str, kept: list[Tensor] | None = None) -> Evaluation:
        """Evaluate the model, whose outputs go into `kept`."""
        with evaluating(self.model), torch.inference_mode(), self.compute.autocast():
            begun = time.perf_counter()
            loss, batches = self.loss, self.batches(split)
            answers = self._answers(batches, split)
            if kept is not None:
                answers = _kept(answers, kept)
            if self.calibration != calibration.NONE:
                answers = self._calibrated(answers)
            (self.latest,) = summed_up(answers, loss.function, loss.mean, self.metric())
            self.pace = (time.perf_counter() - begun) / batches.total
            if self.rounds is not None:
                self.pace = self.rounds.pace(self.pace)
        return self.latest

    def _answers(self, batches: Batches, split: str) -> Iterable[Batch]:
        if self.rounds is None:
            given = batches if self.shown is None else self.shown(batches, batches.total, split)
            return answers(self.model, given, self.stopped)
        found = self.rounds.answers(self.model, batches, self.stopped)
        return found if self.shown is None else self.shown(found, batches.total, split)

    def _calibrated(self, answers: Iterable[Batch]) -> Iterator[Batch]:
        """In double precision, or rounding might decide otherwise than for the outcome's probabilities."""
        for outputs, targets in answers:
            yield self.calibration.scaled(outputs.to(wide(self.compute.device))), targets

    def outputs(self, split: str, count: int) -> Tensor:
        """The model's outputs for the first `count` samples, on the CPU."""
        batches: list[Tensor] = []
        for inputs, _ in self.batches(split):
            batches.append(inputs)
            if sum(map(len, batches)) >= count:
                break
        return self.forward(torch.cat(batches)[:count])

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs in evaluation mode, on the CPU, as float32 or float64; a quantity in its own units."""
        return self.data.in_units(self.raw(inputs))

    def raw(self, inputs: Tensor) -> Tensor:
        """The same in the units that the model is trained in."""
        with evaluating(self.model), torch.inference_mode(), self.compute.autocast():
            found: Tensor = self.model(inputs)
        return found.to(self.compute.dtype).cpu()

    def metric(self, jobs: int = 1) -> Metric:
        """What sums up the metrics of the data, of so many models; those of the user's own are of one."""
        found: Metric
        if self.data.classes is not None:
            threshold = self.calibration.threshold
            found = metrics.Classification(len(self.data.classes), self.compute.device, jobs, threshold)
        else:
            columns, scale = self.data.train.targets.shape[1], self.data.target_std
            found = metrics.Regression(columns, self.compute.device, jobs, scale)
        return Beside(found, self.own) if self.own else found


def evaluate(
    forward: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    loss: Callable[[Tensor, Tensor], Tensor],
    mean: bool,
    metric: Metric,
    stopped: Callable[[], object] = bool,
) -> list[Evaluation]:
    """One pass over `batches`: for each model the metric's figures and the loss over all samples.

    `loss` of (outputs, targets) has the shape () for one model and (jobs,) for several; with `mean`, it averages over
    the samples of a batch.

    Raises:
        StoppedError: `stopped` said so before the last batch.
    """
    return summed_up(answers(forward, batches, stopped), loss, mean, metric)


def answers(
    forward: Callable[[Tensor], Tensor], batches: Iterable[Batch], stopped: Callable[[], object]
) -> Iterator[Batch]:
    """What a model answers to each batch, and the targets.

    Raises:
        StoppedError: `stopped` said so before the last batch.
    """
    for inputs, targets in batches:
        if stopped():
            raise StoppedError
        yield forward(inputs), targets


def _kept(answers: Iterable[Batch], into: list[Tensor]) -> Iterator[Batch]:
    for outputs, targets in answers:
        into.append(outputs)
        yield outputs, targets


def summed_up(
    answers: Iterable[Batch], loss: Callable[[Tensor, Tensor], Tensor], mean: bool, metric: Metric
) -> list[Evaluation]:
    """For each model the metric's figures of its `answers`, (outputs, targets), and the loss over all samples."""
    total: Tensor | float = 0.0
    count = 0
    for outputs, targets in answers:
        metric.update(outputs, targets)
        total = total + loss(outputs, targets).to(wide(targets.device)) * (len(targets) if mean else 1)
        count += len(targets)
    evaluations = metric.compute()
    for found, value in zip(evaluations, torch.as_tensor(total).view(-1).tolist(), strict=True):
        found.metrics = {"loss": value / (count if mean else 1), **found.metrics}
    return evaluations
