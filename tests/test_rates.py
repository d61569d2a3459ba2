"""The learning rate after each step of a training that is over is the one that it had."""

from typing import Any

import pytest
import torch
from torch.optim import SGD

from trainer.config.scheduler import Constant, Cosine, OneCycle, Plateau, StepDecay
from trainer.engine import rates
from trainer.engine.schedule import Schedule
from trainer.engine.state import State

STEPS = 10  # in an epoch


def trained(config: Any, epochs: int, steps: int = STEPS) -> tuple[Schedule, list[dict[str, float]], list[float]]:
    """A schedule after a training, the rows of its epochs, and the rate after each step."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
    made = Schedule(config, optimizer, epochs * steps, "val/loss", "min")
    optimizer.step()
    state, rows, had = State(), [], [optimizer.param_groups[0]["lr"]]
    for epoch in range(1, epochs + 1):
        for _ in range(steps):
            state.step += 1
            made.on_step(state)
            had.append(optimizer.param_groups[0]["lr"])
        row = {"epoch": epoch, "step": state.step, "lr": had[-1], "val/loss": 1.0, "seconds": 1.0}
        made.on_epoch(state, row)
        had[-1] = optimizer.param_groups[0]["lr"]
        rows.append(row)
    return made, rows, had


@pytest.mark.parametrize(
    "config",
    [Cosine(), Cosine(min_lr=0.1, warmup_steps=7), OneCycle(), StepDecay(step_size=2, warmup_steps=15)],
    ids=lambda config: config.name,
)
def test_they_are_those_that_the_training_had(config: Any) -> None:
    made, rows, had = trained(config, 5)
    found = rates.rates(made, rows, STEPS)
    assert [step for step, _ in found] == list(range(51))
    assert [rate for _, rate in found] == pytest.approx(had)


def test_a_plateau_with_a_warmup_falls_where_it_fell() -> None:
    made, rows, had = trained(Plateau(patience=1, warmup_steps=3), 5)
    assert had[-1] < 0.1
    assert [rate for _, rate in rates.rates(made, rows, STEPS)] == pytest.approx(had)


@pytest.mark.parametrize("config", [Constant(), StepDecay(step_size=1)], ids=lambda config: config.name)
def test_where_the_rate_changes_with_the_epochs_alone_the_rows_say_all(config: Any) -> None:
    made, rows, _ = trained(config, 3)
    assert rates.rates(made, rows, STEPS) == []


@pytest.mark.parametrize("config", [Cosine(), OneCycle()], ids=lambda config: config.name)
def test_a_long_training_has_fewer_points_on_the_same_curve(config: Any) -> None:
    made, rows, had = trained(config, 3, 4321)
    found = rates.rates(made, rows, 4321)
    assert 1000 < len(found) <= rates.STEPS + 1
    assert max(abs(rate - had[step]) for step, rate in found) < 0.01 * 0.5


def test_a_training_that_was_cut_short_has_its_own_part_of_the_curve() -> None:
    made, rows, had = trained(Cosine(), 5)
    assert [rate for _, rate in rates.rates(made, rows[:3], STEPS)] == pytest.approx(had[:31])


def test_rates_that_the_rows_contradict_are_not_drawn() -> None:
    made, rows, _ = trained(Cosine(), 5)
    rows[1]["lr"] = 0.1
    assert rates.rates(made, rows, STEPS) == []
    assert rates.rates(made, [], STEPS) == []
