"""A model with its optimizer, made anew and stepped for a look: nothing that it does is kept."""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count, islice

import torch
from torch import Tensor, nn

from trainer.data.batches import Batch, Batches
from trainer.engine.loop import grouped
from trainer.models.library import BATCH_NORMS
from trainer.models.mode import evaluating
from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.run.parts import Parts
from trainer.system import circumstances
from trainer.system.errors import TrainerError, named

# What a model of the user's own raises where it does not fit a batch: torch and libraries raise all of these.
ERRORS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)
SEEN = 512  # training samples whose loss says how far a trial has come


class ModelFailsError(TrainerError):
    """A model, or its loss, that raises an error for a whole batch."""


class Trial:
    """New parts of a training, with the weights that it begins with, which are stepped eagerly at any learning rate."""

    def __init__(self, subject: Subject, **changes: object) -> None:
        plain: dict[str, object] = {"compile": "off", "on_nan": "ignore", "ema": None, "hooks": []}
        self.parts: Parts = subject.parts(**plain | changes)
        self.model: nn.Module = self.parts.model
        self.loss = self.parts.evaluator.loss
        self._batches: Iterator[list[Batch]] | None = None
        self._put_back_momentum()

    def _put_back_momentum(self) -> None:
        """Undo what a schedule that moves the momentum has set for its first step."""
        if self.parts.schedule.moves_momentum:
            for group in self.parts.optimizer.param_groups:
                group |= {key: self.parts.optimizer.defaults[key] for key in ("momentum", "betas") if key in group}

    @property
    def rate(self) -> float:
        """The learning rate of the config: with some schedules the highest."""
        return self.parts.schedule.first_rate

    def first(self, batches: int = 1) -> list[Batch]:
        """The first batches of the training: classes that are mixed are probabilities."""
        return list(islice(self.parts.train.epoch(0), batches))

    def seen(self) -> Batch:
        """Up to `SEEN` training samples from all over the split, as they are evaluated."""
        data, compute, split = self.parts.data, self.parts.compute, self.parts.data.train
        some = split.take(torch.linspace(0, len(split) - 1, min(SEEN, len(split)), dtype=torch.float64).long())
        batches = Batches(
            some,
            None,
            compute.device,
            compute.dtype,
            data.mean,
            data.std,
            workers=0,
            target_mean=data.target_mean,
            target_std=data.target_std,
        )
        return next(iter(batches))

    def step(self, rate: float | None = None, batches: list[Batch] | None = None) -> float:
        """Take a step; its loss.

        `rate` is the learning rate of the first parameter group, and those of others go with it; without one it is
        that of the schedule's first step. The step is on the next batches of the training, or on those that are given.
        """
        groups = self.parts.optimizer.param_groups
        factor = 1.0 if rate is None else rate / groups[0]["lr"]
        for group in groups:
            group["lr"] *= factor
        if batches is None:
            self._batches = self._batches or _endless(self.parts)
            batches = next(self._batches)
        with failing("a step"):
            return float(self.parts.step(batches))

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs, in the mode that the model is in."""
        with failing(f"a batch of {len(inputs)}"), self.parts.compute.autocast():
            found = self.model(inputs)
        if not isinstance(found, Tensor):
            raise ModelFailsError(f"the model gives a {type(found).__name__} for a batch, not a tensor")
        return found

    def answers(self, inputs: Tensor) -> Tensor:
        """The outputs in evaluation mode, without a graph of gradients."""
        with evaluating(self.model), torch.no_grad():
            return self.forward(inputs)

    def value(self, outputs: Tensor, targets: Tensor, training: bool = True) -> Tensor:
        """The loss of outputs, as the training or an evaluation computes it."""
        of = self.loss.training_function if training else self.loss.function
        with failing("the loss of a batch"), self.parts.compute.autocast():
            return of(outputs, targets)

    def level(self, samples: Batch) -> float:
        """The loss of samples in evaluation mode."""
        inputs, targets = samples
        value = float(self.value(self.answers(inputs), targets, training=False))
        return value if math.isfinite(value) else math.inf


def within(seconds: float, least: int, most: int) -> Iterator[int]:
    """Count to `most`, but after so many seconds only as far as `least`: a look at a large model must end, too."""
    begun = time.perf_counter()
    for number in range(most):
        if number >= least and time.perf_counter() - begun > seconds:
            return
        yield number


def _endless(parts: Parts) -> Iterator[list[Batch]]:
    for epoch in count():
        yield from grouped(parts.train.epoch(epoch), parts.plan.accumulate)


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Turn what a model raises for `what` it is given into a `ModelFailsError`."""
    try:
        yield
    except ERRORS as error:
        if circumstances.explained(error) is not None:  # memory that runs out, say, is no fault of the model
            raise
        raise ModelFailsError(f"the model fails on {what}: {named(error)}") from error


def unless_failing(looked_at: str, looking: Iterable[Finding]) -> Iterator[Finding]:
    """What `looking` finds; or that it could not look, where the model fails on a batch, which is told elsewhere."""
    try:
        yield from looking
    except ModelFailsError as error:
        yield Finding(looked_at, f"could not be looked at: {error.message}", "mend what stands beside 'outputs'")


def keeping_randomness() -> AbstractContextManager[None]:
    """Leave torch's generators as they are, whatever is drawn."""
    initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.random.fork_rng([torch.cuda.current_device()] if initialised else [])


@contextmanager
def without_chance(model: nn.Module, by_batch: bool = False) -> Iterator[None]:
    """Let a model be trained without dropout.

    Unless it is to normalise `by_batch`, it does so as in evaluation: both modes should then be the same.
    """
    changed = [m for m in model.modules() if m.training and (draws(m) or (normalises(m) and not by_batch))]
    for module in changed:
        module.training = False
    try:
        yield
    finally:
        for module in changed:
            module.training = True


def draws(module: nn.Module) -> bool:
    """Whether a layer drops values or paths at random, of torch or of a library: they are called so."""
    name = type(module).__name__
    return ("Drop" in name or name == "StochasticDepth") and not [*module.parameters(), *module.children()]


def normalises(module: nn.Module) -> bool:
    """Whether a layer normalises by the batch in training, and by what it has learnt in evaluation."""
    return isinstance(module, BATCH_NORMS) and module.running_mean is not None
