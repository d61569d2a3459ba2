"""`trainer.Run`: a training as its directory says it is, and `trainer.runs`, which finds them."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.face.calling import told

if TYPE_CHECKING:
    from trainer.face.predicting import Predictor


@dataclass(frozen=True)
class Run:
    """A training in the directory `path`. What is asked of it is read from there, as it is then.

    A run may stand wherever a path may: `os.listdir(run)`.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    @told
    def status(self) -> str:
        """completed, failed, interrupted or running; unfinished where it was killed, broken where result.json is.

        Raises:
            UserError: There is no such directory.
        """
        from trainer.compare import entries, finding

        return entries.Entry(finding.at(str(self.path))).status

    @property
    def metrics(self) -> dict[str, float]:
        """The last metrics by names like `test/accuracy`; empty for a run that has not come to its end."""
        found = self._result.get("metrics", {})
        return {name: math.nan if value is None else value for name, value in found.items()}

    @property
    @told
    def history(self) -> dict[str, list[float | None]]:
        """The rows of metrics.jsonl as columns of one length, for `pandas.DataFrame(run.history)`.

        Where a row does not have a metric, its column has None.
        """
        from trainer.run.rows import whole_rows

        rows, _ = whole_rows(self.path / "metrics.jsonl")
        names = dict.fromkeys(("epoch", "step", "lr", *(name for row in rows for name in row)))
        return {name: [row.get(name) for row in rows] for name in names}

    @property
    @told
    def config(self) -> dict[str, Any]:
        """What config.yaml says, with `${...}` as it is written."""
        from trainer.config.reopening import written_in
        from trainer.config.written import plain

        return plain(written_in(self.path))

    @property
    def report(self) -> Path | None:
        """The file to open in a browser, report.html; None where the run has not come to its end."""
        from trainer.run.directory import PAGE

        return self.path / PAGE if (self.path / PAGE).is_file() else None

    def predictor(self, device: str = "auto") -> "Predictor":
        """The trained model, ready for new samples: `trainer.load` of this run."""
        from trainer.face.predicting import load

        return load(self, device=device)

    @property
    def _result(self) -> dict[str, Any]:
        from trainer.run import records

        return records.read_result(self.path)


@told
def runs(path: "str | os.PathLike[str]" = "runs") -> list[Run]:
    """The runs at a path and below it, those of sweeps as well, the latest first, as `trainer runs` finds them.

    Raises:
        UserError: There is no such folder, or it has too many files to be searched.
    """
    from trainer.compare import listing

    found = [entry for entry in listing.collected([os.fspath(path)], with_jobs=True) if not entry.jobs]
    return [Run(entry.path) for entry in listing.ordered(found, "when")]
