"""The model that a config chooses."""

from typing import Any

import torch
from torch import Tensor, nn

from trainer import checkpoint, models
from trainer.checkpoint import Checkpoint
from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.models.mode import evaluating
from trainer.system.errors import CheckpointError, ConfigError


def build_model(config: Config, device: torch.device, dtype: torch.dtype, found: Checkpoint | None = None) -> nn.Module:
    """The model that `config` chooses, on `device` in `dtype`; with the weights of `found`.

    Raises:
        ConfigError: it does not fit the data, or the user's own class fails.
        CheckpointError: the weights do not fit the model.
    """
    section = config.model
    if found is not None:
        _check_weights(section, found)
    if isinstance(section, Custom):
        built = custom.call("model", section)
        if not isinstance(built, nn.Module):
            raise ConfigError(f"model._target_={section.target} gives a {type(built).__name__}, not a torch.nn.Module")
    else:
        built = _ours(section, pretrained=found is None)
    built = built.to(device, dtype)
    if any(isinstance(m, nn.Conv2d) for m in built.modules()):
        # Channels-last convolutions and poolings are several times faster on CPU.
        built = built.to(memory_format=torch.channels_last)
    if found is not None:
        checkpoint.load_into(built, found.model, found.path)
    return built


def _ours(section: Any, pretrained: bool) -> nn.Module:
    keys = {k: v for k, v in vars(section).items() if k != "name"}
    if not pretrained and "weights" in keys:
        keys["weights"] = None  # others come over them
    try:
        return models.make(section.name, **keys)
    except ValueError as error:
        raise ConfigError(
            f"model={section.name} does not fit: {error}", "choose another model, or data.size"
        ) from error


def _check_weights(section: Any, found: Checkpoint) -> None:
    """Compare the weights of a file with the model it describes, before that takes memory: it may ask for any size."""
    if not isinstance(section, Custom):
        try:
            with torch.device("meta"):
                shapes = _ours(section, pretrained=False)
        except RuntimeError as error:  # more elements than there are numbers for
            raise CheckpointError(f"{found.path} describes a model that is too large for any machine") from error
        checkpoint.fitting(shapes, found.model, found.path)


def check_forward(built: nn.Module, config: Config, inputs: Tensor, outputs: int) -> None:
    """Send `inputs` (1, ...) through: the mismatch of a model and its data shows before training.

    Raises:
        ConfigError: the model fails on it, or has outputs of another shape.
    """
    name = config.title("model")
    try:
        with evaluating(built), torch.inference_mode():
            found = built(inputs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"model={name} fails on data={config.title('data')} of shape {tuple(inputs.shape[1:])}: {reason}",
            "choose a model and data that fit",
        ) from error
    if not isinstance(found, Tensor) or found.shape != (1, outputs):
        shape = tuple(found.shape[1:]) if isinstance(found, Tensor) else type(found).__name__
        raise ConfigError(
            f"model={name} has outputs of shape {shape}; the data need ({outputs},)",
            "set its number of outputs to ${data.outputs}",
        )
