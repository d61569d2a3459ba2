"""`format=safetensors`: the weights alone, by the names that the model gives them, with what is to be known of them."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.checkpoint import Checkpoint, clean
from trainer.export.proof import Runner
from trainer.export.samples import resized
from trainer.models.build import build_model
from trainer.predict.predictor import Predictor
from trainer.system.errors import TrainerError

NEEDED = ("safetensors",)


def content(predictor: Predictor, facts: Mapping[str, str]) -> bytes:
    """The bytes of a file with the weights of `predictor`, and `facts` as its metadata.

    Tensors that the model has under several names are in it once for each.
    """
    from safetensors.torch import save

    weights = clean(predictor.model.state_dict())
    apart = {
        name: values.detach().cpu().clone(memory_format=torch.contiguous_format) for name, values in weights.items()
    }
    found: bytes = save(apart, metadata=dict(facts))
    return found


def runner(path: Path, predictor: Predictor) -> Runner:
    """A model that is built anew, with the weights that the file has; samples are prepared as `predictor` does it.

    Raises:
        TrainerError: A tensor of the file is not that of the model.
    """
    from safetensors.torch import load_file

    weights, own = load_file(path), clean(predictor.model.state_dict())
    for name, values in own.items():
        if name not in weights or not torch.equal(weights[name], values.cpu()):
            raise TrainerError(f"{path} does not hold the weights of the model: {name} differs")
    again, first = copy.copy(predictor), torch.zeros(1, *predictor.shape)
    again.model = build_model(predictor.config, first, predictor.outputs, Checkpoint(path, weights))
    classes = predictor.classes

    def run(samples: Any) -> dict[str, Any]:
        inputs = resized(predictor, samples) if predictor.is_image else torch.from_numpy(samples)
        outputs = again.outputs_of(inputs)
        answers = again.answers(outputs)
        if classes is None:
            return {"values": answers.likely.numpy()}
        return {"logits": outputs.numpy(), "probabilities": answers.likely.numpy()}

    return run
