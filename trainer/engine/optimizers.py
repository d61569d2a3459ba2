"""torch's optimizers as `trainer.config.optim` declares them, or the user's own, over the parameters to train."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trainer.config import custom, registry
from trainer.config.composition import Composed, Custom
from trainer.config.optim import Optim
from trainer.system.errors import ConfigError


def make_optimizer(config: Composed, built: nn.Module, captured: bool = False) -> torch.optim.Optimizer:
    """torch's optimizer over the parameters that are trained, fused where torch has it so.

    `captured` says that its steps will be in a CUDA graph, where torch wants to know.
    """
    section = config.section("optim")
    trained = [p for p in built.parameters() if p.requires_grad]
    if not trained:
        raise ConfigError("the model has no parameters to train")
    if isinstance(section, Custom):
        made = custom.call("optim", section, trained)
        if not isinstance(made, torch.optim.Optimizer):
            raise ConfigError(f"optim._target_={section.target} gives no torch.optim.Optimizer")
        return made
    _leave_the_compiler_out()
    return _ours(section, trained, captured)


def _ours(section: Optim, parameters: Sequence[nn.Parameter], captured: bool = False) -> torch.optim.Optimizer:
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


def _leave_the_compiler_out() -> None:
    """Let optimizers be made and saved without importing torch's compiler, which takes over a second.

    torch marks some of their methods as not to be compiled when they are first called, and asks the compiler for
    the mark. With the plain method in the mark's place nobody asks; a torch that has another way is as slow as ever.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)
