"""`trainer.Run`: a training as its directory says it is, and `trainer.runs`, which finds them."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.face.calling import told
from trainer.system.errors import RunError

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
    def status(self) -> str:
        """completed, failed or interrupted; "running" where no end is recorded."""
        return str(self._result.get("status", "running"))

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
    """The runs in a folder, however deep, those of sweeps as well; the latest first.

    Raises:
        UserError: There is no such folder.
    """
    from trainer.system.paths import expanded

    top = expanded(os.fspath(path))
    if not top.is_dir():
        raise RunError(f"{top}: no such folder", "give the one that runs are in, like runs")
    return [Run(found) for found in sorted(_found(top), key=lambda run: run.name, reverse=True)]


def _found(top: Path) -> Iterator[Path]:
    """The run directories below `top`, through no link: those with a config and a log."""
    for folder, inner, files in os.walk(top):
        if "config.yaml" in files:
            inner.clear()
            yield Path(folder)
