"""The parameters of several models, stacked, and the forward pass of all of them at once."""

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from trainer.sweeps.batched.chain import chain, run
from trainer.sweeps.batched.dropout import KINDS, Dropout


class Stack:
    """Models that differ in their values alone, and in their dropout.

    `parameters` and `buffers` have a first dimension of jobs; the models' own become views of them. `generators` are
    what each model draws its dropout from on a CPU.
    """

    def __init__(self, models: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> None:
        self.jobs = len(models)
        self._counts: list[int] = []
        self.template = copy.deepcopy(models[0])
        self.parameters = _stacked([dict(model.named_parameters()) for model in models])
        self.buffers = _stacked([dict(model.named_buffers()) for model in models])
        dropouts: dict[nn.Module, Dropout] = {}
        for name, module in list(self.template.named_modules(remove_duplicate=False)):
            if type(module) is nn.Linear:
                vars(module)["forward"] = partial(_linear, module)
            elif type(module) in KINDS:
                if module not in dropouts:  # one layer may be in several places
                    same = [model.get_submodule(name) for model in models]
                    dropouts[module] = Dropout(module, same, generators, self._counts)
                    self.buffers[f"{name}.job"] = torch.arange(self.jobs, device=self.device)
                self.template.set_submodule(name, dropouts[module])
        self._values = [*self.parameters.values(), *self.buffers.values()]
        self._chain = chain(self.template, self.parameters)
        self._places = [*_places(self.template, [*self.parameters, *self.buffers])]

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    @property
    def trained(self) -> dict[str, Tensor]:
        """The parameters that have gradients."""
        return {name: values for name, values in self.parameters.items() if values.requires_grad}

    def __call__(self, inputs: Tensor, shared: bool, counts: Sequence[int] = ()) -> Tensor:
        """Outputs (jobs, B, ...) for inputs (jobs, B, ...), or (B, ...) that are `shared` by all jobs.

        Of each job only the first of its `counts` are samples; all are where there are no counts.
        """
        self._counts[:] = counts
        if self._chain is not None:
            return run(self._chain, inputs, shared)

        def one(given: Tensor, *values: Tensor) -> Tensor:
            # As `torch.func.functional_call` does it, whose care takes longer than a small model.
            for holder, name, number in self._places:
                holder[name] = values[number]
            outputs: Tensor = self.template(given)
            return outputs

        dims = (None if shared else 0, *(0 for _ in self._values))
        found: Tensor = vmap(one, dims, randomness="different")(inputs, *self._values)
        return found


def _places(template: nn.Module, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], str, int]]:
    """Where in `template` the values of these names are: the dictionary, the name there, the number among `names`.

    A parameter that is used twice has two places.
    """
    own = {**dict(template.named_parameters()), **dict(template.named_buffers())}
    numbers = {id(own[name]): number for number, name in enumerate(names)}
    for module in template.modules():
        for holder in (module._parameters, module._buffers):
            for name, values in holder.items():
                if values is not None:
                    yield holder, name, numbers[id(values)]


def _stacked(own: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Each tensor once, with a first dimension of jobs, of which those given become views."""
    stacked: dict[str, Tensor] = {}
    for name, first in own[0].items():
        values = torch.stack([tensors[name].detach() for tensors in own])
        for tensors, view in zip(own, values, strict=True):
            tensors[name].data = view
        stacked[name] = values.requires_grad_(first.requires_grad)
    return stacked


def _linear(module: nn.Linear, inputs: Tensor) -> Tensor:
    """A linear layer as weight times inputs, not inputs times weight: stacked, that is four times as fast on a CPU."""
    weight, bias = module.weight, module.bias
    if inputs.dim() != 2:
        return nn.functional.linear(inputs, weight, bias)
    product = weight @ inputs.mT
    return (product if bias is None else product + bias[:, None]).mT
