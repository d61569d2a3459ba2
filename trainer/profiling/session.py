"""A training that runs as `trainer train` has it, for some epochs: plain, watched by a clock, and plain again."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from trainer.config.tracking import Untracked
from trainer.config.train import Train
from trainer.engine.loop import Hook, fit, grouped
from trainer.engine.state import Row, State
from trainer.engine.steps.captured import CapturedStep
from trainer.profiling import clock as parts_of
from trainer.profiling.clock import Clock
from trainer.profiling.startup import Listening
from trainer.profiling.watching import (
    FirstBatches,
    Replaced,
    Switched,
    WatchedEvaluation,
    WatchedHooks,
    watch_step,
    watched_batches,
)
from trainer.run import starting
from trainer.run.training import Training
from trainer.system import atomic
from trainer.system.errors import DivergedError

WARM_STEPS, WARM_SECONDS = 10, 1.0  # steps before anything is measured; more of them while they take less
SAMPLE, LEAST = 20, 5  # of so many steps on a GPU one is waited for, and in an epoch at least so many are
ENOUGH, MOST = 1.0, 20  # seconds of short epochs that are watched, and how many at most


@dataclass
class Measured:
    """What the epochs of a training have shown; times are seconds."""

    parts: dict[str, float]  # of a watched epoch, by the names of `trainer.profiling.clock`; the mean, if of several
    seconds: float  # of a watched epoch, which is what they add up to
    watched: list[float]  # of each of them
    plain: list[float]  # of the plain epochs before, between and after them
    steps: int  # that each of these epochs had ...
    of_steps: int  # ... of so many that a whole one has
    evaluated: int  # samples of the split that was evaluated ...
    of_evaluated: int  # ... of so many
    moments: list[float]  # when each step of the last watched epoch was over, since its start
    first_step: float  # the seconds of the very first, in which libraries set themselves up
    checkpoint: float  # a checkpoint, written and on the disk
    start: list[tuple[str, float]] = field(default_factory=list)  # what was done before the first step

    def of(self, kind: str) -> float:
        """The seconds of a part with all that are parts of it."""
        return sum(seconds for part, seconds in self.parts.items() if parts_of.kind(part) == kind)

    def share(self, kind: str) -> float:
        """The same as a share of the epoch."""
        return self.of(kind) / self.seconds

    @property
    def training(self) -> float:
        """Seconds of the steps of the watched epoch."""
        return sum(map(self.of, parts_of.OF_A_STEP))

    @property
    def whole(self) -> float:
        """Seconds that a whole epoch takes: what was cut short counts as often as it is there."""
        steps = (self.training + self.of(parts_of.HOOKS)) * self.of_steps / self.steps
        return steps + self.evaluation

    @property
    def evaluation(self) -> float:
        """Seconds of a whole evaluation."""
        measured = self.of(parts_of.EVALUATION)
        return measured * self.of_evaluated / self.evaluated if self.evaluated else measured


def bare(config: Train) -> list[str]:
    """Take out of a config what would end a profile, or tell others of it; what is to be said of that."""
    for key, value in (("until", None), ("early_stopping.patience", None), ("max_minutes", None), ("devices", 1)):
        config.change(key, value)
    if config.tracking.name == "none":
        return []
    told = config.tracking.name
    config.choose("tracking", Untracked())
    return [f"tracking={told} is left out: a profile is no run that others should be told of"]


@contextmanager
def opened(config: Train, screen: Listening, beside: Path) -> Iterator[Training]:
    """A training as `trainer train` begins it, in a directory that is removed, on the same disk as `beside`."""
    with (
        atomic.storing(beside),
        TemporaryDirectory(prefix=".training-", dir=beside) as place,
        starting.opened(config, screen, Path(place)) as training,
    ):
        yield training


def waiting(device: torch.device) -> Callable[[], object] | None:
    """What waits until a device has done all; None of a CPU, which is never behind."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else None


class Session:
    """Runs a training that is opened, and measures it; `limit` are the seconds of the steps of an epoch."""

    def __init__(self, training: Training, limit: float) -> None:
        self.training, self.parts, self.limit = training, training.parts, limit
        self.wait = waiting(self.parts.compute.device)
        self.clock = Clock(wait=self.wait)

    def run(self) -> Measured:
        """Train: plain epochs and watched ones take turns, for the machine may become slower meanwhile.

        Raises:
            DivergedError: A loss is not finite.
        """
        parts, training = self.parts, self.training
        first, pace = self._warm()
        whole = len(parts.samples)
        longest = max(1, min(whole, parts.config.max_steps or whole))
        steps = max(1, min(longest, int(self.limit / pace)))
        often = max(1, min(MOST, int(min(ENOUGH, self.limit) / (steps * pace))))
        batches = FirstBatches(
            parts.batches,
            watched_batches(parts.train, parts.batches, self.clock),
            min(steps * parts.plan.accumulate, len(parts.batches.sizes)),
        )
        evaluation = WatchedEvaluation(parts.evaluator, self.clock, self.limit)
        epochs = _Epochs(self, batches, evaluation, 2 * often + 1)
        hooks = WatchedHooks(training.hooks, self.clock)
        plan = dataclasses.replace(parts.plan, epochs=2 * often + 1, max_steps=None, evaluate_epochs=1)
        shown = Replaced()
        shown.replace(parts.evaluator, "shown", evaluation.shown)
        try:
            fit(epochs.step, batches, plan, epochs.evaluate, [hooks, epochs], parts.state)
            begun = time.perf_counter()
            training.checkpoints.save(parts.state)
            training.checkpoints.wait()
            checkpoint = time.perf_counter() - begun
        except DivergedError as error:
            error.hint = "a profile needs a training that works: try a smaller optim.lr, clip_norm=1, or on_nan=skip"
            raise
        finally:
            epochs.replaced.put_back()
            shown.put_back()
        return Measured(
            parts={part: seconds / often for part, seconds in self.clock.parts().items()},
            seconds=sum(epochs.watched) / often,
            watched=epochs.watched,
            plain=epochs.plain,
            steps=steps,
            of_steps=whole,
            evaluated=evaluation.seen,
            of_evaluated=evaluation.total,
            moments=epochs.moments,
            first_step=first,
            checkpoint=checkpoint,
        )

    def without_graph(self) -> dict[str, float]:
        """The seconds of the parts of a step that is captured, as it is without that; nothing of other steps.

        The parts of a replayed graph cannot be told apart. All of these steps are waited for.
        """
        parts, clock, replaced = self.parts, Clock(wait=self.wait or (lambda: None)), Replaced()
        if not isinstance(parts.step, CapturedStep):
            return {}
        step = watch_step(parts.step.eager, clock, replaced)
        batches = watched_batches(parts.train, parts.train, clock)
        groups = grouped(batches.epoch(0), parts.plan.accumulate)
        for group in islice(groups, CapturedStep.WARM_UP):  # the optimizer's kernels are loaded, say
            step(group)
        clock.start()
        clock.sample(True)
        taken = 0
        for group in islice(groups, WARM_STEPS):
            step(group)
            taken += 1
        clock.stop()
        replaced.put_back()
        found = dict.fromkeys(map(parts_of.kind, clock.sampled), 0.0)
        for part, seconds in clock.sampled.items():
            found[parts_of.kind(part)] += seconds / max(1, taken)
        return found

    def _warm(self) -> tuple[float, float]:
        """Take some steps that nobody measures; the seconds of the very first, and of a later one."""
        parts, seconds = self.parts, list[float]()
        begun = time.perf_counter()
        groups = grouped(parts.batches.epoch(0), parts.plan.accumulate)
        for group in groups:
            before = time.perf_counter()
            parts.step(group)
            if self.wait is not None:
                self.wait()
            seconds.append(time.perf_counter() - before)
            if len(seconds) >= WARM_STEPS and time.perf_counter() - begun > min(WARM_SECONDS, self.limit):
                break
        whole = (time.perf_counter() - begun - seconds[0]) / max(1, len(seconds) - 1)  # with the reading of its batches
        return seconds[0], whole if len(seconds) > 1 else seconds[0]


class _Epochs(Hook):
    """Watches every second epoch of a training, and takes the time of all; it is the last of the hooks."""

    def __init__(self, session: Session, batches: FirstBatches, evaluation: WatchedEvaluation, epochs: int) -> None:
        self.epochs = epochs
        self.session, self.batches, self.evaluation = session, batches, evaluation
        self.step = Switched(session.parts.step)
        self.replaced = Replaced()
        self.plain: list[float] = []
        self.watched: list[float] = []
        self.moments: list[float] = []
        self.stride = max(1, min(SAMPLE, batches.count // session.parts.plan.accumulate // LEAST))

    def evaluate(self) -> Row:
        return self.evaluation(self.session.parts.evaluate)

    def on_start(self, state: State) -> None:
        self._begin(state)

    def on_step(self, state: State) -> None:
        clock = self.session.clock
        if clock.running:
            self.moments.append(clock.now() - self.begun)
            clock.sample(state.batch % self.stride == 0)

    def on_epoch(self, state: State, row: Row) -> None:
        clock, wait = self.session.clock, self.session.wait
        if clock.running:
            self.watched.append(clock.stop())
            self.replaced.put_back()
            self.step.current, self.batches.watching = self.step.plain, False
        else:
            if wait is not None:
                wait()
            self.plain.append(clock.now() - self.begun)
        self._begin(state)

    def _begin(self, state: State) -> None:
        clock, parts = self.session.clock, self.session.parts
        if len(self.plain) > len(self.watched) and state.epoch < self.epochs - 1:
            self.moments.clear()
            self.step.current, self.batches.watching = watch_step(parts.step, clock, self.replaced), True
            clock.start()
        self.begun = clock.now()
