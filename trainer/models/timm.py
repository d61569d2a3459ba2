"""timm's networks for images, with a last layer of the data's classes."""

import importlib
from pathlib import Path
from typing import Any

from torch import nn

from trainer.models import library, pretrained
from trainer.models.head import classifiers
from trainer.models.pretrained import DEFAULT, Seen
from trainer.system.errors import CheckpointError, ConfigError, did_you_mean, first_line
from trainer.system.extras import install

_LIST = "python -c 'import timm; print(*timm.list_models())' lists all"


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError("model=timm needs timm, which is not installed", install("timm")) from error


def check(arch: str) -> None:
    """Check that timm itself has a network of this name, perhaps with the name of its weights: `resnet18.a1_in1k`.

    Names that lead elsewhere, such as `hf-hub:somebody/model`, are none of its networks.

    Raises:
        ConfigError: It has none, or is not installed.
    """
    timm = _timm()
    name = arch.partition(".")[0]
    known = timm.list_models()
    if name not in known:
        raise ConfigError(f"model.arch={arch}: timm has no such network", did_you_mean(name, known, _LIST))
    tagged = timm.list_pretrained(f"{name}.*") if name != arch else [arch]
    if arch not in tagged:
        raise ConfigError(f"model.arch={arch}: timm has no such weights", did_you_mean(arch, tagged))


def seen(arch: str) -> Seen:
    """The images that the weights of a network were trained on."""
    found = _timm().get_pretrained_cfg(arch)
    size = found.input_size[-1]
    return Seen(size, int(size / found.crop_pct), tuple(found.mean), tuple(found.std))


def Timm(  # noqa: N802  it builds a model as a class does
    arch: str, in_channels: int, num_classes: int, weights: str | None = None, freeze: bool = False
) -> nn.Module:
    """A network with timm's parameter names; (N, C, H, W) -> logits (N, classes).

    `weights` is None (random), "DEFAULT" (those that timm names, downloaded from their hub as safetensors) or a file
    with weights under timm's names, of which a last layer of another size is left out. The rest is as in
    `trainer.models.torchvision`.

    Raises:
        ConfigError: timm has no such network, or is not installed.
        CheckpointError: The weights cannot be downloaded or read, or do not fit.
        ValueError: The network cannot have another last layer.
    """
    check(arch)
    channels = library.COLOUR if in_channels == 1 else in_channels
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": channels}
    if weights == DEFAULT:  # timm renames what other libraries have trained, and fits the first layer to the channels
        overlay = {"state_dict": pretrained.read(_default(arch))}
        options |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    try:
        network: Any = _timm().create_model(arch, **options)
    except (AttributeError, TypeError, RuntimeError) as error:  # it has networks that classify nothing
        raise ValueError(f"timm cannot build {arch} with {num_classes} classes: {first_line(error)}") from error
    heads = classifiers(network)
    if weights == DEFAULT:
        network.pretrained_cfg.pop("state_dict", None)  # they would stay in memory
    if in_channels == 1:
        library.with_channels(network, 1)
    if weights not in (None, DEFAULT):
        first = network.pretrained_cfg.get("first_conv")
        free = (*heads, *((first,) if isinstance(first, str) else first or ()))
        pretrained.load(network, pretrained.read(str(weights)), free, str(weights))
    if freeze:
        library.freeze(network, but=heads)
    assert isinstance(network, nn.Module)
    return network


def _default(arch: str) -> Path:
    """The file of the weights that timm names for a network: from the cache of their hub, or downloaded."""
    found = _timm().get_pretrained_cfg(arch)
    repository, name = found.hf_hub_id, found.hf_hub_filename or "model.safetensors"
    if not repository or not name.endswith(".safetensors"):
        if found.url and not found.url.endswith(".npz"):
            return pretrained.downloaded(found.url, found.url.rpartition("/")[2])
        raise CheckpointError(
            f"timm names no weights for {arch} that can be read here", "give model.weights=FILE, or model.weights=null"
        )
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:  # its own download tries for half a minute where there is no network
        return Path(hf_hub_download(repository, name, local_files_only=True))
    except LocalEntryNotFoundError:
        return pretrained.downloaded(hf_hub_url(repository, name), f"{repository.replace('/', '--')}.safetensors")
