"""Whether each parameter of the model gets a gradient, and moves by it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing
from trainer.system.errors import listed
from trainer.system.shown import counted

ABOUT = "the gradients"
LABEL = "gradients"
STEPS = 3  # a layer that begins at zero, as some residual branches end in, lets the first step through to no other
SHOWN = 4


@dataclass
class Reached:
    """What some steps have shown of the parameters of a model, by their names."""

    unused: list[str] = field(default_factory=list)  # of layers that were not called
    cut: list[str] = field(default_factory=list)  # of layers that were called, and to which no gradient comes back
    dead: list[str] = field(default_factory=list)  # whose gradient was 0 throughout, of weights
    still: list[str] = field(default_factory=list)  # that had a gradient, and that the optimizer did not move


def look(subject: Subject) -> Iterator[Finding]:
    """Take the first steps of the training, and look which parameters they reach."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    trial = Trial(subject)
    findings = [*_frozen(subject, trial.model), *_outside(trial)]
    found = reached(trial)
    for names, what, advice in (
        (found.unused, "no gradient reaches {}: forward does not use it", "use the layer in forward, or remove it"),
        (found.cut, "no gradient reaches {}, though forward uses it", _CUT),
        (found.dead, "the gradient of {} is 0 in {steps}", _DEAD),
        (found.still, "{} has a gradient, and the optimizer does not move it", _STILL),
    ):
        if names:
            text = what.format(_named(names), steps=counted(STEPS, "step"))
            findings.append(Finding(LABEL, text, advice, wrong=True))
    if not any(finding.wrong for finding in findings):
        trained = [p for p in trial.model.parameters() if p.requires_grad]
        values = sum(p.numel() for p in trained)
        findings.append(Finding(LABEL, f"reach all {counted(len(trained), 'parameter')} ({values:,} values)"))
    yield from findings


_CUT = "look behind it for detach(), .data, no_grad(), argmax or round: the loss has to see what it gives"
_DEAD = "look for units that are always off (a bias far below 0), and for weights that begin at 0"
_STILL = "give the optimizer all parameters, or a larger optim.lr: the change is lost in rounding"


def reached(trial: Trial) -> Reached:
    """Take `STEPS` steps as the training does, and look what has become of each parameter that is to be trained."""
    called: set[nn.Module] = set()
    layers = [module for module in trial.model.modules() if [*module.parameters(recurse=False)]]
    handles = [layer.register_forward_pre_hook(lambda layer, _: called.add(layer)) for layer in layers]
    trained = {name: p for name, p in trial.model.named_parameters() if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trained.items()}
    has, moves = set[str](), set[str]()
    for _ in range(STEPS):
        trial.step()
        has |= {name for name, p in trained.items() if p.grad is not None}
        moves |= {name for name, p in trained.items() if p.grad is not None and bool(p.grad.any())}
    for handle in handles:
        handle.remove()
    of = {parameter: layer for layer in layers for parameter in layer.parameters(recurse=False)}
    found = Reached()
    for name, parameter in trained.items():
        if name not in has:
            (found.cut if of[parameter] in called else found.unused).append(name)
        elif name not in moves:
            if parameter.dim() > 1:  # a bias before a normalisation has none but by rounding
                found.dead.append(name)
        elif torch.equal(parameter.detach(), before[name]):
            found.still.append(name)
    return found


def _frozen(subject: Subject, model: nn.Module) -> Iterator[Finding]:
    """Parameters that are not trained. Those that another seed draws otherwise have learnt nothing, and never will."""
    frozen = {name: p for name, p in model.named_parameters() if not p.requires_grad}
    if not frozen:
        return
    section = subject.settled.model
    asked = getattr(section, "kwargs", vars(section)).get("freeze")  # of ours, or of a model of the user's own
    other = dict(Trial(subject, seed=(subject.settled.seed + 1) % 2**32).model.named_parameters())
    random = [name for name, p in frozen.items() if not torch.equal(p, other[name])]
    if asked:
        found = f"model.freeze leaves {counted(len(frozen), 'parameter')} as they are"
        advice = "model.weights=DEFAULT, or leave model.freeze out" if random else ""
        yield Finding("frozen", found + (", which are random" if random else ""), advice)
    elif random:
        found = f"{_named(random)} is random and not trained: requires_grad is off"
        yield Finding("frozen", found, "let it be trained, or load weights into it", wrong=True)
    else:
        yield Finding("frozen", f"{_named([*frozen])} is not trained, and does not depend on the seed")


def _outside(trial: Trial) -> Iterator[Finding]:
    """Tensors that the loss depends on and that want a gradient, but that are no parameters of the model."""
    inputs, targets = trial.first()[0]
    loss = trial.value(trial.forward(inputs), targets)
    known = {id(p) for p in trial.model.parameters()} | {id(inputs)}
    strange = [leaf for leaf in _leaves(loss) if id(leaf) not in known]
    if strange:
        shapes = listed(["x".join(map(str, leaf.shape)) or "1" for leaf in strange[:SHOWN]])
        found = f"{counted(len(strange), 'tensor')} that forward uses are no parameters of the model (of {shapes})"
        where = _kept_in(trial.model)
        advice = "keep layers in nn.ModuleList, and tensors in nn.Parameter" + (
            f": self.{where} is a plain list or dictionary" if where else ""
        )
        yield Finding("parameters", f"{found}: they are neither trained nor saved", advice, wrong=True)


def _leaves(loss: Tensor) -> Iterator[Tensor]:
    """The tensors at the ends of the graph that gradients go through."""
    seen, waiting = set[Any](), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting += [before for before, _ in node.next_functions]


def _kept_in(model: nn.Module) -> str:
    """The name of a plain list or dictionary that holds layers, which torch does not look into."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
            if not key.startswith("_") and any(isinstance(each, nn.Module) for each in inside):
                return f"{name}.{key}".lstrip(".")
    return ""


def _named(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return listed(names[:SHOWN]) + more
