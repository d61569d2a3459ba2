"""The keys of each program that is told of a training while it runs, beside the files in the run directory."""

from dataclasses import dataclass

from trainer.config.keys import key


@dataclass
class Untracked:
    """Nobody is told."""

    name: str = key("none", "registry name")


@dataclass
class MLflow:
    """MLflow gets parameters, metrics, files and the model (the extra `mlflow`)."""

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
