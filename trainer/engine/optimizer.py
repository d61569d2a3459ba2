"""torch's optimizers, as their declarations in `trainer.config.optim` have them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trainer.config import registry
from trainer.config.optim import Optim
from trainer.system.errors import ConfigError


def make(section: Optim, parameters: Sequence[nn.Parameter], captured: bool = False) -> torch.optim.Optimizer:
    """Make torch's optimizer over `parameters`, fused where torch has it so.

    `captured` says that its steps will be in a CUDA graph, where torch has to be told.

    Raises:
        ConfigError: torch refuses a combination of hyperparameters.
    """
    keys: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(section).items()}
    del keys["name"]
    if section.fused and all(p.device.type in ("cpu", "cuda") for p in parameters):
        keys["fused"] = True
    if captured and section.capturable:
        keys["capturable"] = True
    made: type[torch.optim.Optimizer] = getattr(torch.optim, type(section).__name__)
    try:
        return made(parameters, **keys)
    except ValueError as error:
        raise ConfigError(f"optim={section.name}: {error}") from error


def declared(optimizer: torch.optim.Optimizer) -> type[Optim] | None:
    """The declaration of an optimizer's class, which says what it can do; None where it is the user's own."""
    sections = registry.sections("optim").values()
    return next((kind for kind in sections if type(optimizer) is getattr(torch.optim, kind.__name__)), None)
