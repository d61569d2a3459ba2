"""A model and the splits it is evaluated on, ready on the device."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from trainer.data.batches import Batches
from trainer.data.splits import Dataset
from trainer.engine import metrics
from trainer.engine.device import Compute
from trainer.engine.loop import evaluate
from trainer.engine.losses import Loss
from trainer.engine.metrics import Evaluation
from trainer.models.mode import evaluating


@dataclass
class Evaluator:
    """Evaluates a model on the splits of a data set, which are put on the device once, or streamed by `workers`."""

    model: nn.Module
    data: Dataset
    compute: Compute
    loss: Loss
    batch_size: int
    workers: int | None = None
    stopped: Callable[[], object] = bool  # whether to give up an evaluation
    latest: Evaluation | None = None  # what was found last
    _batches: dict[str, Batches] = field(default_factory=dict)

    def batches(self, split: str) -> Batches:
        """The split in order, without augmentation."""
        if split not in self._batches:
            chosen = self.data
            self._batches[split] = Batches(
                chosen.split(split),
                self.batch_size,
                self.compute.device,
                self.compute.dtype,
                chosen.mean,
                chosen.std,
                workers=self.workers,
            )
        return self._batches[split]

    def share(self, other: "Evaluator") -> None:
        """Use the samples that `other` has on the device, of the same data."""
        self._batches = other._batches

    def close(self) -> None:
        """End what reads batches."""
        for batches in self._batches.values():
            batches.close()

    def __call__(self, split: str) -> Evaluation:
        with self.compute.autocast():
            self.latest = evaluate(self.model, self.batches(split), self.loss, self.metric(), self.stopped)
        return self.latest

    def row(self, split: str) -> dict[str, float]:
        """The metrics under their full names, like `val/loss`."""
        return self(split).named(split)

    def outputs(self, split: str, count: int) -> Tensor:
        """The model's outputs for the first `count` samples, on the CPU."""
        inputs = torch.cat([x for x, _ in self._first(split, count)])[:count]
        return self.forward(inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs in evaluation mode, on the CPU, as float32 or float64."""
        with evaluating(self.model), torch.inference_mode(), self.compute.autocast():
            found: Tensor = self.model(inputs)
        return found.to(self.compute.dtype).cpu()

    def _first(self, split: str, count: int) -> list[tuple[Tensor, Tensor]]:
        batches: list[tuple[Tensor, Tensor]] = []
        for batch in self.batches(split):
            batches.append(batch)
            if sum(len(y) for _, y in batches) >= count:
                break
        return batches

    def metric(self, jobs: int = 1) -> metrics.Metric:
        """What sums up the metrics of the data, of so many models."""
        if self.data.classes is not None:
            return metrics.Classification(len(self.data.classes), self.compute.device, jobs)
        return metrics.Regression(self.data.train.targets.shape[1], self.compute.device, jobs)
