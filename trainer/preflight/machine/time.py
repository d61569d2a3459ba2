"""How long an epoch and the whole training take, measured on some steps and a part of an evaluation."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import chain, count

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.run.parts import Parts
from trainer.run.summary import FILES, PICTURES
from trainer.show.values import duration
from trainer.system.shown import counted

ABOUT = "how long it takes"
WARMING = 3  # steps before the clock runs
AT_ONCE = 5  # steps after which a GPU is waited for
SECONDS = 3.0  # that steps are measured, and half of it warming up and evaluations
LONG = 12 * 3600.0


def look(subject: Subject) -> Iterator[Finding]:
    """Time steps with their batches, and the evaluation of a part of a split."""
    inductor = subject.first.compiled == "inductor"  # which takes up to a minute to compile a step
    parts = subject.parts(compile="off") if inductor else subject.parts()
    waiting = torch.cuda.synchronize if parts.compute.device.type == "cuda" else _nothing
    step = _seconds_of_a_step(parts, waiting)
    pace = _seconds_of_a_sample(parts, waiting)
    plan, data = parts.plan, parts.data
    steps = len(parts.samples)
    total = plan.total_steps(steps)
    evaluation = pace * len(data.split(parts.evaluated)) if parts.evaluated is not None else 0.0
    evaluations = _evaluations(parts, total, steps)
    epoch = step * steps + evaluation * evaluations / max(1.0, total / steps)
    test = pace * len(data.test) + FILES + PICTURES
    whole = step * total + evaluation * evaluations + test
    times = f"{counted(steps, 'step')} of {_short(step)}" + (f", evaluation {_short(evaluation)}" if evaluation else "")
    how = ", not compiled" if inductor else ""
    how += ", in one process" if subject.config.devices != 1 else ""
    yield Finding("time of an epoch", f"{duration(epoch)} ({times}{how})")
    early = subject.settled.early_stopping.patience is not None
    length = f"{'at most ' if early else ''}{duration(whole)} for {counted(plan.epochs, 'epoch')} and the test"
    if plan.max_steps is not None and total == plan.max_steps:
        length = f"{duration(whole)} for {counted(total, 'step')} and the test"
    minutes = subject.config.max_minutes
    if minutes is not None and 60 * minutes < min(epoch, step * total) + test:
        found = f"{length}; max_minutes={minutes:g} ends it before {'an epoch' if total > steps else 'that'}"
        wanted = math.ceil((epoch + test) / 6 * 1.2) / 10
        yield Finding("time in all", found, f"max_minutes={wanted:g} or more", wrong=True)
    elif minutes is None and whole > LONG:
        yield Finding("time in all", length, "trainer profile finds where it goes; max_minutes= ends it in time")
    else:
        yield Finding("time in all", length)


def _nothing() -> None:
    """A CPU has nothing to wait for."""


def _seconds_of_a_step(parts: Parts, waiting: Callable[[], object]) -> float:
    from trainer.engine.loop import grouped

    batches = chain.from_iterable(grouped(parts.batches.epoch(epoch), parts.plan.accumulate) for epoch in count())
    begun = time.perf_counter()
    for _ in range(WARMING):
        parts.step(next(batches))
        waiting()
        if time.perf_counter() - begun > SECONDS / 2:
            break
    begun, taken = time.perf_counter(), 0
    several = 2 * len(parts.samples)  # of two epochs, where these are short
    while (passed := time.perf_counter() - begun) < SECONDS and (taken < several or passed < SECONDS / 10):
        for _ in range(AT_ONCE if taken else 1):
            parts.step(next(batches))
            taken += 1
        waiting()
    return (time.perf_counter() - begun) / taken


def _seconds_of_a_sample(parts: Parts, waiting: Callable[[], object]) -> float:
    """Of an evaluation, with its reading: of the split that is evaluated during training, or of the test split."""
    batches = parts.evaluator.batches(parts.evaluated or "test")
    begun, done = time.perf_counter(), 0
    for number, (inputs, _) in enumerate(batches):
        parts.evaluator.raw(inputs)
        waiting()
        done += len(inputs)
        if time.perf_counter() - begun > SECONDS / 2:
            break
        if number == 0 and done < batches.total:
            begun, done = time.perf_counter(), 0  # the first has warmed up
    return (time.perf_counter() - begun) / done


def _evaluations(parts: Parts, total: int, steps: int) -> float:
    if parts.evaluated is None:
        return 0.0
    plan = parts.plan
    within = total / plan.evaluate_steps if plan.evaluate_steps is not None else 0.0
    return max(1.0, total / steps / plan.evaluate_epochs) + within


def _short(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{1000 * seconds:.3g} ms"
