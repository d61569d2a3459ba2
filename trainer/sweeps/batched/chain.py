"""Chains of layers over stacked parameters, layer by layer: vmap takes longer than a step of a small model does."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from trainer.models.linear import Linear
from trainer.models.mlp import ACTIVATIONS, MLP
from trainer.sweeps.batched.dropout import Dropout

Layer = Callable[[Tensor], Tensor]  # of activations (jobs, features, B), or (features, B) that all jobs share


def chain(template: nn.Module, parameters: Mapping[str, Tensor]) -> Sequence[Layer] | None:
    """The layers of a model whose `parameters` (jobs, ...) are stacked by their names; None if vmap has to run it."""
    if type(template) not in (Linear, MLP):
        return None
    layers = [_layer(name, module, parameters) for name, module in template.named_children()]
    return [layer for layer in layers if layer is not None] if None not in layers else None


def run(layers: Sequence[Layer], inputs: Tensor, shared: bool) -> Tensor:
    """Outputs (jobs, B, ...) for inputs (jobs, B, ...), or (B, ...) that are `shared` by all jobs."""
    values = inputs.flatten(1 if shared else 2).mT
    for layer in layers:
        values = layer(values)
    return values.mT


def _linear(weight: Tensor, bias: Tensor, values: Tensor) -> Tensor:
    # A product for each job, also of inputs that all share: so no number depends on how many are stacked.
    return torch.baddbmm(bias.unsqueeze(2), weight, values.expand(len(weight), -1, -1))


def _layer(name: str, module: nn.Module, parameters: Mapping[str, Tensor]) -> Layer | None:
    if type(module) is nn.Linear:
        return partial(_linear, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
    if isinstance(module, Dropout):
        return lambda values: module.of_all(values.mT).mT
    return module if type(module) in ACTIVATIONS.values() else None
