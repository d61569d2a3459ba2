"""Hooks one by one: what they write, and when."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from trainer import checkpoint, models, schema
from trainer.hooks import checkpoints
from trainer.hooks.checkpoints import Checkpoints
from trainer.hooks.early_stopping import Objective
from trainer.hooks.metrics_log import MetricsLog
from trainer.hooks.tensorboard import TensorBoard
from trainer.loop import Row, State

NAN = float("nan")


def row(epoch: int, **metrics: float) -> Row:
    return {"epoch": epoch, "step": 10 * epoch, "lr": 0.1, "train/loss": 1 / epoch, "seconds": 0.5} | metrics


# --- checkpoints ----------------------------------------------------------------------------------------


class Clock:
    """Time that passes only when told."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(checkpoints, "time", clock)
    return clock


class Training:
    """A model whose one weight is the number of its epoch, watched by `Checkpoints`."""

    def __init__(self, directory: Path, seconds: float, watched: bool = True) -> None:
        self.directory = directory
        self.model = nn.Linear(1, 1, bias=False)
        objective = Objective("val/accuracy", "max") if watched else None
        content = lambda: {"optimizer": {"lr": 0.5}, "scheduler": None}  # noqa: E731
        self.hook = Checkpoints(directory, self.model, {"x": 1}, content, objective, seconds)
        self.state = State()

    def epoch(self, accuracy: float | None = None, within: bool = False) -> None:
        self.state.epoch, self.state.step = self.state.epoch + 1, self.state.step + 10
        nn.init.constant_(self.model.weight, self.state.epoch)
        event = self.hook.on_evaluation if within else self.hook.on_epoch
        event(self.state, row(self.state.epoch, **({} if accuracy is None else {"val/accuracy": accuracy})))

    def end(self) -> None:
        self.hook.on_end(self.state)

    def written(self) -> dict[str, int]:
        """The epoch of the weights in each file."""
        files = sorted(self.directory.iterdir())
        return {p.name: int(checkpoint.read(p).model["weight"]) for p in files}


def test_last_is_written_after_each_epoch_and_best_after_each_improvement(tmp_path: Path, clock: Clock) -> None:
    training = Training(tmp_path, seconds=0)
    found = []
    for accuracy in (0.5, 0.7, 0.6, None, 0.7, 0.8):
        training.epoch(accuracy)
        found.append(training.written())
    assert [f["last.pt"] for f in found] == [1, 2, 3, 4, 5, 6]
    assert [f["best.pt"] for f in found] == [1, 2, 2, 2, 2, 6]


def test_writes_are_throttled_but_nothing_is_lost_at_the_end(tmp_path: Path, clock: Clock) -> None:
    training = Training(tmp_path, seconds=10)
    found = []
    for accuracy in (0.5, 0.9, 0.6, 0.7, 0.95, 0.8):
        clock.now += 4
        training.epoch(accuracy)
        found.append(training.written())
    training.end()
    early, late = {"best.pt": 2, "last.pt": 3}, {"best.pt": 5, "last.pt": 6}
    assert found == [{}, {}, early, early, early, late]
    training.epoch(0.1)
    training.end()
    assert training.written() == {"best.pt": 5, "last.pt": 7}


def test_best_says_where_it_was_found(tmp_path: Path, clock: Clock) -> None:
    training = Training(tmp_path, seconds=1e9)
    for accuracy in (0.5, 0.75, NAN, 0.6):
        training.epoch(accuracy)
    training.end()
    best = {"value": 0.75, "epoch": 2, "step": 20}
    assert training.hook.best == best
    found = checkpoint.read(tmp_path / "best.pt")
    assert (found.training["best"], found.training["epoch"], found.training["step"]) == (best, 2, 20)
    last = checkpoint.read(tmp_path / "last.pt").training
    assert (last["best"], last["epoch"], last["step"], last["optimizer"]) == (best, 4, 40, {"lr": 0.5})
    assert last["rng"]["cpu"].dtype == torch.uint8


def test_an_evaluation_within_an_epoch_can_be_the_best(tmp_path: Path, clock: Clock) -> None:
    training = Training(tmp_path, seconds=0)
    training.epoch(0.9, within=True)
    assert training.written() == {}
    training.epoch(0.5)
    assert training.written() == {"best.pt": 1, "last.pt": 2}


def test_without_a_metric_to_watch_there_is_no_best(tmp_path: Path, clock: Clock) -> None:
    training = Training(tmp_path, seconds=0, watched=False)
    training.epoch(0.5)
    training.end()
    assert training.written() == {"last.pt": 1}
    assert training.hook.best is None


# --- metrics.jsonl --------------------------------------------------------------------------------------


def lines(path: Path) -> list[Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_each_row_is_a_line_of_json(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    rows = [row(1), row(2, **{"val/r2": NAN}), row(3, **{"val/loss": float("inf")})]
    log.on_epoch(State(), rows[0])
    log.on_evaluation(State(), rows[1])
    log.on_epoch(State(), rows[2])
    log.on_end(State())
    assert lines(tmp_path / "metrics.jsonl") == [rows[0], rows[1] | {"val/r2": None}, rows[2] | {"val/loss": None}]
    assert log.rows == rows


@pytest.mark.parametrize(("seconds", "there"), [(0.5, 1), (0.01, 0)])
def test_rows_of_long_epochs_are_on_disk_at_once(tmp_path: Path, seconds: float, there: int) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.on_epoch(State(), row(1, seconds=seconds))
    assert len(lines(tmp_path / "metrics.jsonl")) == there
    log.close()
    assert len(lines(tmp_path / "metrics.jsonl")) == 1


def test_a_log_that_is_there_is_continued(tmp_path: Path) -> None:
    for epoch in (1, 2):
        log = MetricsLog(tmp_path / "metrics.jsonl")
        log.on_epoch(State(), row(epoch))
        log.close()
    assert [line["epoch"] for line in lines(tmp_path / "metrics.jsonl")] == [1, 2]


# --- TensorBoard ----------------------------------------------------------------------------------------


def lenet() -> nn.Module:
    return models.build("lenet", in_channels=1, image_size=16, num_classes=3)


def board(directory: Path, model: nn.Module | None = None, epochs: int = 3, **keys: Any) -> TensorBoard:
    return TensorBoard(directory, schema.TensorBoard(**keys), model or nn.Linear(2, 1), epochs)


def events(directory: Path) -> EventAccumulator:
    """What TensorBoard itself reads."""
    return EventAccumulator(str(directory), size_guidance={"scalars": 0, "images": 0, "histograms": 0}).Reload()


def scalars(directory: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events(directory).Scalars(tag)]


def run(hook: TensorBoard, epochs: int, steps: int) -> None:
    """Losses are the step's number."""
    state = State()
    for epoch in range(epochs):
        for _ in range(steps):
            state.step += 1
            hook.on_step(state, torch.tensor(float(state.step)))
        state.epoch = epoch + 1
        hook.on_epoch(state, row(state.epoch, **{"val/accuracy": 0.1 * state.epoch}))


def test_every_entry_of_a_row_but_its_place_is_a_curve_over_steps(tmp_path: Path) -> None:
    hook = board(tmp_path)
    run(hook, epochs=3, steps=10)
    hook.close()
    assert set(events(tmp_path).Tags()["scalars"]) >= {"lr", "train/loss", "seconds", "val/accuracy"}
    assert not {"epoch", "step"} & set(events(tmp_path).Tags()["scalars"])
    assert [step for step, _ in scalars(tmp_path, "lr")] == [10, 20, 30]
    assert [value for _, value in scalars(tmp_path, "val/accuracy")] == pytest.approx([0.1, 0.2, 0.3])


def test_evaluations_within_an_epoch_are_points_too(tmp_path: Path) -> None:
    hook = board(tmp_path)
    hook.on_evaluation(State(step=5), row(1, **{"val/loss": 2.0}))
    hook.close()
    assert scalars(tmp_path, "val/loss") == [(5, 2.0)]


@pytest.mark.parametrize(("epochs", "steps", "every"), [(1, 10, 1), (2, 10, 4), (3, 10, 10), (6, 5, 7)])
def test_step_losses_have_a_point_per_so_many_steps(tmp_path: Path, epochs: int, steps: int, every: int) -> None:
    hook = board(tmp_path, every_steps=every)
    run(hook, epochs, steps)
    hook.close()
    expected = range(every, epochs * steps + 1, every)
    assert scalars(tmp_path, "train/step_loss") == [(step, float(step)) for step in expected]


def test_a_step_loss_is_kept_although_its_tensor_is_used_again(tmp_path: Path) -> None:
    """As a captured graph does."""
    hook, loss = board(tmp_path, every_steps=1), torch.zeros(())
    for step in (1, 2, 3):
        loss.fill_(step)
        hook.on_step(State(step=step), loss)
    hook.on_epoch(State(epoch=1, step=3), row(1))
    hook.close()
    assert [value for _, value in scalars(tmp_path, "train/step_loss")] == [1, 2, 3]


def test_long_trainings_get_at_most_some_thousand_points_and_the_last(tmp_path: Path) -> None:
    hook = board(tmp_path, epochs=5003)
    for epoch in range(1, 5004):
        hook.on_epoch(State(epoch=epoch, step=epoch), {"train/loss": 1.0})
    hook.close()
    steps = [step for step, _ in scalars(tmp_path, "train/loss")]
    assert len(steps) == 1001
    assert steps[:2] == [5, 10]
    assert steps[-1] == 5003


def test_an_epoch_that_ends_the_training_early_has_its_point(tmp_path: Path) -> None:
    hook = board(tmp_path, epochs=5000)
    hook.on_epoch(State(epoch=7, step=7, stop="enough"), {"train/loss": 1.0})
    hook.close()
    assert scalars(tmp_path, "train/loss") == [(7, 1.0)]


def test_the_graph_has_the_layers(tmp_path: Path) -> None:
    model = lenet()
    hook = board(tmp_path, model)
    assert hook.graph(torch.zeros(1, 1, 16, 16)) == ""
    hook.close()
    found = events(tmp_path)
    assert found.Tags()["graph"]
    nodes = {node.name for node in found.Graph().node}
    assert all(any(f"[{name}]" in node for node in nodes) for name in ("conv1", "conv2", "fc1", "fc2"))
    assert model.training


class Stubborn(nn.Module):
    """Cannot be traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no tracing here\nat all")


def test_a_model_without_a_graph_says_why_and_trains_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Stubborn()
    hook = board(tmp_path, model)
    assert "no tracing here" in hook.graph(torch.zeros(1, 1))
    assert model.training
    run(hook, epochs=1, steps=1)
    hook.close()
    assert scalars(tmp_path, "train/loss") == [(1, 1.0)]
    assert capsys.readouterr() == ("", "")


def test_histograms_of_weights_and_gradients_are_written_if_asked_for(tmp_path: Path) -> None:
    for name, wanted in (("with", True), ("without", False)):
        model = nn.Linear(2, 1)
        model(torch.ones(3, 2)).sum().backward()
        hook = board(tmp_path / name, model, histograms=wanted)
        run(hook, epochs=2, steps=1)
        hook.close()
        tags = {"weights/weight", "weights/bias", "gradients/weight", "gradients/bias"} if wanted else set()
        assert set(events(tmp_path / name).Tags()["histograms"]) == tags
    found = events(tmp_path / "with").Histograms("gradients/weight")
    assert [event.step for event in found] == [1, 2]
    assert found[0].histogram_value.sum == pytest.approx(6)


def test_pictures_are_kept_pixel_by_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(5, 8, 3), dtype=np.uint8)
    hook = board(tmp_path)
    hook.image("curves", pixels, State(step=30))
    hook.close()
    (image,) = events(tmp_path).Images("curves")
    assert image.step == 30
    assert np.array_equal(Image.open(io.BytesIO(image.encoded_image_string)), pixels)


def test_hyperparameters_stand_beside_the_final_metrics(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    hook = board(tmp_path)
    settings = {"optim.lr": 0.1, "epochs": 3, "model.name": "lenet", "optim.betas": [0.9, 0.99]}
    hook.finish(settings, {"test/accuracy": 0.9, "test/loss": 0.5}, State(step=30))
    hook.close()
    found = events(tmp_path)
    content = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    parsed = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert parsed["optim.lr"].number_value == 0.1
    assert parsed["epochs"].number_value == 3
    assert parsed["model.name"].string_value == "lenet"
    assert parsed["optim.betas"].string_value == "[0.9, 0.99]"
    assert scalars(tmp_path, "test/accuracy") == [(30, pytest.approx(0.9))]
    experiment = found.summary_metadata["_hparams_/experiment"].plugin_data.content
    metrics = plugin_data_pb2.HParamsPluginData.FromString(experiment).experiment.metric_infos
    assert {metric.name.tag for metric in metrics} == {"test/accuracy", "test/loss"}
    assert len(list(tmp_path.iterdir())) == 1  # one file, and no run of its own below


def test_values_that_are_not_finite_do_not_stop_the_curves(tmp_path: Path) -> None:
    hook = board(tmp_path)
    hook.on_epoch(State(epoch=1, step=1), row(1, **{"val/r2": NAN}))
    hook.close()
    ((_, value),) = scalars(tmp_path, "val/r2")
    assert np.isnan(value)
