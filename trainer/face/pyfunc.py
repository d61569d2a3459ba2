"""The model that `tracking=mlflow` leaves in MLflow, as `mlflow.pyfunc.load_model` gets it. Only MLflow calls this."""

from typing import TYPE_CHECKING, Any

from trainer.face.predicting import Predictor, load

if TYPE_CHECKING:
    import pandas


class Model:
    """A predictor whose answers are a data frame."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, samples: Any, params: dict[str, Any] | None = None) -> "pandas.DataFrame":
        """What the model says of what `trainer.load` is called on; there are no `params`."""
        import pandas

        answers = self.predictor(samples)
        if answers.predicted.ndim > 1:  # several targets
            return pandas.DataFrame(answers.predicted).add_prefix("predicted ")
        table = {"predicted": answers.predicted, "probability": answers.probability}
        return pandas.DataFrame({name: values for name, values in table.items() if values is not None})


def _load_pyfunc(path: str) -> Model:
    return Model(load(path, device="cpu"))
