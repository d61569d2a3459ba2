"""Metrics that are added up on the device, batch by batch, and read once at the end."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass
class Evaluation:
    """What one pass over a split found."""

    metrics: dict[str, float]
    confusion: Tensor | None = None  # (classes, classes) int64: true class by predicted class
    per_class: list[float] = field(default_factory=list)  # recall of each class; nan for an absent one

    def named(self, split: str) -> dict[str, float]:
        """The metrics under their full names, like `val/loss`."""
        return {f"{split}/{name}": value for name, value in self.metrics.items()}


def wide(device: torch.device) -> torch.dtype:
    """The widest float to add sums up in; Apple's devices have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


class Metric(Protocol):
    """Sums over batches of (outputs, targets), both on the metric's device."""

    def update(self, outputs: Tensor, targets: Tensor) -> None: ...

    def compute(self) -> Evaluation: ...


class Classification:
    """Accuracy, per-class accuracy, confusion matrix and, from six classes on, top-5 accuracy.

    `outputs` are logits (N, classes), `targets` class indices (N,).
    """

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.num_classes = num_classes
        self.confusion = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=device)
        self.top5 = torch.zeros((), dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        cells = targets * self.num_classes + outputs.argmax(1)
        # index_add_, because bincount would wait for the device to tell the largest cell.
        self.confusion.index_add_(0, cells, torch.ones_like(cells))
        if self.num_classes > 5:
            self.top5 += (outputs.topk(5).indices == targets[:, None]).sum()

    def compute(self) -> Evaluation:
        confusion = self.confusion.view(self.num_classes, self.num_classes).cpu()
        total = int(confusion.sum())
        hits = confusion.diagonal()
        metrics = {"accuracy": int(hits.sum()) / total}
        if self.num_classes > 5:
            metrics["top5"] = int(self.top5) / total
        per_class = (hits.double() / confusion.sum(1).double()).tolist()
        return Evaluation(metrics, confusion, per_class)


class Regression:
    """MSE, MAE and R² (the mean over target columns); `outputs` and `targets` are (N, columns).

    Sums are kept in float64, of targets less the first batch's mean: R² of values far from zero
    would otherwise be lost to cancellation.
    """

    def __init__(self, columns: int, device: torch.device) -> None:
        self.dtype = wide(device)
        self.sums = torch.zeros(4, columns, dtype=self.dtype, device=device)
        self.shift: Tensor | None = None
        self.count = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        outputs, targets = outputs.to(self.dtype), targets.to(self.dtype)
        if self.shift is None:
            self.shift = targets.mean(0)
        error, centred = outputs - targets, targets - self.shift
        terms = (error.square(), error.abs(), centred, centred.square())
        self.sums += torch.stack([term.sum(0) for term in terms])
        self.count += len(targets)

    def compute(self) -> Evaluation:
        squared, absolute, total, total_squares = self.sums.cpu().double()
        variation = total_squares - total.square() / self.count
        r2 = torch.where(variation > 0, 1 - squared / variation, torch.where(squared > 0, 0.0, 1.0))
        mse, mae = (float(s.mean()) / self.count for s in (squared, absolute))
        return Evaluation({"mse": mse, "mae": mae, "r2": float(r2.mean())})
