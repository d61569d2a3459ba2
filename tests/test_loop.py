"""The loop against hand-written ones: same batches, same seeds, same weights."""

import itertools
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer import data, models
from trainer.data.batches import Batch, Batches
from trainer.data.sets.digits import Digits
from trainer.data.splits import Dataset
from trainer.engine import losses
from trainer.engine.device import Compute
from trainer.engine.evaluator import Evaluator, evaluate
from trainer.engine.loop import Hook, fit
from trainer.engine.losses import Loss
from trainer.engine.metrics import Classification, Regression
from trainer.engine.state import Plan, Row, State
from trainer.engine.steps.eager import EagerStep
from trainer.system.errors import DivergedError, StoppedError, TrainingFailedError

CPU = torch.device("cpu")
SHAPES = {
    "linear": {"in_features": 784, "out_features": 10},
    "mlp": {"in_features": 784, "out_features": 10, "hidden": 16, "activation": "relu"},
    "lenet": {"in_channels": 1, "image_size": 28, "num_classes": 10},
}


class Toy:
    """Batches of ones, `sizes` of them in an epoch."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for size in self.sizes[start:]:
            yield torch.ones(size, 1), torch.ones(size, 1)


class Scripted:
    """A step whose losses are `values`, over and over."""

    device, jobs, apart = CPU, (), ()

    def __init__(
        self, values: Sequence[float], loss: str = "mse", on_nan: str = "stop", rates: Sequence[float] = (0.0,)
    ) -> None:
        self.values, self.loss, self.on_nan = values, losses.make(loss), on_nan
        self.taken, self.rates = iter(range(10**6)), itertools.cycle(rates)

    def __call__(self, batches: Sequence[Batch]) -> Tensor:
        return torch.tensor(float(self.values[next(self.taken) % len(self.values)]))

    def learning_rate(self) -> float:
        return next(self.rates)


class Recorder(Hook):
    """Writes down each event with where training stood."""

    def __init__(self, name: str = "", log: list[tuple[object, ...]] | None = None) -> None:
        self.name = name
        self.log = log if log is not None else []
        self.rows: list[Row] = []
        self.within: list[Row] = []

    def _note(self, event: str, state: State) -> None:
        self.log.append((self.name + event, state.epoch, state.batch, state.step))

    def on_start(self, state: State) -> None:
        self._note("start", state)

    def on_step(self, state: State) -> None:
        self._note("step", state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self._note("evaluation", state)
        self.within.append(row)

    def on_epoch(self, state: State, row: Row) -> None:
        self._note("epoch", state)
        self.rows.append(row)

    def on_end(self, state: State) -> None:
        self._note("end", state)


class StopAt(Hook):
    """Asks to stop after step number `step`, or after epoch number `epoch`."""

    def __init__(self, step: int = 0, epoch: int = 0) -> None:
        self.step, self.epoch = step, epoch

    def on_step(self, state: State) -> None:
        if state.step == self.step:
            state.stop = "enough"

    def on_epoch(self, state: State, row: Row) -> None:
        if state.epoch == self.epoch:
            state.stop = "enough"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """90 training images, so that batches of 32 leave a ragged last one."""
    return data.load(Digits(limit=100, cache=None))


def batches(
    digits: Dataset, size: int | None, dtype: torch.dtype = torch.float32, device: torch.device = CPU
) -> Batches:
    return Batches(digits.train, size, device, dtype, digits.mean, digits.std, seed=3)


def build(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(seed)
    return models.make(name, **SHAPES[name]).to(dtype)


def eager(model: nn.Module, loss: Loss | None = None, momentum: float = 0.9, lr: float = 0.05) -> EagerStep:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    return EagerStep(model, loss or losses.make("cross_entropy"), optimizer, None, nullcontext)


def evaluator(model: nn.Module, data: Dataset, size: int, stopped: Callable[[], object] = bool) -> Evaluator:
    return Evaluator(model, data, Compute(CPU, "float32"), losses.make("cross_entropy"), size, stopped=stopped)


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


# --- weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_weights_equal_those_of_a_plain_loop_to_the_bit(digits: Dataset, name: str) -> None:
    plain = build(name)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(3):
        for inputs, targets in batches(digits, 32).epoch(epoch):
            optimizer.zero_grad()
            F.cross_entropy(plain(inputs), targets).backward()
            optimizer.step()

    model = build(name)
    fit(eager(model), batches(digits, 32), Plan(3))

    assert not torch.equal(weights(model), weights(build(name)))
    assert torch.equal(weights(model), weights(plain))


def test_evaluating_between_steps_does_not_change_the_weights(digits: Dataset) -> None:
    def trained(plan: Plan) -> Tensor:
        model = build("lenet")  # its dropout would notice a mode or a random number out of place
        tested = evaluator(model, digits, 32)
        fit(eager(model), batches(digits, 32), plan, lambda: tested("train").metrics)
        return weights(model)

    assert torch.equal(trained(Plan(2, evaluate_steps=1)), trained(Plan(2, evaluate_epochs=2)))


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_run_stopped_after_any_step_goes_on_to_the_same_weights(digits: Dataset, step: int) -> None:
    """Three steps an epoch: stops lie within an epoch and on its border."""
    whole, halved = build("mlp"), build("mlp")
    fit(eager(whole), batches(digits, 32), Plan(3))

    stepper = eager(halved)
    state = fit(stepper, batches(digits, 32), Plan(3), hooks=[StopAt(step=step)])
    assert (state.epoch, state.batch) == divmod(step, 3)
    fit(stepper, batches(digits, 32), Plan(3), state=replace(state, stop=""))

    assert torch.equal(weights(halved), weights(whole))


@pytest.mark.parametrize("name", ["cross_entropy", "half_sse"])
def test_accumulated_batches_equal_one_large_batch(digits: Dataset, name: str) -> None:
    """Four batches of 8 against one of 32, the last ragged; float64, where sums in another order differ by 1e-15."""

    def trained(size: int, accumulate: int) -> tuple[Tensor, list[float]]:
        model, loss, recorder = build("mlp", dtype=torch.float64), losses.make(name), Recorder()
        train = batches(digits, size, torch.float64)
        if name == "half_sse":
            train.source.targets = F.one_hot(train.source.targets, 10).double()
        stepper = eager(model, loss, lr=0.002)
        fit(stepper, train, Plan(2, accumulate=accumulate), hooks=[recorder])
        return weights(model), [row["train/loss"] for row in recorder.rows]

    (many, many_losses), (one, one_losses) = trained(8, 4), trained(32, 1)
    torch.testing.assert_close(many, one, rtol=0, atol=1e-13)
    assert many_losses == pytest.approx(one_losses, rel=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_trains_to_the_weights_of_a_cpu(digits: Dataset) -> None:
    """In float64 and without dropout, whose random numbers differ between devices."""

    def trained(device: torch.device) -> Tensor:
        model = build("mlp", dtype=torch.float64).to(device)
        fit(eager(model), batches(digits, 32, torch.float64, device), Plan(2))
        return weights(model).cpu()

    torch.testing.assert_close(trained(torch.device("cuda")), trained(CPU), rtol=0, atol=1e-10)


# --- rows ---------------------------------------------------------------------------------------------


def test_a_ragged_last_batch_weighs_by_its_samples() -> None:
    recorder = Recorder()
    fit(Scripted([1, 2, 6]), Toy(4, 4, 1), Plan(1), hooks=[recorder])
    assert recorder.rows[0]["train/loss"] == pytest.approx((4 * 1 + 4 * 2 + 1 * 6) / 9)


def test_a_summed_loss_adds_up_over_batches() -> None:
    recorder = Recorder()
    fit(Scripted([1, 2, 6], "half_sse"), Toy(4, 4, 1), Plan(2), hooks=[recorder])
    assert [row["train/loss"] for row in recorder.rows] == [9, 9]


def test_each_epoch_gives_one_row() -> None:
    recorder = Recorder()
    fit(Scripted([1], rates=[0.1, 0.01]), Toy(4, 2), Plan(2), lambda: {"val/x": 7}, [recorder])
    wanted = [{"epoch": 1, "step": 2, "lr": 0.1}, {"epoch": 2, "step": 4, "lr": 0.01}]
    for row, beginning in zip(recorder.rows, wanted, strict=True):
        assert row["seconds"] > 0
        assert row["samples_per_second"] > 0
        del row["seconds"], row["samples_per_second"]
        assert row == beginning | {"train/loss": 1, "val/x": 7}


@pytest.mark.parametrize(("every", "evaluated"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])])
def test_epochs_between_evaluations_have_no_metrics_but_the_last_has(every: int, evaluated: list[int]) -> None:
    recorder = Recorder()
    plan = Plan(5, evaluate_epochs=every)
    fit(Scripted([1]), Toy(4), plan, lambda: {"val/x": 0}, hooks=[recorder])
    assert [row["epoch"] for row in recorder.rows] == [1, 2, 3, 4, 5]
    assert [row["epoch"] for row in recorder.rows if "val/x" in row] == evaluated


def test_evaluations_within_an_epoch_report_the_loss_since_the_one_before() -> None:
    recorder = Recorder()
    plan = Plan(2, evaluate_steps=3)
    fit(Scripted(range(1, 9)), Toy(1, 1, 1, 1), plan, lambda: {"val/x": 0}, hooks=[recorder])
    found = [(row["epoch"], row["step"], row["train/loss"]) for row in recorder.within]
    assert found == [(1, 3, (1 + 2 + 3) / 3), (2, 6, (5 + 6) / 2)]
    assert [row["train/loss"] for row in recorder.rows] == [(1 + 2 + 3 + 4) / 4, (5 + 6 + 7 + 8) / 4]


# --- where training ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "epoch", "batch"), [(1, 0, 1), (3, 0, 3), (4, 1, 0), (6, 1, 2), (8, 2, 0), (99, 2, 0)]
)
def test_max_steps_stops_exactly(limit: int, epoch: int, batch: int) -> None:
    recorder = Recorder()
    plan = Plan(2, max_steps=limit)
    state = fit(Scripted([1]), Toy(2, 2, 2, 1), plan, lambda: {"val/x": 0}, hooks=[recorder])
    assert (state.step, state.epoch, state.batch) == (min(limit, 8), epoch, batch)
    assert recorder.rows[-1]["step"] == state.step
    assert "val/x" in recorder.rows[-1]


def test_a_run_that_has_taken_its_steps_takes_no_more() -> None:
    state = State(batch=2, step=2, losses=torch.tensor([3.0, 5.0]))
    recorder = Recorder()
    fit(Scripted([1]), Toy(1, 1, 1), Plan(2, max_steps=2), hooks=[recorder], state=state)
    assert (state.step, state.batch, state.epoch) == (2, 2, 0)
    (row,) = recorder.rows
    assert (row["epoch"], row["step"], row["train/loss"]) == (1, 2, 4.0)
    assert "samples_per_second" not in row


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("step", "epoch"), [(1, 1), (2, 1), (17, 4)])
def test_a_loss_that_is_not_finite_fails_naming_epoch_and_step(value: float, step: int, epoch: int) -> None:
    values = [1.0] * (step - 1) + [value] + [1.0] * 50
    with pytest.raises(TrainingFailedError, match=rf"^the loss is {value} at epoch {epoch}, step {step}$"):
        fit(Scripted(values), Toy(2, 2, 2, 2, 1), Plan(9))


def test_an_evaluation_never_sees_weights_of_a_loss_that_is_not_finite() -> None:
    recorder = Recorder()
    plan = Plan(9, evaluate_steps=2)
    with pytest.raises(TrainingFailedError, match="step 3"):
        fit(Scripted([1, 1, float("nan"), 1]), Toy(*[1] * 9), plan, dict, hooks=[recorder])
    assert [row["step"] for row in recorder.within] == [2]


def test_hooks_are_called_in_order_with_where_training_stands() -> None:
    log: list[tuple[object, ...]] = []
    plan = Plan(2, evaluate_steps=2)
    hooks = [Recorder("a ", log), Recorder("b ", log)]
    fit(Scripted([1]), Toy(4, 4, 4), plan, dict, hooks=hooks)
    events = [
        ("start", 0, 0, 0),
        ("step", 0, 1, 1),
        ("step", 0, 2, 2),
        ("evaluation", 0, 2, 2),
        ("step", 0, 3, 3),
        ("epoch", 1, 0, 3),
        ("step", 1, 1, 4),
        ("evaluation", 1, 1, 4),
        ("step", 1, 2, 5),
        ("step", 1, 3, 6),
        ("epoch", 2, 0, 6),
        ("end", 2, 0, 6),
    ]
    assert log == [(f"{name} {event}", *where) for event, *where in events for name in "ab"]


def test_a_hook_can_stop_within_an_epoch() -> None:
    recorder = Recorder()
    hooks = [recorder, StopAt(step=5)]
    state = fit(Scripted([1]), Toy(4, 4, 4), Plan(9), hooks=hooks)
    assert (state.epoch, state.batch, state.step, state.stop) == (1, 2, 5, "enough")
    assert [row["epoch"] for row in recorder.rows] == [1]
    assert recorder.log[-1] == ("end", 1, 2, 5)


@pytest.mark.parametrize("stop", [StopAt(step=6), StopAt(epoch=2)])
def test_a_hook_that_stops_at_the_end_of_an_epoch_lets_it_be_evaluated(stop: Hook) -> None:
    recorder = Recorder()
    plan = Plan(9, evaluate_epochs=5)
    evaluated = lambda: {"val/x": 0}  # noqa: E731
    state = fit(Scripted([1]), Toy(4, 4, 4), plan, evaluated, hooks=[stop, recorder])
    assert (state.epoch, state.batch, state.step) == (2, 0, 6)
    assert [row["epoch"] for row in recorder.rows] == [1, 2]


# --- evaluate -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_equals_a_plain_loop_and_restores_the_mode(digits: Dataset, training: bool) -> None:
    model = build("lenet").train(training)
    found = evaluator(model, digits, 32)("train")
    assert model.training is training
    assert all(module.training is training for module in model.modules())

    model.eval()
    total, right = 0.0, 0
    for inputs, targets in batches(digits, 32):
        total += float(F.cross_entropy(model(inputs), targets, reduction="sum").detach())
        right += int((model(inputs).argmax(1) == targets).sum())
    assert found.metrics["loss"] == pytest.approx(total / 90, rel=1e-6)
    assert found.metrics["accuracy"] == right / 90


@pytest.mark.parametrize("size", [1, 7, 20])
def test_evaluate_sums_half_the_squared_error_over_batches(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(20, n, generator=generator) for n in (3, 2))
    model = nn.Linear(3, 2)
    parts = zip(inputs.split(size), targets.split(size), strict=True)
    loss = losses.make("half_sse")
    (found,) = evaluate(model, parts, loss.function, loss.mean, Regression(2, CPU))
    expected = 0.5 * (model(inputs) - targets).square().sum()
    assert found.metrics["loss"] == pytest.approx(float(expected.detach()), rel=1e-6)


def test_evaluation_leaves_label_smoothing_out() -> None:
    outputs, targets = torch.tensor([[2.0, -1.0], [0.5, 0.0]]), torch.tensor([0, 1])
    loss = losses.make("cross_entropy", label_smoothing=0.3)
    (found,) = evaluate(nn.Identity(), [(outputs, targets)], loss.function, loss.mean, Classification(2, CPU))
    assert found.metrics["loss"] == pytest.approx(float(F.cross_entropy(outputs, targets)))


# --- losses that are not finite -----------------------------------------------------------------------

NAN = float("nan")


def test_skipped_steps_are_counted_and_left_out_of_the_mean() -> None:
    recorder = Recorder()
    values = [2.0, NAN, 4.0, 1.0, 1.0, 1.0, NAN, NAN, 3.0]
    fit(Scripted(values, on_nan="skip"), Toy(1, 5, 3), Plan(3), hooks=[recorder])
    assert [row["train/loss"] for row in recorder.rows] == [(2 + 3 * 4) / 4, 1.0, 3.0]
    assert [row.get("skipped") for row in recorder.rows] == [1, None, 2]
    assert [row["step"] for row in recorder.rows] == [3, 6, 9]  # a step that is skipped counts


def test_a_summed_loss_leaves_skipped_steps_out() -> None:
    recorder = Recorder()
    fit(Scripted([2.0, NAN, 4.0], "half_sse", "skip"), Toy(1, 1, 1), Plan(1), hooks=[recorder])
    assert (recorder.rows[0]["train/loss"], recorder.rows[0]["skipped"]) == (6.0, 1)


def test_an_epoch_of_which_every_step_is_skipped_ends_the_training() -> None:
    with pytest.raises(TrainingFailedError, match=r"the losses of all steps of epoch 2, up to step 4, are not finite"):
        fit(Scripted([1, 1, NAN, NAN], on_nan="skip"), Toy(1, 1), Plan(3))


def test_losses_that_are_not_finite_can_be_ignored() -> None:
    recorder = Recorder()
    plan = Plan(2, evaluate_steps=1)
    state = fit(Scripted([NAN, 1.0], on_nan="ignore"), Toy(1, 1), plan, dict, hooks=[recorder])
    assert state.epoch == 2
    assert all(row["train/loss"] != row["train/loss"] for row in recorder.rows)
    assert all("skipped" not in row for row in recorder.rows)


def test_where_they_stop_the_training_the_error_says_which_batch_it_was() -> None:
    with pytest.raises(DivergedError) as caught:
        fit(Scripted([1, 1, 1, NAN, 1, NAN]), Toy(1, 1), Plan(3))
    assert (caught.value.step, caught.value.batch) == (4, 1)


@pytest.mark.parametrize("on_nan", ["stop", "skip", "ignore"])
def test_what_is_asked_for_them_changes_nothing_while_all_are_finite(digits: Dataset, on_nan: str) -> None:
    found = []
    for each in ("stop", on_nan):
        model, recorder = build("linear"), Recorder()
        stepper = eager(model)
        stepper.on_nan = each
        fit(stepper, batches(digits, 32), Plan(2), hooks=[recorder])
        found.append(([row["train/loss"] for row in recorder.rows], weights(model).tolist()))
    assert found[0] == found[1]


def test_long_epochs_are_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """By time: a training does not compute for hours after its loss has become nan."""
    now = 0.0

    def passing() -> float:
        nonlocal now
        now += 0.3
        return now

    monkeypatch.setattr(time, "perf_counter", passing)
    recorder = Recorder()
    with pytest.raises(DivergedError, match=r"step 2$"):
        fit(Scripted([1.0, NAN]), Toy(*[1] * 100), Plan(1), hooks=[recorder])
    assert max(step for _, _, _, step in recorder.log) < 8


# --- evaluations that are given up --------------------------------------------------------------------


class GivenUp:
    """An evaluation that is given up the first `times` times that it has come to number `at`; asks to stop then."""

    def __init__(self, state: State, at: int, times: int = 1) -> None:
        self.state, self.at, self.times = state, at, times
        self.done: list[int] = []

    def __call__(self) -> Row:
        if len(self.done) == self.at and self.times:
            self.times -= 1
            self.state.interrupted = signal.SIGINT
            raise StoppedError
        self.done.append(self.state.step)
        return {"val/loss": float(self.state.step)}


PLANS = {
    "after epochs": Plan(3),
    "within epochs": Plan(3, evaluate_steps=2),
    "after every step": Plan(3, evaluate_steps=1),
    "cut short": Plan(3, max_steps=7, evaluate_steps=3),
    "stretches longer than an epoch": Plan(4, evaluate_epochs=2, evaluate_steps=7),
    "accumulated": Plan(3, accumulate=2, evaluate_steps=1),
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", PLANS)
def test_an_evaluation_that_was_given_up_is_done_again_and_nothing_else(name: str, times: int) -> None:
    def run(at: int) -> tuple[list[object], State]:
        state, recorder = State(), Recorder()
        evaluation, ended = GivenUp(state, at, times), 0
        while True:
            state.interrupted = 0
            before = state.step, state.epoch
            step = Scripted(range(1 + state.step, 99))
            fit(step, Toy(2, 1, 1, 3, 1), PLANS[name], evaluation, hooks=[recorder], state=state)
            ended += 1
            if not state.interrupted:
                break
            assert ended == 1 or (state.step, state.epoch) == before  # only the evaluation again
            kept = replace(state, losses=state.losses[: state.batch].clone(), stop="")
            state = kept  # as a checkpoint has it
            evaluation.state = state
        clocks = ("seconds", "samples_per_second")
        rows = [{k: v for k, v in row.items() if k not in clocks} for row in (*recorder.within, *recorder.rows)]
        return [evaluation.done, sorted(rows, key=lambda row: (row["step"], row["epoch"]))], state

    whole, state = run(at=99)
    assert isinstance(whole[0], list)
    for at in range(len(whole[0])):
        found, ended = run(at)
        assert found == whole, at
        assert (ended.epoch, ended.batch, ended.step) == (state.epoch, state.batch, state.step)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_no_hook_hears_of_an_evaluation_that_was_given_up(at: int) -> None:
    state, recorder = State(), Recorder()
    fit(Scripted([1]), Toy(1, 1), Plan(3), GivenUp(state, at), hooks=[recorder], state=state)
    assert len(recorder.rows) == at
    assert recorder.log[-1] == ("end", at, 2, 2 * at + 2)
    assert (state.batch, state.reported) == (2, 0)


def test_an_evaluation_is_given_up_between_two_batches(digits: Dataset) -> None:
    asked = iter([False, False, True])
    model = build("linear")
    model.train()
    seen = []
    model.register_forward_hook(lambda module, inputs, outputs: seen.append(len(outputs)))
    with pytest.raises(StoppedError):
        evaluator(model, digits, 20, lambda: next(asked))("train")
    assert seen == [20, 20]
    assert model.training


def test_a_stretch_between_two_evaluations_may_be_skipped_whole() -> None:
    recorder = Recorder()
    plan = Plan(1, evaluate_steps=1)
    fit(Scripted([1.0, NAN, 4.0], on_nan="skip"), Toy(1, 1, 1), plan, evaluate=dict, hooks=[recorder])
    assert [row.get("skipped") for row in recorder.within] == [None, 1]
    assert math.isnan(recorder.within[1]["train/loss"])
    assert recorder.rows[0]["train/loss"] == 2.5
