"""`trainer check` of models and rates: each fault that is planted is found, and none where nothing is wrong."""

import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import torch
from composing import composed
from conftest import Ran, Trainer
from processes import Machine
from running import SILENT, result, same, train
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_squared_error
from test_check import reported

from trainer.preflight import rate_curve
from trainer.preflight.model import gradients, overfit
from trainer.preflight.ranks import agreement
from trainer.preflight.rate import range_test
from trainer.preflight.rate.range_test import judged
from trainer.preflight.rate_curve import Tried
from trainer.preflight.subject import Subject
from trainer.show.report import Report

DIGITS = ("data=digits", "data.limit=400", "data.batch_size=32", "data.val_fraction=0")
# Each fault, the look that finds it, and what it says.
FAULTS = {
    "Frozen": ("gradients", "middle.weight, middle.bias is random and not trained"),
    "Unused": ("gradients", "no gradient reaches middle.weight, middle.bias: forward does not use it"),
    "Detached": ("gradients", "no gradient reaches first.weight, first.bias, though forward uses it"),
    "InAList": ("gradients", "self.more is a plain list"),
    "Zero": ("symmetry", "all units of first.weight, middle.weight, last.weight are the same"),
    "Constant": ("symmetry", "all units of first.weight, middle.weight"),
    "Dead": ("activations", "of the units of the ReLU after middle are off"),
    "Saturated": ("activations", "of the values of the tanh after first are saturated"),
    "Sure": ("first_loss", "it is sure of what it cannot know"),
    "Softmax": ("ending", "softmax, and cross-entropy takes logits"),
    "Sigmoid": ("ending", "sigmoid, and cross-entropy takes logits"),
    "Nan": ("outputs", "of 32 samples are not finite"),
    "Flat": ("outputs", "of 32 samples have the shape (1, 320), not (32, 10)"),
    "Unstable": ("arithmetic", "the gradient in float32 differs from that in float64"),
    "Mixing": ("inputs", "in evaluation the outputs of a sample depend on the others in its batch"),
    "Blind": ("inputs", "the outputs are the same for all samples"),
    "Disagreeing": ("modes", "the outputs in training are others than in evaluation"),
    "AlwaysDropping": ("modes", "in evaluation the outputs are drawn at random"),
    "Unsettled": ("modes", "the loss is"),
    "Unseeded": ("repeated", "two models of seed=0 begin with other weights, in first.weight"),
}
QUICK = ("Unused", "Softmax", "Blind")


def checked(trainer: Trainer, model: str, *args: str) -> Ran:
    """`trainer check` of a planted model on digits."""
    folder = Path("configs/model")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "planted.yaml").write_text(f"_target_: planted_models.{model}\n")
    return trainer("check", "model=planted", *DIGITS, *args)


@pytest.mark.parametrize(
    "model", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS]
)
def test_a_planted_fault_of_a_model_is_found_by_its_look(trainer: Trainer, model: str) -> None:
    look, says = FAULTS[model]
    ran = checked(trainer, model, f"check.only={look}")
    assert ran.code == 1, ran.out
    assert "WRONG" in ran.out
    assert says in ran.out, ran.out


@pytest.mark.slow
@pytest.mark.parametrize("model", ["Sound", "Normalised", "ZeroLast"])
def test_a_sound_model_has_no_finding(trainer: Trainer, model: str) -> None:
    ran = checked(trainer, model, "check.only=[model,rate]", "optim=adam", "optim.lr=1e-3")
    assert (ran.code, reported(ran)) == (0, []), ran.out


@pytest.mark.slow
def test_a_model_that_cannot_learn_does_not_learn_a_few_samples(trainer: Trainer) -> None:
    ran = checked(trainer, "Dead", "check.only=overfit", "optim=adam", "optim.lr=1e-3")
    assert "neither a smaller nor a larger optim.lr learns them" in ran.out, ran.out


def test_a_wrong_number_of_outputs_is_refused_as_in_a_training(trainer: Trainer) -> None:
    ran = checked(trainer, "Outputs")
    assert ran.code == 2
    assert "model=planted has outputs of shape (9,); the data need (10,)" in ran.err


def test_where_the_model_fails_on_a_batch_one_look_says_why(trainer: Trainer) -> None:
    ran = checked(trainer, "Flat", "check.only=[outputs,gradients,symmetry]")
    assert ran.code == 1
    assert ran.out.count("WRONG") == 1
    assert ran.out.count("could not be looked at") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [["experiment=line"], ["experiment=quadratic"], ["experiment=linear_regression"], ["data=diabetes", "model=mlp"]],
    ids=lambda words: words[0],
)
def test_the_recipes_have_no_finding(trainer: Trainer, words: list[str]) -> None:
    ran = trainer("check", *words, "check.only=[model,rate]")
    assert (ran.code, reported(ran)) == (0, []), ran.out


# --- the learning rate --------------------------------------------------------------------------------


def curve(loss_at: Callable[[float], float], steps: int = 100) -> rate_curve.Curve:
    return rate_curve.range_test(loss_at, rate_curve.growing(steps))


def test_rates_grow_by_the_same_factor() -> None:
    rates = rate_curve.growing(8)
    assert rates == pytest.approx([10.0**exponent for exponent in range(-6, 2)])


def test_a_range_test_ends_where_the_loss_turns() -> None:
    found = curve(lambda rate: 2.0 - min(1.0, 10 * rate) + max(0.0, 20 * (rate - 0.3)))
    assert found.turned
    assert 0.1 < found.turning < 0.5
    assert found.rates[-1] < 1.0


def test_a_range_test_ends_where_the_loss_is_not_finite() -> None:
    found = curve(lambda rate: 1.0 if rate < 0.01 else math.inf)
    assert found.turned
    assert len(found.losses) == len(found.rates) == len(found.smooth) + 1


def test_noise_is_no_turn() -> None:
    drawing = random.Random(0)
    found = curve(lambda rate: 2.0 + drawing.gauss(0, 0.3))
    assert not found.turned
    assert len(found.rates) == 100


def test_the_running_mean_of_a_range_test_is_that_of_pandas() -> None:
    values = [2.0 + math.sin(number) for number in range(30)]
    losses = iter(values)
    found = rate_curve.range_test(lambda rate: next(losses), rate_curve.growing(30))
    expected = pandas.Series(values).ewm(alpha=1 - rate_curve.SMOOTHING).mean().tolist()
    assert found.smooth == pytest.approx(expected[: len(found.smooth)])


def test_the_suggestion_is_the_middle_of_the_best_rates() -> None:
    found = Tried(2.0, {1.0: math.inf, 0.3: 0.52, 0.1: 0.5, 0.03: 0.51, 0.01: 0.7, 0.001: 1.9})
    assert found.suggestion == pytest.approx(0.095)
    assert replace(found, stays=True).suggestion == pytest.approx(0.047)
    assert found.band == (0.01, 0.3)
    assert found.progress(1.0) == -math.inf
    assert found.progress(0.001) == pytest.approx(0.1 / 1.5)


@pytest.mark.parametrize(
    ("rate", "total", "wrong"),
    [(0.1, 1000, False), (1.0, 1000, True), (1e-5, 1000, True), (1e-4, 1_000_000, False), (0.01, 1000, False)],
)
def test_a_rate_is_wrong_where_nothing_is_learnt_with_it(rate: float, total: int, wrong: bool) -> None:
    """The last but one learns nothing in 100 steps, and in its million as much as any."""
    found = Tried(2.0, {1.0: math.inf, 0.1: 0.5, 0.01: 1.0, 1e-4: 1.99, 1e-5: 2.0})
    finding = judged(rate, found, total, 100)
    assert finding.wrong is wrong
    assert finding.advice == ("optim.lr=0.1" if wrong else "")


RATES = {  # for each optimizer one that is too high, one that is too low, and one that is right
    "sgd": (100.0, 1e-7, 0.1),
    "adam": (3.0, 1e-8, 1e-3),
    "adamw": (3.0, 1e-8, 1e-3),
    "rmsprop": (3.0, 1e-8, 1e-3),
    "adagrad": (30.0, 1e-7, 0.02),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RATES)
def test_a_planted_rate_is_found_with_every_optimizer(trainer: Trainer, name: str) -> None:
    high, low, right = RATES[name]
    words = ("model=mlp", *DIGITS, f"optim={name}", "check.only=rate")
    for rate, says in ((high, "too high"), (low, "too low"), (right, "")):
        ran = trainer("check", *words, f"optim.lr={rate}")
        assert ran.code == bool(says), ran.out
        assert says in ran.out, ran.out


@pytest.mark.slow
def test_the_suggested_rate_trains_as_well_as_that_of_the_config(trainer: Trainer) -> None:
    words = ("model=mlp", *DIGITS, "optim=sgd")
    ran = trainer("check", *words, "check.only=rate", "optim.lr=1e-7")
    suggested = re.search(r"-> optim\.lr=([\d.e-]+)", ran.out)
    assert suggested is not None, ran.out
    accuracies = [
        result(train(trainer, *words, *SILENT, "epochs=20", f"optim.lr={rate}"))["metrics"]["test/accuracy"]
        for rate in (0.1, float(suggested[1]))
    ]
    assert accuracies[1] > accuracies[0] - 0.02


@pytest.mark.slow
def test_a_schedule_with_a_warm_up_gets_one_in_the_test_too(trainer: Trainer) -> None:
    ran = trainer("check", "model=mlp", *DIGITS, "optim=sgd", "optim.lr=0.2", "scheduler=onecycle", "check.only=rate")
    assert (ran.code, reported(ran)) == (0, []), ran.out


@pytest.mark.slow
def test_the_picture_goes_where_it_is_asked_for(trainer: Trainer) -> None:
    words = ("check", "model=linear", *DIGITS, "optim=sgd", "optim.lr=0.1", "check.only=rate")
    assert trainer(*words, "check.out=rates.png").code == 0
    assert Path("rates.png").read_bytes().startswith(b"\x89PNG")
    ran = trainer(*words, "check.out=rates.xyz")
    assert ran.code == 1
    assert "check.out=rates.xyz" in ran.out


# --- several processes --------------------------------------------------------------------------------


def test_a_difference_between_ranks_goes_before_one_from_a_single_process() -> None:
    fine = {"apart": {"w": 0.0}, "alone": {"w": 1e-12}}
    assert not agreement.judged(2, fine).wrong
    finding = agreement.judged(2, fine | {"alone": {"w": 1e-12, "v": 0.25, "u": 0.5}})
    assert finding.wrong
    assert finding.found.endswith("not with one process: u, v by up to 0.5 of the largest value")
    finding = agreement.judged(3, {"apart": {"w": 0.1}, "alone": {"w": 0.2}})
    assert "the 3 ranks have other weights than each other: w by up to 0.1" in finding.found
    assert agreement.judged(2, {"apart": {"w": math.nan}, "alone": {}}).wrong


def test_one_process_is_compared_with_others_only_where_that_is_asked_for() -> None:
    alone: Any = SimpleNamespace(named=["model"], config=SimpleNamespace(devices=1))
    assert list(agreement.look(alone)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("model", "says"), [("Normalised", "are those of one process"), ("Mixing", "not with one")])
def test_two_ranks_end_two_steps_with_the_weights_of_one_process(machine: Machine, model: str, says: str) -> None:
    here = Path(__file__).parent
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/planted.yaml").write_text(f"_target_: planted_models.{model}\n")
    Path("planted_models.py").write_text((here / "planted_models.py").read_text())
    ran = machine.run("check", "model=planted", *DIGITS, "check.only=ranks")
    assert ran.code == (model == "Mixing"), ran.err
    assert says in ran.out, ran.out


def test_a_look_changes_nothing_but_its_own_trials(empty: Path) -> None:
    subject = Subject(composed("check", "model=mlp", *DIGITS), Report(quiet=True))
    before = {name: value.clone() for name, value in subject.first.model.state_dict().items()}
    rates = [group["lr"] for group in subject.first.optimizer.param_groups]
    for look in (gradients.look, range_test.look):
        assert [finding.wrong for finding in look(subject)] == [False]
    assert same(before, subject.first.model.state_dict())
    assert [group["lr"] for group in subject.first.optimizer.param_groups] == rates
    assert not subject.first.optimizer.state
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_layers_of_random_weights_may_be_frozen_only_by_a_key(empty: Path) -> None:
    words = ("model=resnet18", "model.freeze=true", "data=digits", "data.limit=16", "data.batch_size=4")
    subject = Subject(composed("check", *words, "data.val_fraction=0"), Report(quiet=True))
    findings = [*gradients.look(subject)]
    assert [finding.wrong for finding in findings] == [False, False]
    assert findings[0].found == "model.freeze leaves 60 parameters as they are, which are random"
    assert findings[1].found == "reach all 2 parameters (5,130 values)"


@pytest.mark.parametrize(("loss", "expected"), [("cross_entropy", 1.5 * math.log(2)), ("mse", None), ("own", None)])
def test_the_loss_of_the_best_constant_answer(loss: str, expected: float | None) -> None:
    """By hand: half of one class and a quarter of two others; the variance of scikit-learn's dummy otherwise."""
    if loss == "cross_entropy":
        assert overfit.of_constant(loss, torch.tensor([0, 0, 1, 3]), 4) == pytest.approx(expected)
        return
    targets = torch.tensor([[1.0, 5.0], [2.0, 5.0], [6.0, 8.0]])
    dummy = DummyRegressor().fit(targets, targets).predict(targets)
    wanted = None if loss == "own" else mean_squared_error(targets, dummy)
    assert overfit.of_constant(loss, targets, 0) == (None if wanted is None else pytest.approx(wanted))
