"""torch's optimizers, or the user's own, over the parameters that are trained."""

from typing import Any

import torch
from torch import nn

from trainer.config import custom, schema
from trainer.config.composition import Composed, Custom
from trainer.system.errors import ConfigError

OPTIMIZERS: dict[type, type[torch.optim.Optimizer]] = {
    schema.SGD: torch.optim.SGD,
    schema.AdamW: torch.optim.AdamW,
    schema.Adam: torch.optim.Adam,
    schema.Adagrad: torch.optim.Adagrad,
    schema.RMSprop: torch.optim.RMSprop,
}
_FUSED = (schema.SGD, schema.Adam, schema.AdamW)  # have a fused kernel on CPU and CUDA
_CAPTURABLE = (schema.Adam, schema.AdamW, schema.RMSprop)  # have to be told that they will be in a CUDA graph


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
    keys: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(section).items()}
    del keys["name"]
    if type(section) in _FUSED and all(p.device.type in ("cpu", "cuda") for p in trained):
        keys["fused"] = True
    if captured and type(section) in _CAPTURABLE:
        keys["capturable"] = True
    _leave_the_compiler_out()
    try:
        return OPTIMIZERS[type(section)](trained, **keys)
    except ValueError as error:
        raise ConfigError(f"optim={section.name}: {error}") from error


def _leave_the_compiler_out() -> None:
    """Let optimizers be made and saved without importing torch's compiler, which takes over a second.

    torch marks some of their methods as not to be compiled when they are first called, and asks the compiler for
    the mark. With the plain method in the mark's place nobody asks; a torch that has another way is as slow as ever.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)
