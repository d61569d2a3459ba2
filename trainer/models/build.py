"""The model that a config chooses."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from trainer import checkpoint, models
from trainer.checkpoint import Checkpoint
from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.models import initial, preprocessing
from trainer.models.library import BATCH_NORMS
from trainer.models.mode import evaluating
from trainer.system.errors import CheckpointError, ConfigError, first_line

# Gives a model's state from that of a file, whose name is told; also of a model that is on torch's device `meta`.
Fit = Callable[[nn.Module, Mapping[str, Tensor], str | Path], dict[str, Tensor]]
SAFE_CHANNELS = 16  # of a 1x1 convolution with a stride, from which on channels-last is safe on a CPU


def build_model(
    config: Config, inputs: Tensor, outputs: int, found: Checkpoint | None = None, fit: Fit = checkpoint.fitting
) -> nn.Module:
    """Build the model that `config` chooses, of the device and type of `inputs`, with the weights of `found`.

    `fit` says how these fit the model: as they are, or as `trainer.models.transfer` takes them over. The model is sent
    one sample, `inputs` (1, ...), before anything else is done with it: what it makes on first use, such as the
    parameters of lazy layers, is then there for weights to be loaded into and for an optimizer.

    Raises:
        ConfigError: The model fails on the sample, does not give `outputs` values for it, cannot be built, or not be
            initialised as `config.model` says.
        CheckpointError: The weights do not fit the model.
    """
    section = config.model
    drawn = initial.of(section) if found is None or fit is not checkpoint.fitting else None
    if found is not None:
        _check_weights(section, found, fit)
    if isinstance(section, Custom):
        built = custom.call("model", section)
        if not isinstance(built, nn.Module):
            raise ConfigError(f"model._target_={section.target} gives a {type(built).__name__}, not a torch.nn.Module")
    else:
        built = _ours(section, pretrained=found is None)
    if _lazy(built):  # its numbers are drawn where those of other models are
        _try(built, config, inputs.cpu().float(), outputs)
    if drawn is not None:
        initial.draw(built, drawn, torch.initial_seed(), outputs)
    built = built.to(inputs.device, inputs.dtype)
    _try(built, config, inputs, outputs)
    lay_out(built, inputs.device)
    if found is not None:
        built.load_state_dict(fit(built, found.model, found.path))
    return built


def _try(built: nn.Module, config: Config, inputs: Tensor, outputs: int) -> None:
    """Send `inputs` through, so that a mismatch of model and data shows before training.

    Not in inference mode, in which lazy layers would make parameters that never get a gradient.
    """
    name, data = config.called("model"), config.title("data")
    try:
        with evaluating(built), torch.no_grad():
            found = built(inputs)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:  # libraries assert sizes
        raise ConfigError(
            f"model={name} fails on data={data} of shape {tuple(inputs.shape[1:])}: {first_line(error)}",
            preprocessing.advice(config) or "choose a model and data that fit",
        ) from error
    if not isinstance(found, Tensor) or found.shape != (1, outputs):
        shape = tuple(found.shape[1:]) if isinstance(found, Tensor) else type(found).__name__
        raise ConfigError(
            f"model={name} has outputs of shape {shape}; the data need ({outputs},)",
            "set its number of outputs to ${data.outputs}",
        )
    for unknown in _lazy(built):
        raise ConfigError(
            f"model={name}: the shape of {unknown} is not known, for its layer is lazy and was given no input",
            "use the layer in forward, or remove it",
        )


def _lazy(built: nn.Module) -> list[str]:
    """The names of parameters and buffers whose shapes torch does not know before the first input."""
    values = [*built.named_parameters(), *built.named_buffers()]
    return [name for name, value in values if is_lazy(value)]


def lay_out(built: nn.Module, device: torch.device) -> None:
    """Put images and kernels channels-last, in which convolutions and poolings are several times faster on a CPU.

    On machines with AVX2 oneDNN writes beyond its buffers in the weight gradient of a channels-last 1x1 convolution
    with a stride and few input channels: fewer than 8, says its issue 6035, but here 8, 9 and 12 crashed, too. Such
    layers are given, and have, contiguous tensors.
    """
    convolutions = [module for module in built.modules() if isinstance(module, nn.Conv2d)]
    if convolutions:
        built.to(memory_format=torch.channels_last)
    for layer in convolutions:
        few = layer.in_channels // layer.groups < SAFE_CHANNELS
        if device.type == "cpu" and few and layer.kernel_size == (1, 1) and layer.stride != (1, 1):
            layer.to(memory_format=torch.contiguous_format)
            layer.register_forward_pre_hook(_contiguous)


def _contiguous(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # `contiguous()` would leave images of one channel as they are, which torch then takes for channels-last.
    return tuple(image.clone(memory_format=torch.contiguous_format) for image in inputs)


def has_batch_norm(model: nn.Module, frozen: bool = False) -> bool:
    """Whether `model` normalises by batch; with `frozen`, a layer counts also that only uses what it has learnt."""
    return any(isinstance(module, BATCH_NORMS) and (frozen or module.training) for module in model.modules())


def trains_on(model: nn.Module, inputs: Tensor) -> bool:
    """Whether torch lets a model train on these `inputs`: batch normalisation needs two values of each channel."""
    with torch.random.fork_rng([inputs.device] if inputs.device.type == "cuda" else []), torch.no_grad():
        try:
            copy.deepcopy(model)(inputs)
        except ValueError:
            return False
    return True


UNCHOSEN = {"dropout": 0.0, "skip": False}  # what `auto` is where nothing is trained


def _ours(section: Any, pretrained: bool) -> nn.Module:
    keys = {k: v for k, v in vars(section).items() if k != "name" and k not in initial.KEYS}
    keys |= {k: v for k, v in UNCHOSEN.items() if keys.get(k) == "auto"}
    if not pretrained and "weights" in keys:
        keys["weights"] = None  # those of the checkpoint are loaded instead
    try:
        return models.make(section.name, **keys)
    except ValueError as error:
        raise ConfigError(
            f"model={section.name} does not fit: {error}", "choose another model, or data.size"
        ) from error


def _check_weights(section: Any, found: Checkpoint, fit: Fit) -> None:
    """Compare the weights of a file with the model that it describes before that, of whatever size, takes memory."""
    if not isinstance(section, Custom):
        try:
            with torch.device("meta"):
                shapes = _ours(section, pretrained=False)
        except NotImplementedError:  # a few of torchvision's networks compute their widths with tensors
            shapes = _ours(section, pretrained=False)
        except RuntimeError as error:  # it has more elements than an integer can count
            raise CheckpointError(f"{found.path} describes a model that is too large for any machine") from error
        fit(shapes, found.model, found.path)
