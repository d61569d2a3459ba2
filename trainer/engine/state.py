"""What the loop works with: where a training stands, how long it goes on, and what it needs of batches and steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from trainer.engine.losses import Loss

# What hooks are told after an evaluation: epoch, step, lr, train/loss and the metrics. In a row of a team of models,
# values that differ between the models are lists with one value each.
Row = dict[str, Any]
Evaluate = Callable[[], Row]


class BatchSource(Protocol):
    """A training set: batches in an order that is a pure function of (seed, epoch)."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number `start` on, as the step takes them."""

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch of an epoch has."""


class Step(Protocol):
    """One optimizer step, ready made: eager, compiled or captured, of one model or of a team of models."""

    loss: Loss
    device: torch.device
    jobs: tuple[int, ...]  # the shape of its losses: () for one model, (N,) for a team
    apart: Sequence[list[int]]  # how many samples the batches of each model have, in a team where they differ
    on_nan: str  # what a loss that is not finite means: stop, skip (such a step was not taken) or ignore

    def __call__(self, batches: Sequence[Any], /) -> Tensor:
        """Step on the gradients of `batches` together and return their loss, of shape `jobs`, on the device."""

    def learning_rate(self) -> Any:
        """The learning rate of the first parameter group; for a team a list with one per model."""


@dataclass
class State:
    """Where a training stands."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # steps taken in the current epoch
    step: int = 0  # steps taken in all
    stop: str = ""  # a hook's reason to stop after this step or epoch
    cut: bool = False  # whether the epoch is reported where it stops, as it is after `max_steps`
    interrupted: int = 0  # the number of a signal that asks to stop now, even within an evaluation
    losses: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))  # (*jobs, steps) of this epoch
    reported: int = 0  # steps of the current epoch up to its last evaluation
    now: Callable[[], float] | None = None  # the seconds of a clock that all ranks read alike; None: any will do

    @property
    def loss(self) -> Tensor:
        """The loss of the last step, on the device: reading it waits for the step."""
        return self.losses[..., self.batch - 1]

    def ending(self) -> bool:
        """Whether no further step is to be taken."""
        return bool(self.stop or self.interrupted)

    def state_dict(self) -> dict[str, Any]:
        """The counters and the losses of the current epoch, for a checkpoint."""
        return {**self.counters(), "losses": self.losses[: self.batch]}

    def counters(self) -> dict[str, int]:
        """The counters by name."""
        return {"epoch": self.epoch, "batch": self.batch, "step": self.step, "reported": self.reported}

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Stand where `kept` says.

        Raises:
            ValueError: it does not say that, or its counters contradict each other.
        """
        counters: list[Any] = [kept.get(name) for name in self.counters()]
        if None in counters or kept.get("losses") is None:
            raise ValueError("it does not say at which step it was")
        self.epoch, self.batch, self.step, self.reported = counters
        self.losses = kept["losses"]
        if not 0 <= self.reported <= self.batch == len(self.losses):
            raise ValueError("its counters contradict each other")

    def check(self, steps: int) -> None:
        """Check where it stands in a training with so many `steps` per epoch.

        Raises:
            ValueError: no such training was ever there.
        """
        if self.batch > steps or self.step != self.epoch * steps + self.batch:
            raise ValueError("its counters contradict each other")


@dataclass(frozen=True)
class Plan:
    """How long to train and when to evaluate."""

    epochs: int
    max_steps: int | None = None
    accumulate: int = 1
    evaluate_epochs: int = 1
    evaluate_steps: int | None = None

    def samples(self, sizes: list[int]) -> list[int]:
        """How many samples each step of an epoch has, whose batches have these `sizes`."""
        return [sum(sizes[i : i + self.accumulate]) for i in range(0, len(sizes), self.accumulate)]

    def total_steps(self, steps: int) -> int:
        """How many steps a whole training takes, of so many per epoch."""
        return min(self.epochs * steps, self.max_steps or self.epochs * steps)

    def goes_on(self, state: State) -> bool:
        """Whether there is an epoch to train, or one to report that `max_steps` has cut short."""
        return state.epoch < self.epochs and not state.interrupted and (not state.stop or state.batch > state.reported)

    def reached(self, state: State) -> bool:
        """Whether `max_steps` are taken, or a hook has cut the training short in their place."""
        return state.cut or (self.max_steps is not None and state.step >= self.max_steps)

    def stop_at_length(self, state: State) -> None:
        """Ask to stop once `max_steps` are taken."""
        if self.reached(state):
            state.stop = state.stop or "max_steps reached"

    def leaves_early(self, state: State, steps: int) -> bool:
        """Whether an epoch of so many `steps` was left before its end and before `max_steps`: nothing is to report."""
        return state.batch < steps and (bool(state.interrupted) or not self.reached(state))

    def evaluates_within(self, state: State) -> bool:
        """Whether an evaluation is due before the next step of the epoch."""
        return self._at_steps(state) and state.batch > state.reported and not state.ending()

    def evaluates_after(self, state: State) -> bool:
        """Whether an evaluation is due at the end of the epoch."""
        last = bool(state.stop) or state.epoch + 1 == self.epochs
        return last or (state.epoch + 1) % self.evaluate_epochs == 0 or self._at_steps(state)

    def _at_steps(self, state: State) -> bool:
        return self.evaluate_steps is not None and state.step % self.evaluate_steps == 0
