"""What the networks of libraries have in common: other classes, other channels, weights, and freezing."""

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from trainer.models.head import last_layer

COLOUR = 3  # channels that the networks are made for
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)  # layers with running statistics


def with_classes(network: nn.Module, classes: int, before: int) -> str:
    """Put a last layer of so many classes in the place of that of `before`; its name.

    Raises:
        ValueError: The network does not end in a layer of `before` outputs.
    """
    name = last_layer(network, before)
    layer = network.get_submodule(name)
    if isinstance(layer, nn.Linear):
        network.set_submodule(name, nn.Linear(layer.in_features, classes, layer.bias is not None))
    else:
        assert isinstance(layer, nn.Conv2d)
        network.set_submodule(name, nn.Conv2d(layer.in_channels, classes, 1, bias=layer.bias is not None))
    return name


def with_channels(network: nn.Module, channels: int) -> list[str]:
    """Let the network take images of so many channels; the names of the layers that were made anew for it.

    A grey image is repeated in all three channels, so that weights of colour images keep their meaning. For other
    numbers the first convolution is made anew.
    """
    if channels == COLOUR:
        return []
    if channels == 1:
        network.register_forward_pre_hook(_in_colour)
        return []
    name: str = next(name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d))
    first: Any = network.get_submodule(name)
    form = first.out_channels, first.kernel_size, first.stride, first.padding, first.dilation
    network.set_submodule(name, nn.Conv2d(channels, *form, bias=first.bias is not None))
    return [name]


def _in_colour(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(images.expand(-1, COLOUR, -1, -1) for images in inputs)


def freeze(network: nn.Module, but: Collection[str]) -> None:
    """Train only the layers `but`. Frozen batch normalisation does not follow the data: its statistics stay."""
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if any(name == head or name.startswith(f"{head}.") for head in but):
            continue
        for parameter in own:
            parameter.requires_grad_(False)
        if isinstance(module, BATCH_NORMS):
            module.eval()
