"""The test that a training ends with, and what it leaves in the run's folder test/."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data.splits import Dataset
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.run.directory import TEST
from trainer.run.parts import Parts
from trainer.run.subject import subject
from trainer.show.report import Report

if TYPE_CHECKING:
    from trainer.run.outcome.leaving import Left, Shown
    from trainer.run.outcome.suspects import HeldOut

LARGEST = 2**26  # outputs of a model up to which they are kept: 512 MiB


@dataclass(frozen=True)
class Tested:
    """What a test found, and what the model says of each sample, where something is made of that."""

    evaluation: Evaluation
    outcome: Outcome | None = None
    held_out: "HeldOut | None" = None

    @property
    def result(self) -> dict[str, Any]:
        """What result.json says of it beside the metrics."""
        if self.outcome is None or self.outcome.classes is None:
            return {}
        return {"calibration_error": self.outcome.reliability.error}


def tested(parts: Parts, latest: Evaluation | None) -> Tested:
    """Test the model; `latest` are the figures of its weights on the test split, if they are known already.

    Raises:
        StoppedError: The training was told to stop.
    """
    settings, data, evaluator = parts.config, parts.data, parts.evaluator
    if not (settings.tables or settings.plots) or _outputs(data) > LARGEST:
        return Tested(latest if latest is not None else evaluator("test"))
    outcome = evaluator.outcome("test")
    if latest is not None:
        outcome = replace(outcome, evaluation=latest)
    if not settings.tables or data.classes is None:
        return Tested(outcome.evaluation, outcome)
    from trainer.run.outcome.suspects import of_splits  # late, as below

    validation = [evaluator.outcome("val")] if data.val is not None else []
    return Tested(outcome.evaluation, outcome, of_splits([*validation, outcome]))


def _outputs(data: Dataset) -> int:
    held_out = len(data.test) + (len(data.val) if data.val is not None else 0)
    return held_out * int(data.facts()["outputs"])


def leave(directory: Path, found: Tested, parts: Parts, screen: Report, shown: "Shown | None") -> "Left | None":
    """Leave tables and pictures as the config says. `shown` gets name and file of each picture.

    Returns:
        The tables; None where there are none.

    Raises:
        StorageError: A file cannot be written.
    """
    if found.outcome is None:
        return None
    from trainer.run.outcome import leaving  # late, for polars would delay the first step

    path, settings = directory / TEST, parts.config
    left = leaving.tables(path, found.outcome, found.held_out) if settings.tables else None
    if settings.plots:
        leaving.pictures(path, found.outcome, subject(settings), screen, shown)
    return left
