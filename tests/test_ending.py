"""When a training ends before its last epoch: by a target, and by the clock."""

import pytest
import torch
from conftest import Trainer
from running import QUICK, result, rows, same, train, weights

from trainer.config.scheduler import Constant, Cosine, OneCycle, Scheduler
from trainer.engine.condition import Condition
from trainer.engine.optimizers import lean
from trainer.engine.schedule import Schedule
from trainer.engine.state import State
from trainer.run.hooks.target import Target
from trainer.run.hooks.time_limit import TimeLimit
from trainer.system.errors import ConfigError

# --- until -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "row", "holds"),
    [
        ("val/accuracy>0.9", {"val/accuracy": 0.91}, True),
        ("val/accuracy>0.9", {"val/accuracy": 0.9}, False),
        ("val/accuracy >= 90%", {"val/accuracy": 0.9}, True),
        ("val/loss<1e-2", {"val/loss": 0.009}, True),
        ("val/loss<=0.5", {"val/loss": 0.6}, False),
        ("val/loss<0.5", {"train/loss": 0.1}, False),
        ("val/loss<0.5", {"val/loss": float("nan")}, False),
    ],
)
def test_a_condition_holds_where_the_metric_is_so(text: str, row: dict[str, float], holds: bool) -> None:
    assert Condition.of(text).holds(row) is holds


@pytest.mark.parametrize(
    "text", ["val/accuracy", "accuracy>0.9", "val/accuracy=0.9", "val/loss<x", "val/loss<1.2.3", ""]
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a condition on a metric"):
        Condition.of(text)


def test_a_training_ends_with_the_epoch_that_reaches_its_target(trainer: Trainer) -> None:
    typed = (*QUICK, "epochs=30", "optim.lr=0.01", "data.val_fraction=0.5")
    whole = rows(train(trainer, *typed))
    reached = next(row["epoch"] for row in whole if row["train/loss"] < 0.5)
    run = train(trainer, *typed, "until=train/loss<0.5")
    assert len(rows(run)) == reached < 30
    assert result(run)["stopped"].startswith("until=train/loss<0.5 is reached (0.")
    again = trainer("resume", str(run))
    assert "is finished" in again.out
    assert "until=null" in again.out
    assert trainer("resume", str(run), "until=null", "epochs=30").code == 0
    assert len(rows(run)) == 30


def test_a_target_may_be_a_figure_of_rare_classes(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=30", "optim.lr=0.01", "data.val_fraction=0.5", "until=val/f1>0.5")
    values = [row["val/f1"] for row in rows(run)]
    assert all(value <= 0.5 for value in values[:-1])
    assert values[-1] > 0.5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("until=val/accurcy>0.9", "did you mean 'val/accuracy'?"),
        ("until=val/r2>0.9", "this run has no such metric"),
        ("until=often", "not a condition on a metric"),
        ("until=val/accuracy>0.9 data.val_fraction=0", "there is no validation set"),
        ("until=test/accuracy>0.9 evaluate.split=test", "would choose by the test split"),
    ],
)
def test_a_target_that_cannot_be_is_refused(trainer: Trainer, words: str, says: str) -> None:
    ran = trainer("train", *QUICK, *words.split())
    assert ran.code == 2
    assert says in ran.err


def test_a_target_that_was_reached_does_not_begin_again() -> None:
    state, hook = State(epoch=1), Target(Condition.of("val/loss<0.5"))
    hook.on_epoch(state, {"val/loss": 0.7})
    assert not state.stop
    hook.on_epoch(state, {"val/loss": 0.4})
    assert state.stop == "until=val/loss<0.5 is reached (0.4)"
    other, later = State(epoch=1), Target(Condition.of("val/loss<0.5"))
    later.check_state(hook.state_dict(), other)
    later.load_state_dict(hook.state_dict())
    later.on_start(other)
    assert other.stop
    for wrong in ({}, {"latest": "0.4"}, {"latest": float("nan")}, [0.4]):
        with pytest.raises(ValueError, match="its target"):
            later.check_state(wrong, other)


# --- max_minutes ------------------------------------------------------------------------------------------


def schedule(config: Scheduler, steps: int = 1000) -> Schedule:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5, momentum=0.9)
    lean(optimizer)  # a training's optimizer has been told that schedules need not look for its steps
    return Schedule(config, optimizer, steps, "val/loss", "min")


def timed(config: Scheduler, pace: float, closing: float = 10.0) -> tuple[State, Schedule, list[float], list[str]]:
    """A training of one minute at most, whose steps take `pace` seconds; its learning rates, and what it said."""
    state, made, rates, said = State(), schedule(config), list[float](), list[str]()
    limit = TimeLimit(1.0, lambda: state.step * pace, lambda step: closing, made, said.append)
    limit.on_start(state)
    while not state.stop and state.step < 1000:
        rates.append(made.optimizer.param_groups[0]["lr"])
        state.step += 1
        limit.on_step(state)
        made.on_step(state)
    return state, made, rates, said


@pytest.mark.parametrize("pace", [0.05, 0.2, 1.0])
def test_a_training_ends_in_time_for_what_comes_after_it(pace: float) -> None:
    state, _, rates, said = timed(Constant(), pace)
    assert state.step == len(rates)
    assert 50 - pace < state.step * pace + pace <= 50 + pace
    assert (state.cut, state.stop, said) == (True, "max_minutes=1 are over", [])


def test_a_training_that_is_short_enough_is_not_touched() -> None:
    state, made, rates, said = timed(Cosine(), 0.001)
    assert (state.step, state.stop, said) == (1000, "", [])
    expected = [group["lr"] for group in schedule(Cosine()).optimizer.param_groups]
    assert rates[0] == expected[0]
    assert made.laid_out is None


@pytest.mark.parametrize("config", [Cosine(), OneCycle(), Cosine(warmup_steps=5)], ids=repr)
def test_a_schedule_is_laid_out_over_the_steps_that_fit_and_is_then_torchs(config: Scheduler) -> None:
    state, made, rates, said = timed(config, 0.1)
    assert made.laid_out == state.step
    assert 450 < state.step < 500
    (line,) = said
    assert f"about {state.step:,} steps fit" in line
    plain = schedule(config, state.step)
    expected = []
    for step in range(1, state.step + 1):
        expected.append(plain.optimizer.param_groups[0]["lr"])
        plain.on_step(State(step=step))
    known = next(i for i in range(len(rates)) if i * 0.1 >= 3)  # a twentieth of the minute
    assert rates[known + 1 :] == pytest.approx(expected[known + 1 :])


@pytest.mark.parametrize("config", [Cosine(), OneCycle(), Cosine(warmup_steps=5)], ids=repr)
def test_a_schedule_that_was_laid_out_anew_is_resumed_as_it_was(config: Scheduler) -> None:
    first = schedule(config)
    first.lay_out(100, 0)
    for step in range(1, 40):
        first.on_step(State(step=step))
    second = schedule(config)
    second.check_state(first.state_dict(), State(step=39))
    second.load_state_dict(first.state_dict())
    for group, own in zip(second.optimizer.param_groups, first.optimizer.param_groups, strict=True):
        group.update({k: v for k, v in own.items() if k != "params"})
    for step in range(40, 101):
        for made in (first, second):
            made.on_step(State(step=step))
        assert second.optimizer.param_groups[0]["lr"] == first.optimizer.param_groups[0]["lr"]
    for wrong in (0, 1001, -5, "100", 1e9):
        with pytest.raises(ValueError, match="schedule"):
            schedule(config).check_state({**first.state_dict(), "laid_out": wrong}, State(step=39))


def test_the_clock_of_a_resumed_training_goes_on(trainer: Trainer) -> None:
    """One that is over when it is resumed takes no further step; with more time it ends as if nothing had been."""
    typed = (*QUICK, "epochs=4", "data.batch_size=16")
    whole = train(trainer, *typed)
    run = train(trainer, *typed, "max_minutes=0.0001")
    assert result(run)["stopped"] == "max_minutes=0.0001 are over"
    assert (result(run)["steps"], result(run)["status"]) == (1, "completed")
    (row,) = rows(run)  # the epoch is reported where it was cut
    assert row["step"] == 1
    assert "val/loss" in row
    assert "test/accuracy" in result(run)["metrics"]
    again = trainer("resume", str(run))
    assert "is finished" in again.out
    assert "max_minutes=null" in again.out
    assert trainer("resume", str(run), "max_minutes=0.0002").code == 0
    assert result(run)["steps"] == 1
    assert trainer("resume", str(run), "max_minutes=60").code == 0
    assert same(weights(run), weights(whole))


def test_a_schedule_of_the_whole_length_takes_no_limit_later(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "scheduler=cosine", "epochs=3", "max_steps=3")
    ran = trainer("resume", str(run), "max_minutes=5")
    assert ran.code == 2
    assert "was laid out for the length" in ran.err
