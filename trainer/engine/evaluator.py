"""A model and the splits it is evaluated on, ready on the device."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

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
        return self._evaluated(split, self.model)

    def outcome(self, split: str) -> Outcome:
        """Evaluate the model on a split, and keep what it says of each sample.

        Raises:
            StoppedError: `stopped` said so before the last batch.
        """
        kept: list[Tensor] = []

        def forward(inputs: Tensor) -> Tensor:
            outputs: Tensor = self.model(inputs)
            kept.append(outputs)
            return outputs

        evaluation = self._evaluated(split, forward)
        outputs = self.data.in_units(in_double(kept))
        return Outcome(split, self.data, self.data.split(split), outputs, evaluation, self.calibration)

    def _evaluated(self, split: str, forward: Callable[[Tensor], Tensor]) -> Evaluation:
        if self.calibration != calibration.NONE:
            forward = self._calibrated(forward)
        with evaluating(self.model), torch.inference_mode(), self.compute.autocast():
            begun = time.perf_counter()
            loss, batches = self.loss, self.batches(split)
            given = batches if self.shown is None else self.shown(batches, batches.total, split)
            (self.latest,) = evaluate(forward, given, loss.function, loss.mean, self.metric(), self.stopped)
            self.pace = (time.perf_counter() - begun) / batches.total
        return self.latest

    def _calibrated(self, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """In double precision, or rounding might decide otherwise than for the outcome's probabilities."""
        return lambda inputs: self.calibration.scaled(forward(inputs).to(wide(self.compute.device)))

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
    total: Tensor | float = 0.0
    count = 0
    for inputs, targets in batches:
        if stopped():
            raise StoppedError
        outputs = forward(inputs)
        metric.update(outputs, targets)
        total = total + loss(outputs, targets).to(wide(targets.device)) * (len(targets) if mean else 1)
        count += len(targets)
    evaluations = metric.compute()
    for found, value in zip(evaluations, torch.as_tensor(total).view(-1).tolist(), strict=True):
        found.metrics = {"loss": value / (count if mean else 1), **found.metrics}
    return evaluations
