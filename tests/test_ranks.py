"""Several ranks come to the weights, the figures and the random numbers of one process."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from ranked import ALONE, Case, Crew, buffered, crew, diverging, messages, nudged, overlapped, trained

from trainer.engine.ranks import joined
from trainer.system.seats import Seat

COMMON = ("precision=float64", "device=cpu", "data.limit=203", "data.batch_size=32", "epochs=2", "seed=3")


@pytest.fixture(scope="module")
def two() -> Iterator[Crew]:
    with crew(2) as made:
        yield made


@pytest.fixture(scope="module")
def three() -> Iterator[Crew]:
    with crew(3) as made:
        yield made


def check(made: Crew, *words: str, within: float = 1e-10, case: Case = trained) -> None:
    """Compare a training of a crew with that of one process."""
    words = (*COMMON, *words)
    alone = trained(ALONE, *words)
    for other in made.do(case, *words):
        assert other["weights"].keys() == alone["weights"].keys()
        for name, values in alone["weights"].items():
            difference = (other["weights"][name].double() - values.double()).abs().max()
            assert difference <= within * max(1.0, values.abs().max()), (name, float(difference))
        assert torch.equal(other["drawn"], alone["drawn"])
        assert other["state"] == alone["state"]
        for row, same in zip(other["rows"], alone["rows"], strict=True):
            assert row == pytest.approx(same, abs=1e-9, nan_ok=True)


LENET = ("model=lenet", "data.size=16")
QUICK = {
    "dropout": LENET,
    "accumulated": (*LENET, "model.dropout=0", "accumulate=2"),
    "mixed": (*LENET, "data.augment.mixup=0.4", "data.augment.cutmix=1"),
    "a part without samples": ("model=mlp", "data.limit=182", "data.val_fraction=0", "data.batch_size=181"),
    "averaged": ("model=mlp", "ema=0.9", "metrics=[auc,f1]", "evaluate.every_steps=3"),
    "skipping": ("model=mlp", "on_nan=skip", "optim.lr=1e200", "epochs=1"),
}
SLOW = {
    "linear": ("model=linear", "accumulate=2"),
    "mlp": ("model=mlp", "accumulate=2"),
    "batch norm": ("model=resnet18", "data.size=16", "data.limit=103", "epochs=1", "accumulate=2"),
    "augmented": (*LENET, "data.augment.preset=strong", "accumulate=3"),
    "class weights": ("model=mlp", "loss.class_weight=balanced", "label_smoothing=0.1", "clip_norm=0.1"),
    "balanced": ("model=mlp", "data.sampler=balanced", "data.drop_last=true"),
    "regression": ("model=mlp", "data=diabetes", "loss=half_sse", "optim.lr=1e-5", "scheduler=plateau"),
    "full batch": ("model=linear", "data=quadratic", "data.batch_size=null"),
    "early stopping": ("model=mlp", "epochs=30", "early_stopping.patience=1", "optim.lr=0.05"),
    "streamed": (*LENET, "data.placement=stream", "data.workers=1"),
    "one step more": (*LENET, "max_steps=9", "scheduler=cosine", "model.dropout=0.2"),
}


@pytest.mark.parametrize("case", QUICK)
def test_two_ranks_come_to_the_weights_of_one(two: Crew, case: str) -> None:
    check(two, *QUICK[case])


def check_figures(made: Crew, *words: str) -> None:
    """Compare the figures of evaluations to the bit, of the weights of the start: no step can move them."""
    words = (*COMMON, *words, "data.eval_batch_size=7", "optim=sgd", "optim.lr=1e-300")
    alone = trained(ALONE, *words)["rows"]
    for other in made.do(trained, *words):
        for row, same in zip(other["rows"], alone, strict=True):
            assert {k: v for k, v in row.items() if k[:4] == "val/"} == {
                k: v for k, v in same.items() if k[:4] == "val/"
            }


CLASSES = ("model=linear", "metrics=[auc,average_precision,f1]")
VALUES = ("model=mlp", "data=diabetes")


def test_figures_are_those_of_one_process_to_the_bit(two: Crew) -> None:
    """Batches of an evaluation go round the ranks."""
    check_figures(two, *CLASSES)
    check_figures(two, *VALUES)


@pytest.mark.slow
@pytest.mark.parametrize("words", [CLASSES, VALUES])
def test_figures_of_three_ranks_are_those_of_one_process_to_the_bit(three: Crew, words: tuple[str, ...]) -> None:
    check_figures(three, *words)


def test_all_ranks_stop_after_the_same_step_when_one_is_told_to(two: Crew) -> None:
    for found in two.do(nudged, "signal", *COMMON, "model=linear"):
        assert found["state"]["interrupted"] == signal.SIGTERM
        assert found["state"]["step"] == 5  # it was sent after the fourth, and said with the fifth


def test_all_ranks_stop_at_the_same_loss_that_is_not_finite(two: Crew) -> None:
    words = *COMMON, "model=mlp", "optim.lr=1e200"
    assert two.do(diverging, *words) == [diverging(ALONE, *words)] * 2


@pytest.mark.slow
def test_all_ranks_stop_at_the_same_step_when_the_time_is_over(two: Crew) -> None:
    """By the clock of one of them; the schedule is laid out over the steps that fit."""
    words = *COMMON, "model=mlp", "epochs=100000", "max_minutes=0.05", "scheduler=cosine"
    first, second = two.do(trained, *words)
    assert first["state"] == second["state"]
    assert first["state"]["stop"] == "max_minutes=0.05 are over"
    assert [row["lr"] for row in first["rows"]] == [row["lr"] for row in second["rows"]]


def test_all_ranks_follow_what_hooks_of_the_first_do(two: Crew) -> None:
    """One that stops the training, draws numbers, and changes the learning rate and a weight."""
    words = *COMMON, *LENET
    alone = nudged(ALONE, "hook", *words)
    assert alone["state"]["step"] == 4
    for found in two.do(nudged, "hook", *words):
        assert found["state"] == alone["state"]
        assert torch.equal(found["drawn"], alone["drawn"])
        for name, values in alone["weights"].items():
            assert found["weights"][name] == pytest.approx(values, abs=1e-10), name


def test_ranks_tell_one_another_values_of_any_length(two: Crew) -> None:
    for found in two.do(messages):
        assert found == [{"of": 0, "long": "x" * 5000}, [[0, ""], [1, "y" * 5000]], [[0.0, 0.0], [1.0, 1.0]]]


@pytest.mark.slow
@pytest.mark.parametrize("words", [(*LENET, "accumulate=2"), ("model=resnet18", "data.size=16", "data.limit=103")])
def test_large_models_come_to_the_weights_of_one(two: Crew, words: tuple[str, ...]) -> None:
    """Their gradients are added up while the rest of them is computed."""
    check(two, *words, "epochs=1", "on_nan=skip", case=overlapped)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_two_ranks_come_to_the_weights_of_one_in_all_that_a_training_has(two: Crew, case: str) -> None:
    check(two, *SLOW[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["dropout", "accumulated", "a part without samples", "linear", "mlp", "batch norm"])
def test_three_ranks_come_to_the_weights_of_one(three: Crew, case: str) -> None:
    check(three, *(QUICK | SLOW)[case])


@pytest.mark.slow
def test_small_models_with_batch_norm_come_to_the_weights_of_one(two: Crew) -> None:
    check(two, *SLOW["batch norm"], case=buffered)


@pytest.mark.slow
def test_stochastic_depth_drops_the_same_samples(two: Crew) -> None:
    """It is drawn by a function deep in a network of torchvision, whose batch norm of few values is ill-conditioned."""
    network = "model=torchvision", "model.arch=efficientnet_b0", "data.size=16", "data.limit=70", "epochs=1"
    check(two, *network, within=1e-8)


def test_nccl_is_told_the_number_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch refuses a device without one, as `device=cuda` names it."""
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(joined, "_store", lambda *_: None)
    monkeypatch.setattr(joined.dist, "init_process_group", lambda *_, **given: asked.append(given["device_id"]))
    with contextlib.suppress(AssertionError, ValueError), joined.joined(Seat(0, 1, 0), torch.device("cuda"), 1.0):
        pass  # there is nothing to end
    assert asked == [torch.device("cuda:1")]
