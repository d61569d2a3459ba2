"""`tracking=mlflow`: a run of MLflow has the parameters, metrics, files and model of a run.

This is all that trainer knows of MLflow, and the example of how another program is added: docs/tracking.md.
"""

import json
import os
import platform
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer import __version__
from trainer.config import tracking
from trainer.engine.state import Row
from trainer.run.hooks.tracking import Tracked
from trainer.system import inside
from trainer.system.atomic import write_text
from trainer.system.shapes import is_text, known

FILE = "mlflow.json"  # in the run directory: which run of MLflow is its own
STATUS = {"completed": "FINISHED", "interrupted": "KILLED"}
_LONGEST = 2**12  # bytes of that file
_RUN_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)
_PARAMETERS, _ROWS = 100, 20  # that are told at once: MLflow takes 1,000 metrics
_TEXT = 6000  # characters of a parameter
_FOLDERS = ("", "plots", "test")  # whose files are passed on
_MODELS = ("calibrated.pt", "best.pt", "last.pt")  # the first of these that there is
# What MLflow reads to load it: `mlflow.pyfunc.load_model("runs:/ID/model")`.
_MODEL = """\
flavors:
  python_function:
    loader_module: trainer.face.pyfunc
    data: {file}
    python_version: {python}
"""


class MLflow:
    """Tells MLflow of a run. A run that is resumed goes on in the run of MLflow that it began."""

    def __init__(self, section: tracking.MLflow, run: Tracked) -> None:
        self.section, self.run = section, run
        self.known = -1  # the last step that MLflow has

    def begin(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else it reports to its makers
        from mlflow import MlflowClient  # late: it takes seconds
        from mlflow.entities import Param

        self.client = MlflowClient(self.section.uri)
        self.id = self._resumed() or self._begun()
        if not self.client.get_run(self.id).data.params:  # which never change, and epochs= may when a run is resumed
            given = [Param(_key(name), str(value)[:_TEXT]) for name, value in self.run.parameters.items()]
            for start in range(0, len(given), _PARAMETERS):
                self.client.log_batch(self.id, params=given[start : start + _PARAMETERS])

    def log(self, rows: list[Row]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        new = [row for row in rows if row["step"] > self.known]
        for start in range(0, len(new), _ROWS):
            part = new[start : start + _ROWS]
            metrics = [
                Metric(name, float(value), now, int(row["step"]))
                for row in part
                for name, value in row.items()
                if name != "step"
            ]
            self.client.log_batch(self.id, metrics=metrics)
            self.known = int(part[-1]["step"])

    def end(self, result: dict[str, Any]) -> None:
        from mlflow.entities import Metric

        now, status = int(1000 * time.time()), str(result.get("status"))
        final = {name: value for name, value in result.get("metrics", {}).items() if name.startswith("test/")}
        final["seconds in all"] = result.get("seconds")
        step = int(result.get("steps", 0))
        metrics = [Metric(name, float(value), now, step) for name, value in final.items() if value is not None]
        self.client.log_batch(self.id, metrics=metrics)
        for path in self._files():
            folder = path.parent.relative_to(self.run.directory).as_posix()
            self.client.log_artifact(self.id, str(path), None if folder == "." else folder)
        if status == "completed":
            places = (self.run.directory / "checkpoints" / name for name in _MODELS)
            model = next(place for place in places if place.is_file())
            self.client.log_artifact(self.id, str(model), "model")
            written = _MODEL.format(file=model.name, python=platform.python_version())
            self.client.log_text(self.id, written, "model/MLmodel")
        self.client.set_terminated(self.id, STATUS.get(status, "FAILED"))

    def _begun(self) -> str:
        """A new run in the experiment."""
        directory = self.run.directory.absolute()
        name = self.section.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.run.name
        tags = {"trainer.version": __version__, "trainer.directory": str(directory), "mlflow.source.name": "trainer"}
        called = directory.name
        if called.isdecimal():  # a job of a sweep
            tags["trainer.sweep"], called = str(directory.parent), f"{directory.parent.name}/{called}"
        begun = self.client.create_run(self._experiment(name), run_name=called, tags=tags)
        found: str = begun.info.run_id
        write_text(self.run.directory / FILE, json.dumps({"run_id": found}) + "\n")
        return found

    def _experiment(self, name: str) -> str:
        """The number of the experiment, which may be new."""
        from mlflow.exceptions import MlflowException

        if (found := self.client.get_experiment_by_name(name)) is None:
            try:
                return str(self.client.create_experiment(name))
            except MlflowException:  # another job has just made it
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _resumed(self) -> str | None:
        """The run of MLflow that this run began, if MLflow still has it; the file may be a stranger's."""
        from mlflow.exceptions import MlflowException

        try:
            kept = inside.json_of(self.run.directory / FILE, _LONGEST)
            found = known(kept, {"run_id": is_text}, ("run_id",))["run_id"]
        except (OSError, ValueError):
            return None
        if not _RUN_ID.fullmatch(found):
            return None
        try:
            before = self.client.get_run(found)
            history = self.client.get_metric_history(found, "epoch")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if before.info.lifecycle_stage != "active" or "trainer.version" not in before.data.tags:
            return None
        self.known = max((metric.step for metric in history), default=-1)
        self.client.update_run(found, "RUNNING")
        return str(found)

    def _files(self) -> Iterator[Path]:
        """The files to pass on, through no link: all but checkpoints and the event file."""
        for folder in _FOLDERS:
            place = self.run.directory / folder
            for name in sorted(os.listdir(place)) if place.is_dir() and not place.is_symlink() else []:
                is_file = stat.S_ISREG((place / name).lstat().st_mode)
                if is_file and not name.startswith((".", "events.out.tfevents.")) and name != FILE:
                    yield place / name


def _key(name: str) -> str:
    """The name of a parameter in the letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name)[:250]
