"""`eval.calibrate`: a temperature and a threshold that are fitted on held-out samples, and kept in calibrated.pt."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch.nn.functional as F

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.checkpoint.location import calibrated, run_of
from trainer.engine import calibration
from trainer.engine.calibration import Calibration, fit_temperature, fit_threshold
from trainer.engine.outcome import Outcome
from trainer.run import directory as runs
from trainer.run.evaluating import Evaluated
from trainer.show import values
from trainer.show.report import Report
from trainer.system.errors import CheckpointError, ConfigError
from trainer.system.shown import counted

_KEPT = ("epoch", "batch", "step", "reported", "best", "known")  # of a checkpoint's training, as best.pt has it


def check(model: Evaluated, what: str) -> str:
    """The split to fit `what` on: the validation split, or all of other data than the model was trained on.

    Raises:
        UserError: There is none, or nothing to be fitted.
    """
    classes = model.data.classes
    if model.found.bare:
        raise CheckpointError(
            f"{model.found.path} is a bare state_dict, and has no place for what is fitted",
            f"calibrate a checkpoint of trainer's: trainer train from={model.found.path}",
        )
    if classes is None:
        raise ConfigError("eval.calibrate: the model tells a quantity, and has no probabilities", "leave it out")
    if what != "temperature" and len(classes) != 2:
        raise ConfigError(
            f"eval.calibrate={what}: a threshold is of two classes, and there are {len(classes):,}",
            "eval.calibrate=temperature",
        )
    if model.whole:
        return model.split
    if model.data.val is None:
        raise ConfigError(
            f"eval.calibrate={what}: {model.data.name} has no validation split to fit it on",
            "train with data.val_fraction=0.1, or fit it on samples that the model has not seen: data.path=OTHERS",
        )
    return "val"


@dataclass(frozen=True)
class Stage:
    """What a split comes to, before or after."""

    name: str
    outcome: Outcome

    @property
    def likelihood(self) -> float:
        """The mean negative log-likelihood."""
        outcome = self.outcome
        return float(F.cross_entropy(outcome.calibration.scaled(outcome.outputs), outcome.targets))

    def row(self) -> list[str]:
        """Its row in the table: likelihood, calibration error, accuracy and, of two classes, the F1 of the second."""
        found = self.outcome.evaluation
        cells = [self.name, f"{self.likelihood:.4f}", f"{self.outcome.reliability.error:.4f}"]
        cells.append(values.metric("accuracy", found.metrics["accuracy"]))
        if len(found.counts) == 2:
            told = found.counts[1] + found.guessed[1]
            cells.append(f"{2 * found.right[1] / told:.4f}" if told else "-")
        return cells


def calibrate(model: Evaluated, what: str, screen: Report) -> None:
    """Fit a `temperature`, a `threshold` or `both`, write them down, show what changes, and let the model have them.

    What was fitted before is no matter: the file says what the last call says.

    Raises:
        UserError: There is nothing to fit, or to fit it on; or the run is being trained, and its weights will change.
        StorageError: The file cannot be written.
    """
    split, run = check(model, what), run_of(model.found.path)
    with runs.locked(run) if run is not None else nullcontext():
        _calibrate(model, what, split, screen)


def _calibrate(model: Evaluated, what: str, split: str, screen: Report) -> None:
    evaluator = model.evaluator
    evaluator.calibration = calibration.NONE
    fitted = evaluator.outcome(split)
    before = [fitted, evaluator.outcome(model.split)] if model.split != split else [fitted]
    temperature = fit_temperature(fitted.outputs, fitted.targets) if what != "threshold" else 1.0
    found = Calibration(temperature)
    if what != "temperature":
        found = replace(found, threshold=fit_threshold(found.probabilities(fitted.outputs)[:, 1], fitted.targets))
    model.found = _written(model.found, found)
    evaluator.calibration = found
    after = [evaluator.outcome(outcome.split) for outcome in before]
    stages = [
        (Stage(f"{then.split} before", then), Stage(f"{now.split} after", now))
        for then, now in zip(before, after, strict=True)
    ]
    f1 = [f"F1 of {model.data.classes[1]}"] if model.data.classes is not None and len(model.data.classes) == 2 else []
    screen.table(["", "likelihood", "ECE", "accuracy", *f1], [stage.row() for pair in stages for stage in pair])
    screen.say(f"fitted on {counted(len(fitted), 'sample')} of the {split} split, written to {model.found.path}")
    then, now = (stage.outcome.reliability.error for stage in stages[-1])
    if what != "threshold" and now > then:
        screen.say(f"note: the calibration error of the {model.split} split rises, by {now - then:.4f}", style="dim")


def _written(found: Checkpoint, fitted: Calibration) -> Checkpoint:
    """The checkpoint with what was fitted, in a file of its own."""
    path: Path = calibrated(found.path)
    description: dict[str, Any] = {k: v for k, v in found.description.items() if k not in ("temperature", "threshold")}
    if fitted.temperature != 1:
        description["temperature"] = fitted.temperature
    if fitted.threshold is not None:
        description["threshold"] = fitted.threshold
    training = {name: found.training[name] for name in _KEPT if name in found.training}
    checkpoint.write(path, found.model, description, **training)
    return replace(found, path=path, description=description)
