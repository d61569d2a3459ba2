"""The keys of each program that is told of a training while it runs, beside the files in the run directory."""

from dataclasses import dataclass
from typing import ClassVar

from trainer.config.keys import MISSING, key


@dataclass
class Program:
    """The key that every program has."""

    needs: ClassVar[str | None] = None  # the module that has to be installed

    name: str = key(MISSING, "registry name")


@dataclass
class Untracked(Program):
    """Nobody is told."""

    name: str = key("none", "registry name")


@dataclass
class MLflow(Program):
    """MLflow gets parameters, metrics, files and the model (the extra `mlflow`)."""

    needs = "mlflow"

    name: str = key("mlflow", "registry name")
    uri: str | None = key(
        None,
        "where it is kept: http://HOST:PORT, or sqlite:///FILE; null: MLFLOW_TRACKING_URI, or MLflow's own default",
        text=True,
        runtime=True,
        outward=True,
    )
    experiment: str | None = key(
        None, "the experiment that the run is in; null: MLFLOW_EXPERIMENT_NAME, or the run's name", text=True
    )


SHARED = Program
