"""The layers of a model: shapes, parameters and floating-point operations."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainer.models.mode import evaluating
from trainer.show.flops import Counter


@dataclass
class Layer:
    """A module without modules in it. A multiplication and an addition count as two `flops`."""

    name: str
    kind: str
    shape: tuple[int, ...]  # of its output, without the batch
    parameters: int
    flops: int


def table(model: nn.Module, example: Tensor) -> tuple[list[Layer], int, int]:
    """The layers of `model` in the order in which it calls them for one `example` (1, ...), its parameters and FLOPs.

    FLOPs are torch's own count (matrix products and convolutions) for one sample. All of the model's FLOPs are more
    than those of its layers if a module that has modules in it also computes by itself.
    """
    try:
        return _table(model, example, Counter())
    except NotImplementedError:  # the model has torch.cond, say, whose branches only torch's own counter knows
        return _table(model, example, FlopCounterMode(display=False))


def _table(model: nn.Module, example: Tensor, counter: Counter | FlopCounterMode) -> tuple[list[Layer], int, int]:
    names = {module: name for name, module in model.named_modules() if not any(module.children())}
    found: list[Layer] = []
    handles = []
    before: dict[nn.Module, int] = {}

    def enter(module: nn.Module, inputs: Any) -> None:
        before[module] = counter.get_total_flops()

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
        parameters = sum(p.numel() for p in module.parameters())
        flops = counter.get_total_flops() - before[module]
        found.append(Layer(names[module] or type(module).__name__, type(module).__name__, shape, parameters, flops))

    for module in names:
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with evaluating(model), counter, torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return found, sum(p.numel() for p in model.parameters()), counter.get_total_flops()
