"""What an exported file says of itself, in its metadata: texts by name, without paths of the machine it was made on."""

import json
from collections.abc import Sequence

import PIL
import torch

from trainer import __version__
from trainer.data.table import cells
from trainer.export.columns import inputs_of
from trainer.predict.predictor import Predictor
from trainer.system.shown import counted


def described(predictor: Predictor, given: str) -> dict[str, str]:
    """The metadata of a file whose input is as `given` says.

    `classes`, `inputs`, `missing`, `columns`, `model` and `versions` are JSON; the rest is for people to read, or a
    number.
    """
    facts = {
        "trainer": __version__,
        "task": "regression" if predictor.classes is None else "classification",
        "data": predictor.config.title("data"),
        "model": json.dumps(predictor.facts.get("model", predictor.config.called("model"))),
        "input": given,
        "preprocessing": preprocessing(predictor),
        "outputs": outputs(predictor),
        "versions": json.dumps({"trainer": __version__, "torch": str(torch.__version__), "pillow": PIL.__version__}),
    }
    if predictor.classes is not None:
        facts |= {"classes": json.dumps(predictor.classes), "temperature": repr(predictor.temperature)}
    if predictor.threshold is not None:
        facts["threshold"] = repr(predictor.threshold)
    if predictor.plan is not None:
        facts["inputs"] = json.dumps([entry.described() for entry in inputs_of(predictor.plan)])
        facts["missing"] = json.dumps(cells.MISSING)
    if predictor.columns:
        facts["columns"] = json.dumps(predictor.columns)
    return facts


def preprocessing(predictor: Predictor) -> str:
    """What is done with a sample before it enters the model, in words."""
    if predictor.plan is not None:
        return "numbers and dates standardised, words as features of 0 and 1, what is missing filled in"
    mean, std = predictor.mean, predictor.std
    moments = f"minus the mean {_few(mean)}, divided by the deviation {_few(std)}" if mean and std else ""
    if not predictor.is_image:
        return f"each feature {moments}" if moments else "none"
    steps = [_resizing(predictor)] if is_of_files(predictor) else []
    steps += ["scaled from 0..255 to 0..1"] if predictor.facts.get("bytes", True) else []
    return ", ".join([*steps, *([moments] if moments else [])]) or "none"


def outputs(predictor: Predictor) -> str:
    """What the outputs are, in words."""
    if predictor.classes is None:
        columns = counted(predictor.outputs, "column")
        return f"values (N, {predictor.outputs}) float64: predictions of {columns} in the target's own units"
    size = len(predictor.classes)
    by = "" if predictor.temperature == 1 else f" / {predictor.temperature:g}"
    return f"logits (N, {size}) float32; probabilities (N, {size}) float32: softmax(logits{by})"


def is_of_files(predictor: Predictor) -> bool:
    """Whether image files become what the model takes: squares of 1 or 3 channels of 8 bits."""
    if not predictor.is_image:
        return False
    channels, height, width = predictor.shape
    return height == width and channels in (1, 3) and bool(predictor.facts.get("bytes", True))


def _resizing(predictor: Predictor) -> str:
    way = predictor.way
    how = "by Pillow's bilinear filter, rounded to 8 bits"
    if way.resize is not None:
        return (
            f"resized {how} until the shorter side has {way.resize} pixels, cropped to the middle {way.size}x{way.size}"
        )
    return f"resized {how} to {way.size}x{way.size}"


def _few(values: Sequence[float]) -> str:
    more = ", ..." if len(values) > 4 else ""
    return ", ".join(f"{value:.6g}" for value in values[:4]) + more
