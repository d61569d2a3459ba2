"""When a value counts as an improvement, and how long to wait for one."""

from typing import Literal

import pytest

from trainer.engine.objective import Objective
from trainer.engine.state import State
from trainer.run.hooks.early_stopping import EarlyStopping

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("direction", "min_delta", "values", "improved"),
    [
        ("max", 0.0, [0.5, 0.6, 0.6, 0.55, 0.7], [True, True, False, False, True]),
        ("min", 0.0, [0.5, 0.6, 0.4, 0.4, 0.3], [True, False, True, False, True]),
        ("max", 0.1, [0.5, 0.55, 0.61, 0.7, 0.9], [True, False, True, False, True]),
        ("min", 0.5, [3.0, 2.6, 2.4, 2.0, 1.0], [True, False, True, False, True]),
        ("min", 0.0, [NAN, 1.0, NAN, 0.5], [False, True, False, True]),
        ("min", 0.0, [INF, INF, 1.0], [True, False, True]),
    ],
)
def test_an_improvement_is_better_than_the_best_by_more_than_min_delta(
    direction: Literal["min", "max"], min_delta: float, values: list[float], improved: list[bool]
) -> None:
    objective = Objective("val/x", direction, min_delta)
    assert [objective.improved({"val/x": value}) for value in values] == improved


def test_a_row_without_the_metric_is_no_improvement() -> None:
    objective = Objective("val/x", "min")
    assert not objective.improved({"train/loss": 1.0})
    assert objective.best is None


TIES = [(0.8, 0.5), (0.9, 0.4), (0.9, 0.3), (0.9, NAN), (0.9, 0.35), (0.9, 0.2), (0.85, 0.1)]


def test_of_equal_values_the_one_with_the_lower_loss_is_better() -> None:
    objective = Objective("val/accuracy", "max")
    rows = [
        {"val/accuracy": value, "val/loss": loss, "train/loss": -number} for number, (value, loss) in enumerate(TIES)
    ]
    assert [objective.improved(row) for row in rows] == [True, True, True, False, False, True, False]
    assert (objective.best, objective.loss) == (0.9, 0.2)
    without, wide = Objective("val/accuracy", "max"), Objective("val/accuracy", "max", min_delta=0.01)
    assert [without.improved({"val/accuracy": value}) for value, _ in TIES].count(True) == 2
    assert [wide.improved(row) for row in rows].count(True) == 2  # whoever asks for a gain is not content with a tie


def stopped_after(patience: int, values: list[float | None]) -> int | None:
    """The epoch after which training stops; None stands for an epoch without evaluation."""
    hook, state = EarlyStopping(Objective("val/loss", "min"), patience), State()
    for state.epoch, value in enumerate(values, start=1):
        hook.on_epoch(state, {} if value is None else {"val/loss": value})
        if state.stop:
            return state.epoch
    return None


@pytest.mark.parametrize(
    ("patience", "values", "epoch"),
    [
        (1, [3.0, 2.0, 2.0, 1.0], 3),
        (2, [3.0, 2.0, 2.0, 2.0, 1.0], 4),
        (2, [3.0, 4.0, 2.0, 3.0, 1.0], None),
        (2, [3.0, None, None, 4.0, None, 5.0], 6),
        (2, [3.0, NAN, NAN], 3),
        (1, [NAN, 3.0], 1),
    ],
)
def test_training_stops_after_so_many_evaluations_without_improvement(
    patience: int, values: list[float | None], epoch: int | None
) -> None:
    assert stopped_after(patience, values) == epoch


def test_the_reason_names_the_metric_and_its_best() -> None:
    hook, state = EarlyStopping(Objective("val/loss", "min"), 1), State()
    hook.on_epoch(state, {"val/loss": 0.25})
    hook.on_epoch(state, {"val/loss": 0.5})
    assert state.stop == "no improvement for 1 evaluations (best val/loss 0.25)"


def test_a_reason_that_is_there_already_stays() -> None:
    hook, state = EarlyStopping(Objective("val/loss", "min"), 1), State(stop="SIGTERM")
    hook.on_epoch(state, {"val/loss": NAN})
    assert state.stop == "SIGTERM"


# --- going on -----------------------------------------------------------------------------------------

VALUES = [3.0, 2.0, None, 2.5, NAN, 1.9, 1.95, 2.0, None, 1.9, 1.0]


@pytest.mark.parametrize("split", range(len(VALUES) + 1))
@pytest.mark.parametrize("patience", [1, 2, 3, 4])
def test_interrupted_anywhere_it_stops_where_it_would_have_stopped(patience: int, split: int) -> None:
    def make() -> EarlyStopping:
        return EarlyStopping(Objective("val/loss", "min", 0.06), patience)

    hook, state = make(), State()
    for number, value in enumerate(VALUES):
        if number == split:
            kept = hook.state_dict()
            hook = make()
            hook.load_state_dict(kept)
            hook.on_start(state)
        if not state.stop:
            hook.on_epoch(state, {} if value is None else {"val/loss": value})
            state.epoch += 1
    uninterrupted, expected = make(), State()
    for value in VALUES:
        if not expected.stop:
            uninterrupted.on_epoch(expected, {} if value is None else {"val/loss": value})
            expected.epoch += 1
    assert (state.epoch, state.stop) == (expected.epoch, expected.stop)
    assert hook.state_dict() == uninterrupted.state_dict()


def test_one_that_had_stopped_does_not_begin_again() -> None:
    hook, state = EarlyStopping(Objective("val/loss", "min"), 2), State()
    hook.load_state_dict({"waited": 2, "best": 0.25, "loss": 0.25})
    hook.on_start(state)
    assert state.stop == "no improvement for 2 evaluations (best val/loss 0.25)"


def test_with_more_patience_it_goes_on() -> None:
    hook, state = EarlyStopping(Objective("val/loss", "min"), 3), State()
    hook.load_state_dict({"waited": 2, "best": 0.25, "loss": 0.25})
    hook.on_start(state)
    assert state.stop == ""
    hook.on_epoch(state, {"val/loss": 0.3})
    assert state.stop == "no improvement for 3 evaluations (best val/loss 0.25)"


def test_a_new_one_starts_without_stopping() -> None:
    hook, state = EarlyStopping(Objective("val/loss", "min"), 1), State()
    hook.on_start(state)
    assert state.stop == ""
    assert hook.state_dict() == {"waited": 0, "best": None, "loss": None}
