"""The learning rate after each step of a training that is over: its schedule once more, without a model."""

import math
from collections.abc import Mapping, Sequence

import torch

from trainer.engine.schedule import Schedule
from trainer.engine.state import State

STEPS = (
    2000  # steps that are gone through; a schedule over the whole length of a longer training is laid out over fewer
)
TOLERANCE = 0.02  # of the greatest rate: how far that may be from the rates that the rows of the training have


def rates(made: Schedule, rows: Sequence[Mapping[str, float]], steps: int) -> list[tuple[int, float]]:
    """(step, rate) of a training of so many `steps` in an epoch, with these `rows` and the schedule that was `made`.

    Empty where the rate changes with the epochs alone, so that the rows say all, and where it cannot be told.
    """
    if not rows or not made.per_step:
        return []
    taken = int(rows[-1]["step"])
    times = math.ceil(max(taken, made.total) / STEPS)  # how many steps one stands for
    if times > 1 and not (made.config.whole and made.config.warmup_steps == 0):
        return []
    schedule = _again(made, max(2, made.total // times))
    by_step = {int(row["step"]): row for row in rows}
    state, found, off = State(), [(0, _rate(schedule))], 0.0
    for number in range(1, taken // times + 1):
        state.step = number
        schedule.on_step(state)
        row = by_step.get(number * times)
        if row is not None:
            off = max(off, abs(_rate(schedule) - row["lr"]))
            if times == 1 and number % steps == 0:
                schedule.on_epoch(state, dict(row))
        found.append((number * times, _rate(schedule)))
    # A schedule may have been laid out anew in between, or be a user's own.
    return found if off <= TOLERANCE * max(rate for _, rate in found) else []


def _again(made: Schedule, total: int) -> Schedule:
    """The same schedule as at the beginning, of an optimizer that has no other parameter."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=made.first_rate)
    schedule = Schedule(made.config, optimizer, total, made.watched, made.direction)
    optimizer.step()  # without gradients it does nothing, but torch warns of schedules that are stepped without it
    return schedule


def _rate(schedule: Schedule) -> float:
    return float(schedule.optimizer.param_groups[0]["lr"])
