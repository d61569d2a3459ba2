"""Weights that somebody else has trained: downloaded into torch's cache, read without running them, and loaded."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.checkpoint.weights import is_state
from trainer.system.errors import CheckpointError, first_line

DEFAULT = "DEFAULT"
_HASH = re.compile(r"-([0-9a-f]{8,})\.")  # of its content, in the name of a file of torchvision's


@dataclass(frozen=True)
class Seen:
    """The images that a network was trained on: the square of `size` pixels in the middle of an image whose shorter
    side is `resize`, with mean and deviation per channel, of values in 0..1."""

    size: int
    resize: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def downloaded(url: str, name: str) -> Path:
    """The file at `url` as `name` in torch's cache, where it is downloaded to unless it is there.

    Raises:
        CheckpointError: It cannot be downloaded, or is not what its name says.
    """
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    if path.is_file():
        return path
    digest = _HASH.search(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None)
    except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a wrong hash
        raise CheckpointError(
            f"the weights {url} cannot be downloaded: {first_line(error)}",
            "download them elsewhere and give model.weights=FILE, or train from scratch: model.weights=null",
        ) from error
    return path


def read(path: str | Path) -> dict[str, Tensor]:
    """The weights in a file: a checkpoint or `state_dict`, or a `.safetensors` file, which can hold nothing else.

    Raises:
        CheckpointError: There is no such file, it is damaged, or holds no weights.
    """
    if not str(path).endswith(".safetensors"):
        return checkpoint.clean(checkpoint.read(path, "model.weights").model)
    file = checkpoint.locate(str(path), "model.weights")
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(f"{file}: reading it needs safetensors", "pip install safetensors") from error
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged: {first_line(error)}") from error
    if not is_state(state):
        raise CheckpointError(f"{file} holds no weights")
    return checkpoint.clean(state)


def load(network: nn.Module, state: Mapping[str, Tensor], free: Collection[str], source: str | Path) -> None:
    """Load weights. A layer that is `free` and of another shape there, as the last for other classes, stays as it is.

    Raises:
        CheckpointError: The weights are of another network.
    """
    own = network.state_dict()
    names = [name for name in own if name.rpartition(".")[0] in free]
    kept = {name: own[name] for name in names if name in state and state[name].shape != own[name].shape}
    checkpoint.load_into(network, {**state, **kept}, source)
