"""The training loop and the evaluation loop: pure torch, no config, no files, no screen."""

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from trainer.engine.losses import Loss
from trainer.engine.metrics import Evaluation, Metric, wide
from trainer.models.mode import evaluating
from trainer.system.errors import DivergedError

Batch = tuple[Tensor, Tensor]
Row = dict[str, float]
T = TypeVar("T")
CHECK_SECONDS = 1.0  # between two looks at whether the losses are finite


class Batches(Protocol):
    """A training set: batches in an order that is a pure function of (seed, epoch).

    What a batch is, is between them and the step.
    """

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number `start` on."""

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch of an epoch has."""


class Step(Protocol):
    """One optimizer step, ready made: eager, compiled or captured."""

    def __call__(self, batches: Sequence[Any]) -> Tensor:
        """Step on the gradients of `batches` together; their loss, a scalar that stays on the device."""


# What a training asks for, one thing at a time: a step on these batches, or with None an evaluation. It is answered
# with the step's loss (None: that is in `State.losses` already), or with the metrics of the evaluation.
Asking = Generator[Sequence[Any] | None, Any, T]


@dataclass
class State:
    """Where training stands."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # steps taken in the epoch that runs
    step: int = 0  # steps taken in all
    stop: str = ""  # a hook's reason to stop after this step or epoch
    interrupted: str = ""  # the name of a signal that asks to stop now, even within an evaluation
    losses: Tensor = field(default_factory=lambda: torch.empty(0))  # of the steps of the epoch that runs
    reported: int = 0  # steps of the epoch that runs, up to its last evaluation

    @property
    def loss(self) -> Tensor:
        """Of the step just taken, a scalar on the device: reading it waits for that."""
        return self.losses[self.batch - 1]

    def ending(self) -> bool:
        """Whether no further step is to be taken."""
        return bool(self.stop or self.interrupted)


class StoppedError(Exception):
    """An evaluation that was given up, because training was interrupted."""


class Hook:
    """Watches the loop. Subclasses override what they need."""

    def on_start(self, state: State) -> None:
        """Before the first step."""

    def on_step(self, state: State) -> None:
        """After a step."""

    def on_evaluation(self, state: State, row: Row) -> None:
        """After an evaluation within an epoch."""

    def on_epoch(self, state: State, row: Row) -> None:
        """After an epoch, and its evaluation if there was one."""

    def on_end(self, state: State) -> None:
        """After the last step, also when a hook or a signal stopped training."""


@dataclass(frozen=True)
class Plan:
    """How long to train and when to evaluate."""

    epochs: int
    max_steps: int | None = None
    accumulate: int = 1
    evaluate_epochs: int = 1
    evaluate_steps: int | None = None
    on_nan: str = "stop"  # stop, skip or ignore: what a loss that is not finite means


def fit(
    step: Step,
    train: Batches,
    loss: Loss,
    plan: Plan,
    evaluate: Callable[[], Row] | None = None,
    learning_rate: Callable[[], float] = lambda: 0.0,
    hooks: Sequence[Hook] = (),
    state: State | None = None,
    device: torch.device | None = None,
) -> State:
    """Train until `plan` is done or a hook sets `state.stop`: `fitting`, with `step` and `evaluate` for answers."""
    work = fitting(train, loss, plan, evaluate is not None, learning_rate, hooks, state, device)
    return driven(work, step, evaluate or dict)


def driven(
    work: Asking[T],
    step: Callable[[Sequence[Any]], Tensor | None],
    evaluate: Callable[[], Row],
    answer: Any = None,
) -> T:
    """Answer whatever `work` asks for, until it returns; `answer` is to what it asked first, if it has begun."""
    go_on: Callable[[Any], Sequence[Any] | None] = work.send
    while True:
        try:
            batches = go_on(answer)
        except StopIteration as end:
            found: T = end.value
            return found
        try:
            go_on, answer = work.send, evaluate() if batches is None else step(batches)
        except BaseException as error:  # it is for `work` to say what that means
            go_on, answer = work.throw, error


def fitting(
    train: Batches,
    loss: Loss,
    plan: Plan,
    evaluates: bool,
    learning_rate: Callable[[], float] = lambda: 0.0,
    hooks: Sequence[Hook] = (),
    state: State | None = None,
    device: torch.device | None = None,
) -> Asking[State]:
    """A training that asks for each step and, where it `evaluates`, for each evaluation, when it is due.

    So several can be taken together, a step of all at a time. Each epoch gives hooks one row: epoch, step, lr,
    train/loss, the metrics of the evaluation, seconds and samples_per_second. Losses stay on the device until then. A
    `state` of before goes on from the very step; an evaluation that it was interrupted in is done again.

    Raises:
        DivergedError: a loss is not finite; the message names epoch and step.
    """
    state = state or State()
    samples = [sum(group) for group in _grouped(train.sizes, plan.accumulate)]
    weights = torch.tensor(samples, dtype=torch.float64).to(device, wide(device) if device else torch.float64)
    losses = torch.zeros_like(weights)
    losses[: state.batch] = state.losses[: state.batch]  # which the row of the epoch is made of
    state.losses = losses
    on_step = [hook.on_step for hook in hooks if type(hook).on_step is not Hook.on_step]
    if plan.max_steps is not None and state.step >= plan.max_steps:
        state.stop = state.stop or "max_steps reached"
    for hook in hooks:
        hook.on_start(state)
    # An epoch that `max_steps` cut short has a row, too, though its steps may have been taken before.
    while state.epoch < plan.epochs and not state.interrupted and (not state.stop or state.batch > state.reported):
        started = checked = time.perf_counter()
        first = state.batch
        evaluating = 0.0
        batches = train.epoch(state.epoch, start=state.batch * plan.accumulate)
        for group in _grouped(batches, plan.accumulate):
            if state.ending():
                break
            due = plan.evaluate_steps is not None and state.step % plan.evaluate_steps == 0
            if due and evaluates and state.batch > state.reported:
                now = time.perf_counter()
                row = _row(state, learning_rate(), loss, weights, state.reported, plan)
                try:
                    row |= yield None
                except StoppedError:
                    break
                evaluating += time.perf_counter() - now
                state.reported = state.batch
                for hook in hooks:
                    hook.on_evaluation(state, row)
                if state.ending():
                    break
            value = yield group
            if value is not None:
                state.losses[state.batch] = value
            state.batch += 1
            state.step += 1
            for call in on_step:
                call(state)
            if plan.max_steps is not None and state.step >= plan.max_steps:
                state.stop = state.stop or "max_steps reached"
            now = time.perf_counter()
            if now - checked > CHECK_SECONDS:  # by time, so that steps need not wait for the device
                check_finite(state, plan)
                checked = now
            if state.ending():
                break
        done = state.batch
        if done < len(samples) and (state.interrupted or plan.max_steps is None or state.step < plan.max_steps):
            check_finite(state, plan)
            break  # interrupted within an epoch: nothing to report yet
        row = _row(state, learning_rate(), loss, weights, 0, plan)
        training = time.perf_counter() - started - evaluating
        last = bool(state.stop) or state.epoch + 1 == plan.epochs
        due = plan.evaluate_steps is not None and state.step % plan.evaluate_steps == 0
        if evaluates and ((state.epoch + 1) % plan.evaluate_epochs == 0 or due or last):
            try:
                row |= yield None
            except StoppedError:
                break
        row["seconds"] = time.perf_counter() - started
        if done > first:
            row["samples_per_second"] = sum(samples[first:done]) / training
        if done == len(samples):
            state.epoch, state.batch = state.epoch + 1, 0
        state.reported = state.batch
        for hook in hooks:
            hook.on_epoch(state, row)
    for hook in hooks:
        hook.on_end(state)
    return state


def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Loss,
    metric: Metric,
    stopped: Callable[[], object] = bool,
) -> Evaluation:
    """One pass over `batches` in inference mode: the metric's figures and the loss over all samples.

    Raises:
        StoppedError: `stopped` said so before the last batch.
    """
    total: Tensor | float = 0.0
    count = 0
    with evaluating(model), torch.inference_mode():
        for inputs, targets in batches:
            if stopped():
                raise StoppedError
            outputs = model(inputs)
            metric.update(outputs, targets)
            weight = len(targets) if loss.mean else 1
            total = total + loss.function(outputs, targets).to(wide(targets.device)) * weight
            count += len(targets)
    found = metric.compute()
    found.metrics = {"loss": float(total) / (count if loss.mean else 1), **found.metrics}
    return found


def check_finite(state: State, plan: Plan) -> None:
    """Read the losses of the epoch that runs, which waits for the device.

    Raises:
        DivergedError: one of them is not finite, and that shall stop the training.
    """
    if plan.on_nan != "stop":
        return
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


def _row(state: State, lr: float, loss: Loss, weights: Tensor, since: int, plan: Plan) -> Row:
    """The figures of the steps since batch `since`; a mean loss weighs each step by its samples."""
    row = {"epoch": state.epoch + 1, "step": state.step, "lr": lr}
    skipped = 0
    if state.batch == since + 1 and plan.on_nan != "skip":  # a full batch: thousands of epochs would feel the sums
        mean = state.losses[since].item()
    else:
        part, weights = state.losses[since : state.batch], weights[since : state.batch]
        if plan.on_nan == "skip":
            taken = part.isfinite()
            skipped = len(part) - int(taken.sum())
            if skipped == len(state.losses):
                raise DivergedError(
                    f"the losses of all steps of epoch {row['epoch']}, up to step {state.step}, are not finite",
                    "look at the data: trainer inspect",
                )
            if skipped:
                part, weights = part[taken], weights[taken]
        mean = float(part @ weights / weights.sum() if loss.mean else part.sum()) if len(part) else math.nan
    if not math.isfinite(mean):
        check_finite(state, plan)
    row["train/loss"] = mean
    if skipped:
        row["skipped"] = skipped
    return row


def _grouped(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
