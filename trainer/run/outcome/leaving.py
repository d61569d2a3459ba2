"""What is left of an evaluation in a folder: the tables and pictures of what a model says of each sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trainer import __version__
from trainer.data.cache import check_room
from trainer.data.splits import Dataset, Split
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.run import drawing
from trainer.run.evaluating import Evaluated
from trainer.run.outcome import folder, per_class, predictions, table
from trainer.run.outcome.suspects import HeldOut, of_evaluation
from trainer.show.report import Facts, Report
from trainer.system.atomic import storing
from trainer.system.shown import counted

_BYTES = 4 * 8  # for each output: itself, its probability, and two copies for a moment


@dataclass(frozen=True)
class Left:
    """The names of the `files` that were written, and how many samples are suspected among those `held_out`."""

    files: list[str]
    held_out: HeldOut | None
    suspected: int

    def facts(self) -> Facts:
        """What is said of the suspects."""
        if self.held_out is None:
            return []
        return [("suspects", f"{counted(self.suspected, 'label')} may be wrong, of {self.held_out.said}")]


def leave(path: Path, outcome: Outcome, held_out: HeldOut | None, pictures: bool, screen: Report) -> Left:
    """Write the tables, and perhaps the `pictures`, of an outcome into a folder, which is made.

    Raises:
        StorageError: It cannot be made or written to.
    """
    with storing(path):
        path.mkdir(parents=True, exist_ok=True)
    tables: dict[str, pl.DataFrame] = {"predictions": predictions.frame(outcome)}
    if outcome.classes is not None:
        tables["per_class"] = per_class.frame(outcome)
    if held_out is not None:
        tables["suspects"] = held_out.frame()
    for name, frame in tables.items():
        table.write(path / f"{name}.csv", frame)
    drawn = drawing.of_outcome(path, outcome, screen) if pictures else []
    suspected = len(tables["suspects"]) if held_out is not None else 0
    return Left([*(f"{name}.csv" for name in tables), *drawn], held_out, suspected)


def evaluated(model: Evaluated, path: Path, screen: Report) -> tuple[Evaluation, Facts]:
    """Evaluate a model, and leave that in a folder; what was found, and what to say of what is left.

    Raises:
        DataError: Memory does not hold what the model says.
        StorageError: The folder cannot be made or written to.
    """
    what = f"what the model says of {counted(len(model.samples), 'sample')}"
    check_room(bytes_of(model.samples, model.data), what, "evaluate a part of them: data.limit=N")
    outcome = model.evaluator.outcome(model.split)
    epoch = model.found.training.get("epoch")
    facts = {"checkpoint": str(model.found.path), "epoch": epoch, "data": model.data.name}
    return outcome.evaluation, leave_evaluation(path, outcome, of_evaluation(model, outcome), facts, screen)


def bytes_of(samples: Split, data: Dataset) -> int:
    """Bytes of memory that the outcome of a split takes for a moment, with all that is computed of it."""
    return len(samples) * int(data.facts()["outputs"]) * _BYTES


def leave_evaluation(
    path: Path, outcome: Outcome, held_out: HeldOut | None, result: Mapping[str, Any], screen: Report
) -> Facts:
    """The same with a result.json, which holds the `result` and figures of the outcome; what to say of all of it.

    Raises:
        StorageError: The folder cannot be made or written to.
    """
    left = leave(path, outcome, held_out, True, screen)
    found = outcome.evaluation
    content = {
        **result,
        "split": outcome.split,
        "samples": len(outcome),
        "metrics": {f"{outcome.split}/{name}": value for name, value in (found.metrics | found.further).items()},
    }
    if outcome.classes is not None:
        calibration = outcome.calibration
        content |= {
            "calibration_error": outcome.reliability.error,
            "temperature": calibration.temperature,
            "threshold": calibration.threshold,
        }
    if held_out is not None:
        content["suspects"] = {"listed": left.suspected, "of": held_out.said}
    folder.write_result(path, content | {"trainer": __version__}, left.files)
    tables = [name for name in (*left.files, folder.RESULT) if not name.endswith(".png")]
    pictures = len(left.files) + 1 - len(tables)
    files = ", ".join(tables) + (f" and {counted(pictures, 'picture')}" if pictures else "")
    return [*left.facts(), ("files", f"{path}: {files}")]
