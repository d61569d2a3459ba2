"""Outcomes that are made up, without a model."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.data.splits import Dataset, Samples, Split
from trainer.engine import calibration, metrics
from trainer.engine.calibration import Calibration
from trainer.engine.outcome import Outcome

CPU = torch.device("cpu")


def of_classes(
    logits: Tensor,
    targets: Tensor,
    classes: Sequence[str] | None = None,
    samples: Samples | None = None,
    names: Any = None,
    calibrated: Calibration = calibration.NONE,
) -> Outcome:
    """What logits (N, classes) say of samples, which are features unless others are given."""
    count = logits.shape[1]
    split = Split(torch.zeros(len(targets), 2) if samples is None else samples, targets, names=names)
    data = Dataset("made", split, split, classes=tuple(classes or (f"class {n}" for n in range(count))))
    metric = metrics.Classification(count, CPU)
    metric.update(calibrated.scaled(logits), targets)
    (evaluation,) = metric.compute()
    return Outcome("test", data, split, logits.double(), evaluation, calibrated)


def of_values(outputs: Tensor, targets: Tensor) -> Outcome:
    """What predictions (N, columns) say of targets of that shape."""
    split = Split(torch.zeros(len(targets), 2), targets)
    metric = metrics.Regression(targets.shape[1], CPU)
    metric.update(outputs, targets)
    (evaluation,) = metric.compute()
    return Outcome("test", Dataset("made", split, split), split, outputs.double(), evaluation)


def drawn(samples: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (samples, classes) that are right in about two of three samples, and targets."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (samples,), generator=generator)
    noise = torch.randn(samples, classes, generator=generator, dtype=torch.float64)
    return noise + 2.0 * torch.nn.functional.one_hot(targets, classes), targets
