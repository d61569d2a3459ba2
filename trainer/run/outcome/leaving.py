"""What is left of an evaluation in a folder: the tables and pictures of what a model says of each sample."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trainer import __version__
from trainer.data.cache import check_room
from trainer.data.splits import Dataset, Split
from trainer.engine import bootstrap
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.run import drawing
from trainer.run.evaluating import Evaluated
from trainer.run.outcome import folder, per_class, predictions, table
from trainer.run.outcome.suspects import HeldOut, of_evaluation
from trainer.run.subject import subject
from trainer.show.report import Facts, Report
from trainer.system.atomic import storing
from trainer.system.shown import counted

Shown = Callable[[str, bytes], object]
_MANY = 0.2  # of all labels: data of which more are wrong are rare, and models that say so are not
_BYTES = 4 * 8  # for each output: itself, its probability, and two copies for a moment


@dataclass(frozen=True)
class Left:
    """The names of the tables that were written, and which samples are suspected among those `held_out`."""

    files: list[str]
    held_out: HeldOut | None
    suspects: pl.DataFrame | None

    @property
    def suspected(self) -> int:
        """How many samples are suspected."""
        return 0 if self.suspects is None else len(self.suspects)

    def facts(self) -> Facts:
        """What is said of the suspects."""
        if self.held_out is None:
            return []
        doubt = " (so many that it is rather the model)" if self.suspected > _MANY * len(self.held_out.given) else ""
        return [("suspects", f"{counted(self.suspected, 'label')} may be wrong{doubt}, of {self.held_out.said}")]


def tables(path: Path, outcome: Outcome, held_out: HeldOut | None) -> Left:
    """Write the tables of an outcome into a folder, which is made; those that suspects are looked for among are
    `held_out`.

    Raises:
        StorageError: It cannot be made or written to.
    """
    frames: dict[str, pl.DataFrame] = {"predictions.csv": predictions.frame(outcome)}
    if outcome.classes is not None:
        frames["per_class.csv"] = per_class.frame(outcome)
    if held_out is not None:
        frames["suspects.csv"] = held_out.frame()
    _make(path)
    for name, frame in frames.items():
        table.write(path / name, frame)
    return Left([*frames], held_out, frames.get("suspects.csv"))


def pictures(path: Path, outcome: Outcome, of: str, screen: Report, shown: Shown | None = None) -> list[str]:
    """Draw the pictures of an outcome into a folder, which is made; the names of their files.

    Their titles say that they are `of` these data and that model.

    `shown` gets the name and the file of each.

    Raises:
        StorageError: It cannot be made or written to.
    """
    _make(path)
    drawn = []
    for name, png in drawing.of_outcome(outcome, of, screen):
        drawing.save(path / f"{name}.png", png)
        drawn.append(f"{name}.png")
        if shown is not None:
            shown(name, png)
    return drawn


def _make(path: Path) -> None:
    with storing(path):
        path.mkdir(parents=True, exist_ok=True)


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
    said = subject(model.config)
    return outcome.evaluation, leave_evaluation(path, outcome, said, of_evaluation(model, outcome), facts, screen)


def bytes_of(samples: Split, data: Dataset) -> int:
    """Bytes of memory that the outcome of a split takes for a moment, with all that is computed of it."""
    return len(samples) * int(data.facts()["outputs"]) * _BYTES


def leave_evaluation(
    path: Path, outcome: Outcome, of: str, held_out: HeldOut | None, result: Mapping[str, Any], screen: Report
) -> Facts:
    """Leave an outcome `of` data and a model, which are called so, with a result.json; what to say of all of it.

    That file holds the `result` and figures of the outcome.

    Raises:
        StorageError: The folder cannot be made or written to.
    """
    with screen.doing("drawing, and writing tables"):
        left = tables(path, outcome, held_out)
        drawn = pictures(path, outcome, of, screen)
    found = outcome.evaluation
    content = {
        **result,
        "split": outcome.split,
        "samples": len(outcome),
        "metrics": {f"{outcome.split}/{name}": value for name, value in (found.metrics | found.further).items()},
        "intervals": {f"{outcome.split}/{name}": ends for name, ends in bootstrap.intervals(outcome).items()},
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
    folder.write_result(path, content | {"trainer": __version__}, [*left.files, *drawn])
    count = f" and {counted(len(drawn), 'picture')}" if drawn else ""
    return [*left.facts(), ("files", f"{path}: {', '.join([*left.files, folder.RESULT])}{count}")]
