"""A change is tried: some steps with it and some without, turn by turn, so that both see the same machine."""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Any

import torch

from trainer.config.train import Train
from trainer.data.batches import Batches
from trainer.data.loading import training_batches
from trainer.data.placing import ON_DEVICE, placed
from trainer.engine import device
from trainer.engine.loop import grouped
from trainer.profiling import together
from trainer.profiling.candidates import Candidate, Seen
from trainer.profiling.session import Measured, waiting
from trainer.profiling.startup import Listening
from trainer.run.parts import Parts, assemble
from trainer.system.errors import TrainerError, first_line

ROUNDS, SECONDS = 5, 0.6  # of each side, and the least that one takes
STEPS, TOGETHER = 3, 20  # the least in a round, and those after which a GPU is waited for
WARM = 5  # steps before the first: a captured step is recorded in its fourth
LOST = 0.9  # times as fast: a round that says so is the last
GAIN = 1.05  # times as fast is a gain, if no round says otherwise


@dataclass
class Tried:
    """A candidate, and what came of it."""

    candidate: Candidate
    ratios: list[float] = field(default_factory=list)  # of each round: its speed by the speed without it
    epoch: float = 0.0  # seconds of a whole epoch with it
    failed: str = ""  # why it does not work here

    @property
    def times(self) -> float:
        """How many times as many samples per second."""
        return median(self.ratios) if self.ratios else 0.0

    @property
    def gains(self) -> bool:
        """Whether it is faster without doubt."""
        return self.times >= GAIN and min(self.ratios) > 1.0


def attempt(seen: Seen, candidate: Candidate, limit: float = SECONDS) -> Tried:
    """Try one, in rounds of at most `limit` seconds unless three steps take longer."""
    if candidate.rarer is not None:
        return _rarer(seen, candidate, candidate.rarer)
    parts, other, measured = seen.parts, seen.parts, seen.measured
    try:
        if candidate.devices is not None:
            steps = max(STEPS, int(together.SECONDS / seen.step))
            speeds = together.speeds(typed(parts.config), candidate.devices, steps)
            return _tried(measured, candidate, speeds)
        if candidate.changes:
            other = _with(candidate, parts)
        threads = torch.get_num_threads()
        without = _Side(parts, threads, _endless(parts))
        groups = without.groups if other is parts else _endless(other)  # what reads batches gives each of them once
        sides = without, _Side(other, candidate.threads or threads, groups)
        return _tried(measured, candidate, _rounds(*sides, min(limit, SECONDS)))
    except (TrainerError, RuntimeError) as error:  # out of memory, say, or a precision that this device lacks
        return Tried(candidate, failed=first_line(error))
    finally:
        if other is not parts:
            other.close(at_once=True)
        _compute_as(parts, torch.get_num_threads())


def _tried(measured: Measured, candidate: Candidate, speeds: Iterable[tuple[float, float]]) -> Tried:
    """What came of it, by the speeds of each round without and with it."""
    ratios = list[float]()
    for without, with_it in speeds:
        ratios.append(with_it / without)
        if ratios[-1] < LOST:
            break
    training = measured.training * measured.of_steps / measured.steps
    epoch = measured.whole - training + training / median(ratios)
    return Tried(candidate, ratios, epoch)


def _rounds(without: "_Side", with_it: "_Side", seconds: float) -> Iterator[tuple[float, float]]:
    """The speeds of both sides, round by round; which comes first changes."""
    threads = torch.get_num_threads()
    try:
        for side in (without, with_it):
            side.warm()
        for number in range(ROUNDS):
            first, second = (without, with_it) if number % 2 == 0 else (with_it, without)
            speeds = {id(side): side.speed(seconds) for side in (first, second)}
            yield speeds[id(without)], speeds[id(with_it)]
    finally:
        torch.set_num_threads(threads)


class _Side:
    """A training whose steps are taken a few at a time."""

    def __init__(self, parts: Parts, threads: int, groups: Iterator[tuple[Any, int]]) -> None:
        self.parts, self.threads, self.groups = parts, threads, groups
        self.wait: Callable[[], object] = waiting(parts.compute.device) or (lambda: None)

    def warm(self) -> None:
        """Take steps that are not measured."""
        _compute_as(self.parts, self.threads)
        for _ in range(WARM):
            self.parts.step(next(self.groups)[0])
        self.wait()

    def speed(self, seconds: float) -> float:
        """Samples per second of a round."""
        _compute_as(self.parts, self.threads)
        begun, samples, steps = time.perf_counter(), 0, 0
        while steps < STEPS or time.perf_counter() - begun < seconds:
            group, size = next(self.groups)
            self.parts.step(group)
            samples, steps = samples + size, steps + 1
            if steps % TOGETHER == 0:
                self.wait()  # or a round on a GPU would begin thousands of steps
        self.wait()
        return samples / (time.perf_counter() - begun)


def _endless(parts: Parts) -> Iterator[tuple[Any, int]]:
    """The batches of each step, and how many samples they are, epoch after epoch."""
    for epoch in count():
        yield from zip(grouped(parts.batches.epoch(epoch), parts.plan.accumulate), parts.samples, strict=True)


def _compute_as(parts: Parts, threads: int) -> None:
    """Set torch's switches, which are of the whole process, as a training has them."""
    config = parts.config
    torch.set_num_threads(threads)
    device.choose(config.device, config.precision, config.deterministic)


def typed(config: Train) -> list[str]:
    """What was typed to train so, without the keys of the profile."""
    return [word for word in config.typed if not word.startswith("profile.")]


def _with(candidate: Candidate, parts: Parts) -> Parts:
    """The parts of a training with a change, beside those of the one without.

    Raises:
        UserError: It cannot be.
    """
    config: Train = copy.deepcopy(parts.config)
    config.own.pop("hook", None)  # of the user's own hooks there may be one only
    for key, value in candidate.changes.items():
        group, _, name = key.partition(".")
        if group == "data":
            config.enter_data({name: value})  # whoever has declared the section
        else:
            config.change(key, value)
    return assemble(config, Listening(), beside=dataclasses.replace(parts, train=_samples(config, parts)))


def _samples(config: Train, parts: Parts) -> Batches:
    """The training split as a config has it; where samples lie on the device, those that are there."""
    where = parts.compute
    placing = placed(config, parts.data, where.device)
    if placing == parts.evaluator.placing == ON_DEVICE:
        train = copy.copy(parts.train)
        train.batch_size = min(config.samples.batch_size or train.total, train.total)
        return train
    return training_batches(config, parts.data, where.device, where.dtype, placing)


def _rarer(seen: Seen, candidate: Candidate, every: int) -> Tried:
    """What fewer evaluations save: two more are timed, unless a whole one takes too long."""
    parts, measured = seen.parts, seen.measured
    seconds = [measured.evaluation]
    if measured.evaluated == measured.of_evaluated:
        seconds = [_evaluation(parts), _evaluation(parts)]
    steps = measured.whole - measured.evaluation
    epochs = [[steps + one / after for after in (parts.plan.evaluate_epochs, every)] for one in seconds]
    return Tried(candidate, [now / then for now, then in epochs], median(then for _, then in epochs))


def _evaluation(parts: Parts) -> float:
    """The seconds of an evaluation."""
    wait: Callable[[], object] = waiting(parts.compute.device) or (lambda: None)
    wait()
    begun = time.perf_counter()
    parts.evaluate()
    wait()
    return time.perf_counter() - begun
