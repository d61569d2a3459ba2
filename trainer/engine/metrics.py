"""Metrics that are summed up on the device, batch by batch, and read once at the end."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol

import torch
from torch import Tensor

from trainer.engine import ranking
from trainer.engine.measures import FURTHER

WHOLE = 1000  # classes up to which there is a confusion matrix: 20,000 would need 3.2 GB for it


@dataclass
class Evaluation:
    """The result of one pass over a split: `metrics` are those that each row of a training has."""

    metrics: dict[str, float]
    confusion: Tensor | None = None  # (classes, classes) int64: true class by predicted class; of at most `WHOLE`
    counts: list[int] = field(default_factory=list)  # samples of each class
    right: list[int] = field(default_factory=list)  # how many of these were told right
    guessed: list[int] = field(default_factory=list)  # samples that were taken for each class
    scored: Callable[[], tuple[Tensor, Tensor]] | None = (
        None  # outputs (N, classes) and targets (N,), if they were kept
    )

    @cached_property
    def per_class(self) -> list[float]:
        """The recall of each class; nan for an absent one."""
        return [hits / count if count else math.nan for hits, count in zip(self.right, self.counts, strict=True)]

    @cached_property
    def further(self) -> dict[str, float]:
        """What else is known where there are classes, computed when it is asked for.

        `balanced_accuracy` is the mean recall of the classes that occur, and `f1` the mean of the classes that occur or
        were guessed, as in scikit-learn; `auc` and `average_precision` are those of `ranking`.
        """
        if not self.counts:
            return {}
        recalls = [share for share in self.per_class if share == share]
        each = zip(self.right, self.counts, self.guessed, strict=True)
        f1 = [2 * hits / (count + guesses) for hits, count, guesses in each if count + guesses]
        found = {"balanced_accuracy": sum(recalls) / len(recalls), "f1": sum(f1) / len(f1)}
        return found | (ranking.figures(*self.scored()) if self.scored is not None else {})

    def named(self, split: str, *also: str) -> dict[str, float]:
        """The metrics by their full names, like `val/loss`, and `also` further ones."""
        found = self.metrics | {name: self.further[name] for name in also if name in FURTHER and name in self.further}
        return {f"{split}/{name}": value for name, value in found.items()}


def wide(device: torch.device) -> torch.dtype:
    """The type to sum up in: float64, which only Apple's devices do not have."""
    return torch.float32 if device.type == "mps" else torch.float64


class Metric(Protocol):
    """Sums over batches of (outputs, targets), both on the metric's device.

    With `jobs`, the outputs are those of so many models for the same targets, with a first dimension of jobs.
    """

    def update(self, outputs: Tensor, targets: Tensor) -> None: ...

    def compute(self) -> list[Evaluation]:
        """The result for each model."""


class Classification:
    """Accuracy, per-class accuracy, confusion matrix and, from six classes on, top-5 accuracy.

    `outputs` are logits (N, classes), `targets` class indices (N,). With more than `WHOLE` classes only the sums of
    the confusion matrix are kept that the other figures need: of its rows, its columns and its diagonal. The outputs
    are kept, too, as long as they are at most `ranking.LARGEST` scores. With a `threshold` the second of two classes is
    predicted from that probability on, and not where it is the likelier one.
    """

    def __init__(self, num_classes: int, device: torch.device, jobs: int = 1, threshold: float | None = None) -> None:
        self.num_classes, self.jobs, self.threshold = num_classes, jobs, threshold
        self.whole = num_classes <= WHOLE
        # Of each job and class the samples by the class that was predicted, or by whether it was right.
        self.columns = num_classes if self.whole else 2
        self.sums = torch.zeros(jobs * num_classes * self.columns, dtype=torch.int64, device=device)
        self.top5 = torch.zeros(jobs, dtype=torch.int64, device=device)
        self.jobs_first = torch.arange(jobs, device=device)[:, None] * num_classes
        self.guessed = torch.zeros(0 if self.whole else jobs * num_classes, dtype=torch.int64, device=device)
        self.kept: list[tuple[Tensor, Tensor]] = []
        self.room = ranking.LARGEST // num_classes  # samples whose scores can still be kept

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        outputs = outputs.reshape(self.jobs, -1, self.num_classes)
        self.room -= len(targets)
        if self.room >= 0:
            self.kept.append((outputs, targets))
        else:
            self.kept.clear()
        guesses = outputs.argmax(2) if self.threshold is None else (outputs.softmax(2)[..., 1] >= self.threshold).long()
        column = guesses if self.whole else (guesses == targets).long()
        cells = (self.jobs_first * self.columns + targets * self.columns + column).flatten()
        # bincount would wait for the device to find the largest cell; index_add_ does not.
        self.sums.index_add_(0, cells, torch.ones_like(cells))
        if not self.whole:
            self.guessed.index_add_(0, (self.jobs_first + guesses).flatten(), torch.ones_like(cells))
        if self.num_classes > 5:
            self.top5 += (outputs.topk(5).indices == targets[:, None]).sum((1, 2))

    def compute(self) -> list[Evaluation]:
        sums = self.sums.view(self.jobs, self.num_classes, self.columns).cpu()
        guessed = sums.sum(1) if self.whole else self.guessed.view(self.jobs, -1).cpu()
        each = zip(sums, guessed.tolist(), self.top5.tolist(), strict=True)
        return [self._of(job, *of_job) for job, of_job in enumerate(each)]

    def _of(self, job: int, sums: Tensor, guessed: list[int], top5: int) -> Evaluation:
        counts, total = sums.sum(1), int(sums.sum())
        hits = sums.diagonal() if self.whole else sums[:, 1]
        metrics = {"accuracy": int(hits.sum()) / total}
        if self.num_classes > 5:
            metrics["top5"] = top5 / total
        scored = partial(_scores, self.kept, job) if self.room >= 0 else None
        confusion = sums if self.whole else None
        return Evaluation(metrics, confusion, counts.tolist(), hits.tolist(), guessed, scored)


def _scores(kept: list[tuple[Tensor, Tensor]], job: int) -> tuple[Tensor, Tensor]:
    """The outputs (N, classes) of a model, batch by batch in `kept`, and the targets (N,), in main memory."""
    outputs, targets = zip(*kept, strict=True)
    return torch.cat([of_all[job] for of_all in outputs]).cpu(), torch.cat(targets).cpu()


class Regression:
    """MSE, MAE and R² (the mean over target columns); `outputs` and `targets` are (N, columns).

    `scale` is what standardised targets were divided by, per column: the figures are in the units from before.
    Sums are kept in float64, and those of targets are of their distances from the first batch's mean: otherwise
    cancellation would spoil the R² of values far from zero.
    """

    def __init__(self, columns: int, device: torch.device, jobs: int = 1, scale: Sequence[float] | None = None) -> None:
        self.dtype = wide(device)
        self.scale = torch.ones(columns, dtype=torch.float64) if scale is None else torch.tensor(scale).double()
        self.sums = torch.zeros(2, jobs, columns, dtype=self.dtype, device=device)  # of errors: squared, absolute
        self.totals = torch.zeros(2, columns, dtype=self.dtype, device=device)  # of targets, and of their squares
        self.shift: Tensor | None = None
        self.count = 0
        self.jobs = jobs

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        outputs, targets = outputs.to(self.dtype), targets.to(self.dtype)
        if self.shift is None:
            self.shift = targets.mean(0)
        error, centred = outputs.reshape(self.jobs, *targets.shape) - targets, targets - self.shift
        self.sums += torch.stack([error.square().sum(1), error.abs().sum(1)])
        self.totals += torch.stack([centred.sum(0), centred.square().sum(0)])
        self.count += len(targets)

    def compute(self) -> list[Evaluation]:
        squared, absolute = self.sums.cpu().double()
        total, total_squares = self.totals.cpu().double()
        variation = total_squares - total.square() / self.count
        r2 = torch.where(variation > 0, 1 - squared / variation, torch.where(squared > 0, 0.0, 1.0)).mean(1)
        squared, absolute = squared * self.scale.square(), absolute * self.scale
        mse, mae = (sums.mean(1) / self.count for sums in (squared, absolute))
        columns = (mse.tolist(), mae.tolist(), r2.tolist())
        return [Evaluation({"mse": a, "mae": b, "r2": c}) for a, b, c in zip(*columns, strict=True)]
