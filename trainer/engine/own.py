"""A loss and metrics of the user's own: made, and tried before anything is trained."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.data.splits import Dataset
from trainer.engine import measures
from trainer.engine.device import Compute
from trainer.engine.losses import Loss, Own
from trainer.engine.metrics import Evaluation, Metric
from trainer.system.errors import ConfigError, named
from trainer.system.streams import warn

FEW, MANY = 8, 10_000  # samples that a loss and a metric are tried on


def make_loss(section: Custom, name: str, loaded: Dataset, compute: Compute, mixed: bool = False) -> Loss:
    """The loss of the user's own that `section` names: an object of a class, or a function, of (outputs, targets).

    It is a sum over samples where it says `reduction: sum`, as torch's do, and otherwise a mean. `mixed` says that
    the training also has targets that are probabilities of classes.

    Raises:
        ConfigError: It cannot be made, fails, or does not give one number with a gradient.
    """
    what, of = f"loss={name} ({section.target})", custom.part("loss", section)
    if isinstance(of, nn.Module):
        if any(parameter.requires_grad for parameter in of.parameters()):
            raise ConfigError(
                f"{what} has parameters of its own, which no optimizer moves",
                "put them into the model, or register them as buffers",
            )
        of = of.to(compute.device, compute.dtype)
    elif not callable(of):
        raise ConfigError(f"{what} cannot be called", "give the class a method __call__(self, outputs, targets)")
    targets = _targets(loaded, "train", FEW, compute)
    given = [targets]
    if mixed and loaded.classes is not None:
        given.append(nn.functional.one_hot(targets, len(loaded.classes)).to(compute.dtype))
    for each in given:
        _try_loss(what, of, _drawn(loaded, each, compute), each)
    is_mean = getattr(of, "reduction", section.kwargs.get("reduction")) != "sum"
    return Own(name, custom.guarded(what, of), is_mean, compute.dtype)


def _try_loss(what: str, of: Callable[..., Any], outputs: Tensor, targets: Tensor) -> None:
    outputs.requires_grad_()
    value = _tried(what, of, outputs, targets)
    if not isinstance(value, Tensor):
        raise ConfigError(f"{what} gives a {type(value).__name__}, not a tensor", "a loss is computed by torch")
    if value.dim():
        raise ConfigError(
            f"{what} gives a tensor of shape {tuple(value.shape)}, and a loss is one number per batch",
            "take its mean()",
        )
    found = torch.autograd.grad(value, outputs, allow_unused=True) if value.requires_grad else (None,)
    if found[0] is None:
        raise ConfigError(
            f"{what} has no gradient, from which a step would follow",
            "compute it from the outputs by torch, without argmax(), detach() or item()",
        )


class OwnMetric:
    """A metric of the user's own: a function of all outputs and targets of a split, or an object that sums them up.

    Such an object has `update(outputs, targets)`, which is called with each batch, and `compute()`; for each evaluation
    one is made anew. Outputs are logits (N, classes) and targets class indices (N,); or both are values (N, columns) in
    the target's own units.

    Raises:
        ConfigError: It cannot be made, fails, or does not give one number.
    """

    def __init__(self, name: str, section: Custom, loaded: Dataset, split: str, compute: Compute) -> None:
        self.name, self.section, self.device = name, section, compute.device
        self.what = f"metric={name} ({section.target})"
        self.in_units = loaded.in_units
        self.told = False
        targets = _targets(loaded, split, MANY, compute)
        outputs = _drawn(loaded, targets, compute)

        def once() -> Any:
            self.begin()
            self._update(outputs, targets)
            return self._compute()

        with torch.inference_mode():
            self._number(_tried(self.what, once))
        self.update, self._guarded = (custom.guarded(self.what, each) for each in (self._update, self._compute))

    def begin(self) -> None:
        """Begin an evaluation."""
        self._of = custom.part(f"metric.{self.name}", self.section)
        self._sums = all(callable(getattr(self._of, name, None)) for name in ("update", "compute"))
        if not self._sums and not callable(self._of):
            raise ConfigError(
                f"{self.what} cannot be called", "give the class update(outputs, targets) and compute(), or __call__"
            )
        if isinstance(self._of, nn.Module):
            self._of.to(self.device)
        self._kept: list[tuple[Tensor, Tensor]] = []

    def _update(self, outputs: Tensor, targets: Tensor) -> None:
        if targets.is_floating_point():
            outputs, targets = self.in_units(outputs), self.in_units(targets)
        if self._sums:
            self._of.update(outputs, targets)
        else:
            self._kept.append((outputs, targets))

    def _compute(self) -> Any:
        if self._sums:
            return self._of.compute()
        outputs, targets = zip(*self._kept, strict=True)
        self._kept = []
        return self._of(torch.cat(outputs), torch.cat(targets))

    def compute(self) -> float:
        """The figure of the evaluation. One that is no number is said once."""
        found = self._number(self._guarded())
        if not math.isfinite(found) and not self.told:
            self.told = True
            warn(f"{self.what} is {found}: an evaluation without a number is never the best")
        return found

    def _number(self, value: Any) -> float:
        try:
            return float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = f"tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ConfigError(f"{self.what} gives a {kind}, and a metric is one number", "take its mean()") from error


class Beside:
    """The metrics of a data set, and those of the user's own beside them, of one model."""

    def __init__(self, first: Metric, own: Sequence[OwnMetric]) -> None:
        self.first, self.own = first, own
        for metric in own:
            metric.begin()

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """As `Metric` has it."""
        self.first.update(outputs, targets)
        for metric in self.own:
            metric.update(outputs, targets)

    def compute(self) -> list[Evaluation]:
        """As `Metric` has it."""
        (found,) = self.first.compute()
        found.metrics |= {metric.name: metric.compute() for metric in self.own}
        return [found]


def make_metrics(config: Config, loaded: Dataset, split: str, compute: Compute) -> list[OwnMetric]:
    """The metrics of the user's own that a config names, tried on the targets of a split.

    Raises:
        ConfigError: One cannot be made, fails, or does not give one number.
    """
    sections = config.own.get("metric", {})
    for name, section in sections.items():
        measures.declare(name, **vars(section.common))
    return [OwnMetric(name, section, loaded, split, compute) for name, section in sections.items()]


def _tried(what: str, of: Callable[..., Any], *given: Any) -> Any:
    try:
        return of(*given)
    except ConfigError:
        raise
    except Exception as error:
        shapes = " and ".join(str(tuple(each.shape)) for each in given)
        on = f" on outputs and targets of shapes {shapes}" if given else ""
        raise ConfigError(f"{what} fails{on}: {named(error)}", custom.WHERE) from error


def _targets(loaded: Dataset, split: str, most: int, compute: Compute) -> Tensor:
    """The first targets of a split, as batches have them."""
    found = loaded.split(split).targets[:most]
    if loaded.target_mean is not None and loaded.target_std is not None:
        found = (found.double() - torch.tensor(loaded.target_mean)) / torch.tensor(loaded.target_std)
    return found.to(compute.device, compute.dtype if found.is_floating_point() else found.dtype)


def _drawn(loaded: Dataset, targets: Tensor, compute: Compute) -> Tensor:
    """Outputs (N, outputs) as no model has given them, drawn by a generator that nobody else draws from."""
    shape = len(targets), int(loaded.facts()["outputs"])
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(compute.device, compute.dtype)
