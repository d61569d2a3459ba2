"""`model.init`: the weights of any model drawn by a rule of `torch.nn.init`, instead of as its layers do it themselves.

Each layer draws from a generator of its own, of the run's seed and the layer's name. So what a layer gets depends on no
other layer and on no order, and all that is drawn later is as without `init`.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from trainer.config import custom
from trainer.config.base import Custom
from trainer.config.model import Initial
from trainer.models.head import classifiers, last_layer
from trainer.system.errors import ConfigError

KEYS = tuple(field.name for field in dataclasses.fields(Initial))
PRETRAINED = ("weights", "pretrained")  # keys by which a model brings weights of its own


def of(section: Any) -> Initial | None:
    """What the section of a model says of its first weights; None where its layers draw them.

    Raises:
        ConfigError: It contradicts itself, or other keys of the model.
    """
    said = section.common if isinstance(section, Custom) else section
    keys = section.kwargs if isinstance(section, Custom) else vars(section)
    given = [name for name in KEYS if getattr(said, name) != getattr(Initial, name)]
    if not given:
        return None
    if isinstance(section, Custom):
        _check_names(section, given)
    if said.init == "default" and said.init_gain is not None:
        raise ConfigError(
            f"model.init_gain={said.init_gain:g}: the layers draw their weights themselves",
            f"choose a rule, too: model.init={'|'.join(_RULES)}",
        )
    brought = next((name for name in PRETRAINED if keys.get(name)), None)
    if brought is not None:
        raise ConfigError(
            f"model.{given[0]}={getattr(said, given[0])} would overwrite the weights that model.{brought} brings",
            "leave one of the two out",
        )
    return Initial(*(getattr(said, name) for name in KEYS))


def _check_names(section: Custom, given: list[str]) -> None:
    """Check that no argument of the user's own class is called as the keys that are trainer's."""
    taken = [name for name in given if name in custom.arguments("model", section)]
    if taken:
        raise ConfigError(
            f"model.{taken[0]}: an argument of {section.target}, but also trainer's own key for the first weights",
            "call the argument otherwise",
        )


def draw(model: nn.Module, how: Initial, seed: int, outputs: int) -> None:
    """Draw the weights of `model`, which gives so many `outputs`, as `how` says, and set the biases beside them.

    That goes for linear layers and convolutions, the projections of `nn.MultiheadAttention`, and each gate of a
    recurrent layer. Everything else stays: layers that normalise, embeddings, what is frozen, and weights that are all
    zero, for a path that begins closed is meant to. The last layer, which no activation follows, has a gain of 1.

    Raises:
        ConfigError: The model has no such layers.
    """
    last, seen = _last(model, outputs), set[int]()
    for name, module in model.named_modules():
        weights, biases = _of_layer(module)
        ours = {own: values for own, values in weights.items() if id(values) not in seen and _is_drawn(values)}
        seen |= {id(values) for values in ours.values()}
        for own, values in ours.items():
            if how.init != "default":
                generator = torch.Generator().manual_seed(_seed(seed, f"{name}.{own}"))
                _draw(values.detach(), module, _RULES[how.init], 1.0 if name in last else how.init_gain, generator)
        if ours and (how.init != "default" or how.init_bias is not None):
            for bias in biases:
                nn.init.constant_(bias, how.init_bias or 0.0)
    if not seen:
        raise ConfigError(
            f"model.init={how.init}: the model has no layers that it could draw weights of",
            "linear layers, convolutions, attention and recurrent layers have such",
        )


def _is_drawn(weight: Tensor) -> bool:
    return weight.requires_grad and bool(weight.count_nonzero())


def _last(model: nn.Module, outputs: int) -> tuple[str, ...]:
    """The names of the layers that give the outputs; () where they cannot be told."""
    try:
        return classifiers(model) or (last_layer(model, outputs),)
    except ValueError:
        return ()


def _of_layer(module: nn.Module) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The weights of a layer by their names, and its biases; none of what is no layer of these kinds."""
    own: dict[str, Tensor] = {name: values for name, values in module._parameters.items() if values is not None}
    if isinstance(module, nn.Linear | _ConvNd):
        names, biases = ["weight"], ["bias"]
    elif isinstance(module, nn.MultiheadAttention):
        names, biases = [f"{which}_proj_weight" for which in ("in", "q", "k", "v")], ["in_proj_bias"]
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        names, biases = [name for name in own if "weight" in name], [name for name in own if "bias" in name]
    else:
        return {}, []
    wanted = [own[name] for name in biases if name in own and own[name].requires_grad]
    return {name: own[name] for name in names if name in own}, wanted


def _draw(weight: Tensor, module: nn.Module, rule: "_Rule", gain: float | None, generator: torch.Generator) -> None:
    """Draw each matrix in the weight of a layer: one of a linear layer, or for each group of a convolution, ..."""
    rows = len(weight)
    if isinstance(module, _ConvNd):
        rows //= module.groups
    elif isinstance(module, nn.MultiheadAttention):
        rows = min(rows, module.embed_dim)  # queries, keys and values
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        rows = min(rows, module.hidden_size)  # of each gate
    for part in torch.split(weight, rows):
        turned = part.transpose(0, 1) if isinstance(module, _ConvTransposeNd) else part  # (outputs, inputs, ...)
        turned.copy_(rule(torch.empty(turned.shape), gain, generator))


def _seed(seed: int, name: str) -> int:
    """The seed of a parameter of this name."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()) >> 1


_Rule = Callable[[Tensor, float | None, torch.Generator], Tensor]


def _xavier(values: Tensor, gain: float | None, generator: torch.Generator) -> Tensor:
    """Glorot and Bengio (2010), uniform."""
    return nn.init.xavier_uniform_(values, 1.0 if gain is None else gain, generator)


def _kaiming(values: Tensor, gain: float | None, generator: torch.Generator) -> Tensor:
    """He et al. (2015), normal, by the number of inputs."""
    drawn = nn.init.kaiming_normal_(values, nonlinearity="linear", generator=generator)
    return drawn.mul_(math.sqrt(2.0) if gain is None else gain)


def _orthogonal(values: Tensor, gain: float | None, generator: torch.Generator) -> Tensor:
    """Saxe et al. (2014): all singular values of a matrix, or of the flattened kernels, are the gain."""
    return nn.init.orthogonal_(values, 1.0 if gain is None else gain, generator)


_RULES: dict[str, _Rule] = {"xavier": _xavier, "kaiming": _kaiming, "orthogonal": _orthogonal}
