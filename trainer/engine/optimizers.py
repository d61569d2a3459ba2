"""torch's optimizers as `trainer.config.optim` declares them, or the user's own, over the parameters to train."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, optimizer

from trainer.config import custom, registry
from trainer.config.base import Custom
from trainer.config.optim import OF_GROUPS, Optim
from trainer.config.train import Train
from trainer.models.head import head_parameters
from trainer.system.errors import ConfigError


def make_optimizer(config: Train, model: nn.Module, outputs: int, captured: bool = False) -> Optimizer:
    """Make the optimizer that `config` chooses over the parameters that are trained, fused where torch has it so.

    `model` has so many `outputs`, by which its last layer is known. `captured` says that its steps will be in a CUDA
    graph, where torch has to be told.

    Raises:
        ConfigError: nothing is trained, torch refuses the hyperparameters, or the user's own class does not fit.
    """
    section = config.optim
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ConfigError("the model has no parameters to train")
    _leave_the_compiler_out()
    if isinstance(section, Custom):
        return _of_the_user(section, trained)
    own = {k: v for k, v in vars(section).items() if k not in ("name", *OF_GROUPS)}
    keys: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}
    if section.fused and all(p.device.type in ("cpu", "cuda") for p in trained):
        keys["fused"] = True
    if captured and section.capturable:
        keys["capturable"] = True
    made: type[Optimizer] = getattr(torch.optim, type(section).__name__)
    try:
        return made(_grouped(section, model, outputs), **keys)
    except ValueError as error:
        raise ConfigError(f"optim={section.name}: {error}") from error


def _grouped(section: Optim, model: nn.Module, outputs: int) -> list[dict[str, Any]]:
    """The trained parameters in groups with a learning rate and a weight decay of their own where they have such.

    The last layer comes first: the learning rate that is shown is that of the first group.

    Raises:
        ConfigError: `backbone_lr` is given, and only the last layer is trained, or which that is cannot be told.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    head = set(head_parameters(model, outputs)) if section.backbone_lr is not None else {p for _, p in trained}
    spares = not section.decay_norm_bias and section.weight_decay > 0
    spared = {p for name, p in trained if spares and (p.dim() <= 1 or name.endswith("bias"))}
    rates: tuple[dict[str, Any], ...] = {}, {"lr": section.backbone_lr}
    decays: tuple[dict[str, Any], ...] = {}, {"weight_decay": 0.0}
    groups = [
        {"params": [p for _, p in trained if (p in head) is not bool(rate) and (p in spared) is bool(decay)]}
        | (rate | decay)
        for rate in rates
        for decay in decays
    ]
    if section.backbone_lr is not None and not any(group["params"] for group in groups if "lr" in group):
        raise ConfigError(
            "optim.backbone_lr: only the last layer is trained", "leave it out, or set model.freeze=false"
        )
    return [group for group in groups if group["params"]]


def _of_the_user(section: Custom, trained: list[nn.Parameter]) -> Optimizer:
    made = custom.call("optim", section, trained)
    if not isinstance(made, Optimizer):
        raise ConfigError(f"optim._target_={section.target} gives no torch.optim.Optimizer")
    parameters = inspect.signature(made.step).parameters.values()
    if any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
        raise ConfigError(
            f"optim._target_={section.target}: its step needs a closure that computes the loss again, "
            "and the training loop has none",
            "use an optimizer whose step() takes no arguments, like torch.optim.Adam",
        )
    return made


def declared(made: Optimizer) -> type[Optim] | None:
    """The declaration of an optimizer's class, which says what it can do; None where it is the user's own."""
    sections = registry.sections("optim").values()
    return next((kind for kind in sections if type(made) is getattr(torch.optim, kind.__name__, None)), None)


def is_changed(made: Optimizer) -> bool:
    """Whether somebody has given an optimizer hooks or a `step` of its own, which have to be called."""
    own = vars(made).get("step")  # schedules put a mark around torch's
    return any(_hooks(made)) or (own is not None and not hasattr(own, "_wrapped_by_lr_sched"))


def lean(made: Optimizer) -> Callable[[], object]:
    """`step` of one of torch's optimizers without what torch wraps around it: profiler and compiler marks, hooks.

    The arithmetic is the same. The wrappers cost a small model a tenth of its step, and their first call imports
    torch's compiler, which takes over a second. Where torch should rename what is used here, tests fail that compare
    such a step with `step`. An optimizer of the user's own, or one that somebody has changed, is called as it is.
    """
    if not type(made).__module__.startswith("torch.optim.") or is_changed(made):
        return lambda: made.step()  # looked up at each call: a schedule may have put its mark around it
    bare, hooks = inspect.unwrap(type(made).step), _hooks(made)
    made._opt_called = True  # type: ignore[attr-defined]  # schedules look for it, and warn if it is not there

    def step() -> None:
        if any(hooks):  # registered since
            made.step()
            return
        with torch.no_grad():
            bare(made)

    return step


def _hooks(made: Optimizer) -> tuple[dict[int, Any], ...]:
    """The dictionaries that hooks are registered in, of one optimizer and of all."""
    everywhere = optimizer._global_optimizer_pre_hooks, optimizer._global_optimizer_post_hooks
    return made._optimizer_step_pre_hooks, made._optimizer_step_post_hooks, *everywhere


def _leave_the_compiler_out() -> None:
    """Let optimizers be made and saved without importing torch's compiler, which takes over a second.

    torch marks some of their methods as not to be compiled when they are first called, and asks the compiler for
    the mark. With the plain method in the mark's place nobody asks. A test fails where a training imports the compiler.
    """
    for method in vars(Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)
