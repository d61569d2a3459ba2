"""`trainer.load`: a trained model that is called on what one has in Python."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.face import overrides as given
from trainer.face.calling import composed, told

if TYPE_CHECKING:  # torch and NumPy take a while, and `import trainer` takes none
    import numpy as np

    from trainer.predict import predictor


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of N samples, as NumPy arrays.

    Attributes:
        predicted: The name of each sample's class (N,); in regression the values (N,), or (N, targets) of several.
        probability: That of the predicted class (N,); None in regression.
        probabilities: Those of all classes (N, classes); None in regression.
        classes: The names of the classes, in the order of `probabilities`; None in regression.
    """

    predicted: "np.ndarray"
    probability: "np.ndarray | None"
    probabilities: "np.ndarray | None"
    classes: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.predicted)


class Predictor:
    """A trained model with its preprocessing. Call it with images, or with rows of a table; `load` makes one."""

    def __init__(self, model: "predictor.Predictor") -> None:
        self._model = model

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None in regression."""
        return self._model.classes

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the model looks at, of a table; none of images."""
        if self._model.plan is None:
            return self._model.columns
        return tuple(column.name for column in self._model.plan if column.features)

    @told
    def __call__(self, samples: Any) -> Answers:
        """What the model says of one sample or many.

        Args:
            samples: For a model of images a path, the bytes of a file, a PIL image, or uint8 pixels: NumPy arrays
                (H, W), (H, W, C), (N, H, W) or (N, H, W, C), torch tensors with the channels first; or a list of
                these. For a model of tables a data frame of pandas or polars, a dictionary of columns, a dictionary
                that is one row or a list of such, or an array (N, columns) in the order of `columns`.

        Raises:
            UserError: They are none of these, or cannot be read.
        """
        from trainer.face import samples as reading

        read = reading.images if self._model.is_image else reading.rows
        return _answers([*read(self._model, samples)])

    def __repr__(self) -> str:
        model = self._model
        shape = "x".join(map(str, model.shape)) + (" images" if model.is_image else " features")
        kind = f"{len(model.classes)} classes" if model.classes is not None else "regression"
        return f"<trainer.Predictor of {model.found.path}: {shape}, {kind}>"


@told
def load(run: "str | os.PathLike[str]", *overrides: str, **keys: Any) -> Predictor:
    """The trained model of a run or a checkpoint file, ready for new samples.

    `overrides` and `keys` are as in `train`: `device="cuda"`, say, or `"model=mynet"` for a model of your own, whose
    class no file may name.

    Raises:
        UserError: There is no such checkpoint, or it does not say enough of its model and data.
    """
    with composed("eval", [given.place("ckpt", run), *given.words(overrides, keys)]) as config:
        from trainer.engine import device
        from trainer.predict import predictor
        from trainer.show.report import Report

        compute = device.choose(config.device, config.precision)
        return Predictor(predictor.load(config, config.ckpt, compute, Report(), config.eval.allow_nonfinite))


def _answers(parts: "list[predictor.Answers]") -> Answers:
    """The answers of all batches as one."""
    import numpy as np
    import torch

    likely = torch.cat([part.likely for part in parts]).numpy()
    classes = parts[0].classes
    if classes is None:
        return Answers(likely[:, 0] if likely.shape[1] == 1 else likely, None, None, None)
    predicted = torch.cat([part.predicted for part in parts]).numpy()
    probability = torch.cat([part.probability for part in parts]).numpy()
    return Answers(np.array(classes, dtype=object)[predicted], probability, likely, classes)
