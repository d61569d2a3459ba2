"""The training loop: pure torch, no config, no files, no screen."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from trainer.engine.state import BatchSource, Evaluate, Plan, Row, State, Step
from trainer.engine.tally import Tally
from trainer.system.errors import StoppedError

T = TypeVar("T")


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
        """After the last step, also when a hook or a signal stopped the training."""


class Hooks(Hook):
    """Several hooks as one; each event reaches them in their order."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self.hooks = hooks
        self._on_step = [hook.on_step for hook in hooks if type(hook).on_step is not Hook.on_step]

    def on_start(self, state: State) -> None:
        for hook in self.hooks:
            hook.on_start(state)

    def on_step(self, state: State) -> None:
        for call in self._on_step:
            call(state)

    def on_evaluation(self, state: State, row: Row) -> None:
        for hook in self.hooks:
            hook.on_evaluation(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        for hook in self.hooks:
            hook.on_epoch(state, row)

    def on_end(self, state: State) -> None:
        for hook in self.hooks:
            hook.on_end(state)


def fit(
    step: Step,
    batches: BatchSource,
    plan: Plan,
    evaluate: Evaluate | None = None,
    hooks: Sequence[Hook] = (),
    state: State | None = None,
) -> State:
    """Train until `plan` is done, or a hook or a signal asks `state` to stop. Pass `state` to resume at its step."""
    state, watching = state or State(), Hooks(hooks)
    tally = Tally(step, plan.samples(batches.sizes), state, [*map(plan.samples, step.apart)])
    plan.stop_at_length(state)
    watching.on_start(state)
    with suppress(StoppedError):  # an evaluation, or a batch, that a signal cut short is repeated on resume
        while plan.goes_on(state):
            tally.start(state)
            for group in grouped(batches.epoch(state.epoch, state.batch * plan.accumulate), plan.accumulate):
                if evaluate is not None and plan.evaluates_within(state):
                    watching.on_evaluation(state, tally.within_epoch(state, evaluate))
                if state.ending():
                    break
                state.losses[..., state.batch] = step(group)
                state.batch += 1
                state.step += 1
                watching.on_step(state)
                plan.stop_at_length(state)
                tally.watch(state)
            if plan.leaves_early(state, tally.steps):
                tally.check(state)
                break
            row = tally.of_epoch(state, evaluate if plan.evaluates_after(state) else None)
            watching.on_epoch(state, row)
    watching.on_end(state)
    return state


def grouped(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`items` in lists of `size`, of which the last may be shorter."""
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, size)), [])
