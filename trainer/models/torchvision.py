"""torchvision's networks for classification, with a last layer of the data's classes."""

from typing import Any

from torch import nn

from trainer.models import library, pretrained
from trainer.models.pretrained import DEFAULT, Seen
from trainer.system.errors import ConfigError, did_you_mean

CLASSES = 1000  # of ImageNet, which the networks of torchvision are made for
# Networks with more heads, for training alone, which are left out. Their weights of ImageNet were made for inputs in
# another range, and `transform_input` brings ours to it.
_MORE_HEADS = {"inception_v3": ("AuxLogits",), "googlenet": ("aux1", "aux2")}


def check(arch: str) -> None:
    """Check that torchvision has a network of this name.

    Raises:
        ConfigError: It has none.
    """
    from torchvision import models  # late: importing it takes longer than importing torch

    known = models.list_models(module=models)
    if arch not in known:
        raise ConfigError(f"model.arch={arch}: torchvision has no such network", did_you_mean(arch, known))


def seen(arch: str) -> Seen:
    """The images that the weights of a network were trained on."""
    from torchvision import models

    images = models.get_model_weights(arch).DEFAULT.transforms()
    return Seen(images.crop_size[0], images.resize_size[0], tuple(images.mean), tuple(images.std))


def TorchVision(  # noqa: N802  it builds a model as a class does
    arch: str, in_channels: int, num_classes: int, weights: str | None = None, freeze: bool = False
) -> nn.Module:
    """A network with torchvision's parameter names; (N, C, H, W) -> logits (N, classes).

    `weights` is None (random), "DEFAULT" (torchvision's of ImageNet, downloaded into torch's cache) or a file with a
    `state_dict`, of which a last layer of another size is left out. `freeze` trains only the last layer. Images of one
    channel are repeated in three; for other numbers of channels the first convolution is made anew.

    Raises:
        ConfigError: torchvision has no such network.
        CheckpointError: The weights cannot be downloaded or read, or do not fit.
    """
    from torchvision import models

    check(arch)
    heads = _MORE_HEADS.get(arch, ())
    options: dict[str, Any] = {}
    if heads:
        options = {"aux_logits": False, "init_weights": True, "transform_input": in_channels in (1, library.COLOUR)}
    network: nn.Module = models.get_model(arch, weights=None, **options)
    head = library.with_classes(network, num_classes, CLASSES)
    first = library.with_channels(network, in_channels)
    if weights is not None:
        path = _default(arch) if weights == DEFAULT else weights
        state = {name: value for name, value in pretrained.read(path).items() if name.split(".")[0] not in heads}
        pretrained.load(network, state, [head, *first], path)
    if freeze:
        library.freeze(network, but=[head])
    return network


def _default(arch: str) -> Any:
    from torchvision import models

    url = models.get_model_weights(arch).DEFAULT.url
    return pretrained.downloaded(url, url.rpartition("/")[2])
