"""What a run comes to in one line: each rule on both sides of its limits."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from trainer.engine.metrics import Evaluation
from trainer.run import judgement
from trainer.run.judgement import Ended, judged

GOOD = [1.0, 0.6, 0.5, 0.45, 0.44, 0.435, 0.433, 0.432, 0.4315, 0.431]  # a curve that has come to its end


def rows(train: Sequence[float], val: Sequence[float] | None = None, lr: Sequence[float] = ()) -> list[dict[str, Any]]:
    """The rows of a training with these losses."""
    found: list[dict[str, Any]] = []
    for number, loss in enumerate(train):
        row = {"epoch": number + 1, "step": number + 1, "lr": lr[number] if lr else 0.1, "train/loss": loss}
        found.append(row | ({"val/loss": val[number]} if val is not None else {}))
    return found


def ended(train: Sequence[float], val: Sequence[float], best: int | None = None, **more: Any) -> Ended:
    """A training with these losses, whose best epoch is that of the lowest validation loss if no other is given."""
    best = best if best is not None else list(val).index(min(val)) + 1
    return Ended(rows(train, val, more.pop("lr", ())), best, **more)


def evaluation(confusion: Sequence[Sequence[int]]) -> Evaluation:
    """The evaluation with this confusion matrix, of true classes by predicted ones."""
    cells = torch.tensor(confusion)
    counts, right, guessed = cells.sum(1), cells.diagonal(), cells.sum(0)
    accuracy = int(right.sum()) / int(cells.sum())
    return Evaluation({"accuracy": accuracy}, cells, counts.tolist(), right.tolist(), guessed.tolist())


RIGHT = evaluation([[90, 10], [10, 90]])


def test_a_good_run_is_not_judged() -> None:
    assert judged(ended(GOOD, [loss + 0.1 for loss in GOOD]), RIGHT, {}, ["a", "b"]) is None


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_of_an_epoch_or_two_is_not_judged(epochs: int) -> None:
    assert judged(ended([1.0, 0.5][:epochs], [1.0, 0.5][:epochs]), RIGHT, {}, ["a", "b"]) is None


def test_a_training_loss_that_grows_diverges() -> None:
    found = judgement.diverging(rows([1.0, 0.4, 0.9, 1.4, 2.0]))
    assert found is not None
    assert found.grave
    assert "0.4 in epoch 2" in found.text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_training_loss_that_is_no_number_has_diverged(value: float) -> None:
    found = judgement.diverging(rows([1.0, value]))
    assert found is not None
    assert found.title == "diverged"


@pytest.mark.parametrize(
    "losses",
    [
        GOOD,
        [1.0, 0.4, 0.5, 0.6, 0.7],  # less than twice the lowest
        [1.0, 1e-4, 2e-4, 3e-4, 4e-4],  # nothing beside what it began with
        [1.0, 0.4, 2.0, 0.45, 0.41],  # one bad epoch
        [1.0, 0.4, 2.0],  # too few
        [1.0, -3.0, -1.0, -1.0, -1.0],  # of a loss that may be below 0
        [],
    ],
)
def test_a_training_loss_that_falls_or_shivers_does_not_diverge(losses: list[float]) -> None:
    assert judgement.diverging(rows(losses)) is None


def test_a_negative_r2_is_below_the_mean() -> None:
    found = judgement.useless(Evaluation({"r2": -0.1}), {})
    assert found is not None
    assert found.grave
    assert "R² is -0.1" in found.text
    assert judgement.useless(Evaluation({"r2": 0.01}), {}) is None


@pytest.mark.parametrize(
    ("confusion", "low", "balanced", "title"),
    [
        ([[150, 0], [50, 0]], 0.69, 0.5, "at chance"),  # a constant answer
        ([[148, 2], [47, 3]], 0.70, 0.48, "at chance"),  # above, and within the interval
        ([[130, 20], [20, 30]], 0.75, 0.66, ""),  # above it
        ([[120, 30], [10, 40]], 0.74, 0.75, ""),  # above, but perhaps by chance: the balanced accuracy is not
        ([[110, 40], [10, 40]], 0.69, 0.72, "no better than one class"),
        ([[15, 0], [3, 2]], 0.70, 0.45, ""),  # too few to say
        ([[200, 0], [0, 0]], 1.0, 1.0, ""),  # one class: a constant answer is right
    ],
)
def test_chance_is_what_the_largest_class_would_reach(
    confusion: list[list[int]], low: float, balanced: float, title: str
) -> None:
    spans = {"test/accuracy": (low, 0.9), "test/balanced_accuracy": (balanced, 0.9)}
    found = judgement.useless(evaluation(confusion), spans)
    assert (found.title if found is not None else "") == title
    assert found is None or found.grave == (title == "at chance")


def test_a_class_that_is_never_predicted_is_named() -> None:
    found = judgement.never_predicted(evaluation([[90, 10, 0], [10, 90, 0], [15, 15, 0]]), ["a", "b", "a\x1b[2Jc"])
    assert found is not None
    assert found.title == "a class is never predicted"
    assert r"a\x1b[2Jc" in found.text
    assert "class_weight" in found.text
    common = judgement.never_predicted(evaluation([[90, 10, 0], [10, 90, 0], [50, 50, 0]]), ["a", "b", "c"])
    assert common is not None
    assert "class_weight" not in common.text


@pytest.mark.parametrize(
    "confusion",
    [
        [[90, 10, 0], [10, 90, 0], [3, 3, 1]],  # it is, once
        [[90, 10, 0], [10, 90, 0], [4, 4, 0]],  # of few samples
        [[90, 10, 0], [10, 90, 0], [0, 0, 0]],  # there is none
    ],
)
def test_a_rare_or_absent_class_need_not_be_predicted(confusion: list[list[int]]) -> None:
    assert judgement.never_predicted(evaluation(confusion), ["a", "b", "c"]) is None


def overfitted(epochs: int = 60, best: int = 4) -> tuple[list[float], list[float]]:
    """Losses of training and validation; the latter is lowest in the epoch `best`."""
    train = [1 / (number + 1) for number in range(epochs)]
    return train, [0.5 + abs(number + 1 - best) * 0.02 for number in range(epochs)]


def test_a_validation_loss_that_has_risen_since_an_early_epoch_is_over_fitting() -> None:
    found = judgement.overfitting(ended(*overfitted()))
    assert found is not None
    assert not found.grave
    assert "since epoch 4 of 60" in found.text


@pytest.mark.parametrize(
    "silent",
    [
        ended(*overfitted(best=40)),  # late
        ended(*overfitted(), stopped="no improvement for 5 evaluations (best 4)"),  # dealt with
        ended(*overfitted(), best=58),  # the objective is still improving
        ended(*overfitted(epochs=7, best=2)),  # too few
        ended([1.0] * 60, overfitted()[1]),  # the training loss does not fall
        ended(overfitted()[0], [0.5, 0.4, 0.35, 0.3] + [0.31, 0.32, 0.31, 0.33] * 14),  # level
        Ended(rows(*overfitted()), None),  # nothing has picked a best
        ended(GOOD, GOOD),
    ],
)
def test_a_validation_loss_that_is_level_or_late_is_no_over_fitting(silent: Ended) -> None:
    assert judgement.overfitting(silent) is None


def test_a_validation_loss_that_falls_to_the_end_is_still_improving() -> None:
    losses = [2.0, 1.1, 0.6]
    found = judgement.improving(ended(losses, losses))
    assert found is not None
    assert found.longer
    assert "epoch 3, the last, is the best" in found.text
    long = [1 / (number + 1) for number in range(60)]
    assert judgement.improving(ended(long, long)) is not None


@pytest.mark.parametrize(
    "silent",
    [
        ended(GOOD, GOOD),  # it has come to its end
        ended([2.0, 1.1], [2.0, 1.1]),  # too few
        ended([2.0, 0.6, 1.1], [2.0, 0.6, 1.1]),  # the last is not the best
        ended([2.0, 1.1, 0.6], [2.0, 1.1, 0.6], stopped="until=val/loss<0.7 is reached"),
        ended([2.0, 1.1, 0.6], [2.0, 1.1, 0.6], lr=[0.1, 0.05, 0.001]),  # the schedule is at its end
        ended([1.0] * 10, [1.0, 0.9, 1.1, 0.8, 1.2, 0.7, 1.3, 0.75, 0.9, 0.6]),  # by chance
        Ended(rows(GOOD), None),
    ],
)
def test_a_validation_loss_at_its_end_is_not_improving(silent: Ended) -> None:
    assert judgement.improving(silent) is None


def test_where_the_training_loss_was_still_falling_more_epochs_are_the_way_out() -> None:
    useless = Evaluation({"r2": -0.1})
    found = judged(Ended(rows([9.0, 8.0, 7.0, 6.0])), useless, {}, None)
    assert found is not None
    assert found.grave
    assert found.longer
    assert "still falling" in found.text
    level = judged(Ended(rows([9.0, 8.9, 9.0, 8.9])), useless, {}, None)
    assert level is not None
    assert not level.longer


def test_the_gravest_is_said() -> None:
    train, val = overfitted()
    constant = evaluation([[150, 0], [50, 0]])
    found = judged(ended(train, val), constant, {}, ["a", "b"])
    assert found is not None
    assert found.title == "at chance"
    assert found.style == "red"
