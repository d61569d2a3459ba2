"""What the rows of a training hold: mean losses, seconds and samples per second."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.engine.metrics import wide
from trainer.engine.state import Evaluate, Row, State, Step
from trainer.system.errors import DivergedError

CHECK_SECONDS = 1.0  # between two looks at whether the losses are finite


class Tally:
    """Keeps the losses of an epoch on the device, and makes a row of them when one is due.

    A row has epoch, step, lr, train/loss and the metrics of the evaluation; that of an epoch also has seconds and
    samples_per_second. Steps that were skipped have a loss of nan: they are counted, and left out of the mean.
    `samples` says how many samples each step of an epoch has; `apart` says it of each model, if those of a team differ.
    """

    def __init__(self, step: Step, samples: list[int], state: State, apart: Sequence[list[int]] = ()) -> None:
        self.step, self.samples, self.steps = step, samples, len(samples)
        self.now = state.now or time.perf_counter
        dtype = wide(step.device)
        self.weights = torch.tensor(self.samples, dtype=torch.float64).to(step.device, dtype)
        self.apart = torch.tensor(apart, dtype=torch.float64).to(step.device, dtype) if apart else None
        losses = torch.zeros(*step.jobs, self.steps, dtype=dtype, device=step.device)
        losses[..., : state.batch] = state.losses[..., : state.batch]
        state.losses = losses

    def start(self, state: State) -> None:
        """Start the clock of an epoch that begins, or is resumed."""
        self.started, self.checked = time.perf_counter(), self.now()
        self.first, self.evaluating = state.batch, 0.0

    def watch(self, state: State) -> None:
        """Check the losses now and then: reading them waits for the device, which single steps need not."""
        now = self.now()
        if now - self.checked > CHECK_SECONDS:
            self.checked = now
            self.check(state)

    def check(self, state: State) -> None:
        """Stop at a loss that is not finite, where that is asked for.

        Raises:
            DivergedError: one of the current epoch is not; the message names epoch and step.
        """
        if self.step.on_nan == "stop":
            check_finite(state)

    def within_epoch(self, state: State, evaluate: Evaluate) -> Row:
        """The row of the steps since the last evaluation in this epoch, which is reported with it."""
        now = time.perf_counter()
        row = self._row(state, state.reported) | evaluate()
        self.evaluating += time.perf_counter() - now
        state.reported = state.batch
        return row

    def of_epoch(self, state: State, evaluate: Evaluate | None) -> Row:
        """The row of the epoch, or of its part up to `max_steps`; `state` then stands after it."""
        row = self._row(state, 0)
        training = time.perf_counter() - self.started - self.evaluating
        if evaluate is not None:
            row |= evaluate()
        row["seconds"] = time.perf_counter() - self.started
        if state.batch > self.first:
            row["samples_per_second"] = sum(self.samples[self.first : state.batch]) / training
        if state.batch == self.steps:
            state.epoch, state.batch = state.epoch + 1, 0
        state.reported = state.batch
        return row

    def _row(self, state: State, since: int) -> Row:
        row: Row = {"epoch": state.epoch + 1, "step": state.step, "lr": self.step.learning_rate()}
        if self.step.jobs:
            weights = self.apart if self.apart is not None else [self.weights] * len(state.losses)
            of_each = zip(state.losses, weights, strict=True)
            return row | {"train/loss": [self._mean(losses, since, state.batch, own) for losses, own in of_each]}
        if self.step.on_nan == "skip":
            return row | self._of_taken(state, since)
        loss = row["train/loss"] = self._mean(state.losses, since, state.batch, self.weights)
        if not math.isfinite(loss):
            self.check(state)
        return row

    def _mean(self, losses: Tensor, since: int, until: int, weights: Tensor) -> float:
        """The mean of the losses of these steps of an epoch."""
        if until == since + 1:  # a full batch: thousands of short epochs would feel the slices and sums
            return losses[since].item()
        return self._weighed(losses[since:until], weights[since:until])

    def _of_taken(self, state: State, since: int) -> Row:
        """The mean loss of the steps since this one that were not skipped, and how many were."""
        losses, weights = state.losses[since : state.batch], self.weights[since : state.batch]
        taken = losses.isfinite()
        skipped = len(losses) - int(taken.sum())
        if skipped == self.steps:
            raise DivergedError(
                f"the losses of all steps of epoch {state.epoch + 1}, up to step {state.step}, are not finite",
                "look at the data: trainer inspect",
            )
        return {"train/loss": self._weighed(losses[taken], weights[taken])} | ({"skipped": skipped} if skipped else {})

    def _weighed(self, losses: Tensor, weights: Tensor) -> float:
        """The mean of the losses, weighed by their samples; the sum, where the loss is a sum over samples."""
        if len(losses) < 2:
            return losses.item() if len(losses) else math.nan
        return float(losses @ weights / weights.sum() if self.step.loss.mean else losses.sum())


def check_finite(state: State) -> None:
    """Read the losses of the current epoch, which waits for the device.

    Raises:
        DivergedError: one of them is not finite; the message names epoch and step.
    """
    finite = state.losses[: state.batch].isfinite()
    if not bool(finite.all()):
        index = int((~finite).nonzero()[0])
        step = state.step - state.batch + index + 1
        raise DivergedError(
            f"the loss is {float(state.losses[index])} at epoch {state.epoch + 1}, step {step}",
            "try a smaller optim.lr, clip_norm=1, or on_nan=skip",
            index,
            step,
        )
