"""A training watched from outside: its batches, step, evaluation and hooks tell a clock what they begin with.

Nothing of the training is changed for it: attributes of its objects are replaced for an epoch, and put back.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, cast

from torch import Tensor

from trainer.data.batches import Batch, Batches, Raw
from trainer.engine.evaluator import Evaluator
from trainer.engine.loop import Hook, Hooks
from trainer.engine.state import BatchSource, Row, State, Step
from trainer.engine.steps.eager import EagerStep
from trainer.profiling import clock as parts_of
from trainer.profiling.clock import Clock

_ABSENT = object()


class Replaced:
    """Attributes of objects that are replaced until `put_back`."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Give an object another attribute."""
        self._before.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, value)

    def put_back(self) -> None:
        """Let all be as it was."""
        while self._before:
            owner, name, value = self._before.pop()
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


class _StandIn:
    """Another object but for some `calls`."""

    def __init__(self, other: Any, **calls: Callable[..., Any]) -> None:
        vars(self).update(calls)
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def timed(clock: Clock, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, during which the clock counts for `part`."""

    def timing(*args: Any, **kwargs: Any) -> Any:
        before = clock.to(part)
        try:
            return call(*args, **kwargs)
        finally:
            clock.to(before)

    return timing


class FirstBatches:
    """The first so many batches of each epoch, of what `plain` gives, or `watched` while that is wanted."""

    def __init__(self, plain: BatchSource, watched: BatchSource, count: int) -> None:
        self.plain, self.watched, self.count = plain, watched, count
        self.watching = False

    @property
    def sizes(self) -> list[int]:
        return self.plain.sizes[: self.count]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = (self.watched if self.watching else self.plain).epoch(epoch, start)
        return islice(batches, self.count - start)


def watched_batches(train: Batches, batches: BatchSource, clock: Clock) -> BatchSource:
    """`batches`, which are `train` or its raw ones, telling the clock of reading, gathering and changing samples."""
    watched: Any = copy.copy(train)
    watched.source = _StandIn(train.source, samples=timed(clock, parts_of.GATHERING, train.source.samples))
    if train.augment is not None:
        augmenting = timed(clock, parts_of.AUGMENTING, train.augment.apply)
        watched.augment = _StandIn(train.augment, apply=augmenting)
    if train.mixer is not None:
        watched.mixer = _StandIn(train.mixer, mix=timed(clock, parts_of.MIXING, train.mixer.mix))
    raw, inputs = watched.raw, watched.inputs

    def reading(epoch: int, start: int = 0) -> Iterator[Raw]:
        waiting = raw(epoch, start)
        while (found := timed(clock, parts_of.READING, partial(next, waiting, None))()) is not None:
            yield found

    watched.raw, watched.inputs = reading, timed(clock, parts_of.NORMALISING, inputs)
    if batches is train:
        return watched  # type: ignore[no-any-return]
    others: Any = copy.copy(batches)
    others.batches = watched
    return others  # type: ignore[no-any-return]


def watch_step(step: Step, clock: Clock, replaced: Replaced) -> Step:
    """A step that tells the clock of forward, backward and update; one that is captured is a whole.

    Its own objects are changed until `replaced` is put back.
    """
    if isinstance(step, EagerStep):
        forward, loss, update = step.forward, step.loss.training_function, step.update

        def forwarding(*args: Any) -> Any:
            clock.to(parts_of.FORWARD)
            return forward(*args)

        def losing(*args: Any) -> Any:
            value = loss(*args)
            clock.to(parts_of.BACKWARD)  # which comes next
            return value

        replaced.replace(step, "forward", forwarding)
        replaced.replace(step.loss, "training_function", losing)
        replaced.replace(step, "update", timed(clock, parts_of.OPTIMIZER, update))
        return cast(Step, _Watched(step, clock, parts_of.REST))
    return cast(Step, _Watched(step, clock, parts_of.STEP))


class Switched:
    """A step that is another one at times: `current`."""

    def __init__(self, plain: Step) -> None:
        self.plain = self.current = plain

    def __call__(self, batches: Sequence[Any], /) -> Tensor:
        return self.current(batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


class _Watched:
    """A step whose time is that of a part."""

    def __init__(self, step: Step, clock: Clock, part: str) -> None:
        self._step, self._clock, self._part = step, clock, part

    def __call__(self, batches: Sequence[Any], /) -> Tensor:
        self._clock.to(self._part)
        loss = self._step(batches)
        self._clock.to(parts_of.REST)
        return loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


class WatchedEvaluation:
    """Evaluations for the clock; of a long split only what `seconds` allow, which is then said."""

    def __init__(self, evaluator: Evaluator, clock: Clock, seconds: float) -> None:
        self.evaluator, self.clock, self.limit = evaluator, clock, seconds
        self.seen = self.total = 0  # samples of the last evaluation, and of its split

    def shown(self, batches: Iterable[Batch], total: int, split: str) -> Iterator[Batch]:
        """The batches of an evaluation, as `Evaluator.shown` takes them."""
        clock = self.clock
        begun, self.seen, self.total = clock.now(), 0, total
        waiting = iter(batches)
        while (batch := timed(clock, parts_of.EVALUATION_DATA, partial(next, waiting, None))()) is not None:
            yield batch
            self.seen += len(batch[1])
            if clock.now() - begun > self.limit:
                return

    def __call__(self, evaluate: Callable[[], Row]) -> Row:
        if self.clock.wait is not None and self.clock.running:
            self.clock.wait()  # the steps before it are no part of it
        before = self.clock.to(parts_of.EVALUATION_MODEL)
        row = evaluate()
        self.clock.to(before)
        return row


class WatchedHooks(Hook):
    """Hooks as one, which counts the time of each while the clock runs."""

    def __init__(self, hooks: Sequence[Hook], clock: Clock) -> None:
        self.hooks, self.clock = hooks, clock
        self.plain = Hooks(hooks)
        self._of_steps = [hook for hook in hooks if type(hook).on_step is not Hook.on_step]

    def on_start(self, state: State) -> None:
        self.plain.on_start(state)

    def on_step(self, state: State) -> None:
        if self.clock.running:
            self._told(self._of_steps, "on_step", state)
        else:
            self.plain.on_step(state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self._told(self.hooks, "on_evaluation", state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self._told(self.hooks, "on_epoch", state, row)

    def on_end(self, state: State) -> None:
        self.plain.on_end(state)

    def _told(self, hooks: Sequence[Hook], event: str, *args: Any) -> None:
        before = self.clock.part
        for hook in hooks:
            self.clock.to(f"{parts_of.HOOKS}/{named(hook)}")
            getattr(hook, event)(*args)
        self.clock.to(before)


def named(hook: Hook) -> str:
    """What a hook is called: the name of its class, or that of the user's own."""
    return str(getattr(hook, "key", type(hook).__name__))
