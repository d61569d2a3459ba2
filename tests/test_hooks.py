"""Hooks one by one: what they write, and when."""

import io
import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from trainer import checkpoint, models
from trainer.config.train import Checkpointing
from trainer.config.train import TensorBoard as TensorBoardConfig
from trainer.engine.objective import Objective
from trainer.engine.state import Row, State
from trainer.run.drawing import encoded
from trainer.run.hooks.checkpoints import Checkpoints
from trainer.run.hooks.metrics_log import MetricsLog
from trainer.run.hooks.tensorboard import TensorBoard
from trainer.system.errors import ConfigError, DivergedError, StorageError

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
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


class Training:
    """A model whose one weight is the number of its step, watched by `Checkpoints`; three steps make an epoch."""

    def __init__(self, directory: Path, watched: bool = True, finite: bool = True, **every: Any) -> None:
        self.directory = directory
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)
        objective = Objective("val/accuracy", "max") if watched else None
        self.content: dict[str, Any] = {"optimizer": {"lr": 0.5}, "scheduler": None}
        config = Checkpointing(**{"every_minutes": None, **every})
        self.hook = Checkpoints(
            directory, self.model, {"x": 1}, lambda state: self.content, objective, config, finite=finite
        )
        self.state = State()

    def start(self) -> None:
        self.hook.on_start(self.state)

    def step(self) -> None:
        self.state.batch, self.state.step = self.state.batch + 1, self.state.step + 1
        nn.init.constant_(self.model.weight, self.state.step)
        self.hook.on_step(self.state)

    def evaluated(self, accuracy: float) -> None:
        """Within an epoch."""
        self.state.reported = self.state.batch
        self.hook.on_evaluation(self.state, row(self.state.epoch + 1, **{"val/accuracy": accuracy}))

    def epoch(self, accuracy: float | None = None, steps: int = 3) -> None:
        for _ in range(steps):
            self.step()
        self.state.epoch, self.state.batch, self.state.reported = self.state.epoch + 1, 0, 0
        self.hook.on_epoch(
            self.state, row(self.state.epoch, **({} if accuracy is None else {"val/accuracy": accuracy}))
        )

    def end(self) -> None:
        self.hook.on_end(self.state)

    def written(self) -> dict[str, int]:
        """The step of the weights in each file."""
        self.hook.wait()
        files = self.directory.glob("*.pt")
        return {p.stem: int(checkpoint.read(p).model["weight"]) for p in files}


@pytest.fixture
def training(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Training]]:
    """Makes a `Training`, and ends its thread."""
    made: list[Training] = []

    def make(**keys: Any) -> Training:
        made.append(Training(tmp_path, **keys))
        return made[-1]

    yield make
    for each in made:
        each.hook._thread.shutdown()


Make = Callable[..., Training]


def test_last_is_written_at_the_start_and_at_the_end_and_best_with_it(training: Make) -> None:
    made = training()
    made.start()
    found = [made.written()]
    for accuracy in (0.5, 0.7, 0.6):
        made.epoch(accuracy)
        found.append(made.written())
    made.end()
    found.append(made.written())
    assert found == [*[{"last": 0}] * 4, {"best": 6, "last": 9, "previous": 0}]


def test_every_epoch_has_its_checkpoint_if_asked_for_and_each_improvement_its_best(training: Make) -> None:
    made = training(every_epochs=1)
    made.start()
    found = []
    for accuracy in (0.5, 0.7, 0.6, None, 0.7, 0.8):
        made.epoch(accuracy)
        found.append(made.written())
    assert [f["last"] for f in found] == [3, 6, 9, 12, 15, 18]
    assert [f["previous"] for f in found] == [0, 3, 6, 9, 12, 15]
    assert [f["best"] for f in found] == [3, 6, 6, 6, 6, 18]


@pytest.mark.parametrize("every", [1, 2, 4, 5])
def test_every_so_many_steps_counts_steps_of_the_whole_training(training: Make, every: int) -> None:
    made = training(every_steps=every)
    made.start()
    for step in range(1, 10):
        made.epoch(steps=1) if step % 3 == 0 else made.step()
        assert made.written()["last"] == step // every * every


def test_every_so_many_epochs_counts_whole_epochs(training: Make) -> None:
    made = training(every_epochs=2)
    found = []
    for _ in range(5):
        made.step()
        found.append(made.written().get("last"))
        made.epoch(steps=2)
        found.append(made.written().get("last"))
    assert found == [None, None, None, 6, 6, 6, 6, 12, 12, 12]


def test_an_epoch_that_was_cut_short_does_not_count(training: Make) -> None:
    made = training(every_epochs=1)
    made.step()
    made.hook.on_epoch(made.state, row(1))
    assert made.written() == {}


def test_every_so_many_minutes_counts_from_the_last_one(training: Make, clock: Clock) -> None:
    made = training(every_minutes=0.5)
    made.start()
    found = []
    for seconds in (20, 9.9, 0.2, 29, 2, 60, 1):
        clock.now += seconds
        made.step()
        found.append(made.written()["last"])
    assert found == [0, 0, 3, 3, 5, 6, 6]


def test_minutes_also_pass_while_an_epoch_is_evaluated(training: Make, clock: Clock) -> None:
    made = training(every_minutes=1)
    made.start()
    made.step()
    clock.now += 61
    made.epoch(0.5, steps=0)
    assert made.written() == {"best": 1, "last": 1, "previous": 0}


def test_what_the_last_one_holds_is_not_written_again_at_the_end(training: Make) -> None:
    made = training(every_epochs=1)
    made.start()
    made.epoch(0.5)
    made.end()
    assert made.written() == {"best": 3, "last": 3, "previous": 0}


def test_going_on_without_a_step_writes_nothing(training: Make) -> None:
    made = training()
    made.state = State(epoch=2, step=6)
    made.start()
    made.end()
    assert made.written() == {}


def test_best_says_where_it_was_found(training: Make, tmp_path: Path) -> None:
    made = training()
    for accuracy in (0.5, 0.75, NAN, 0.6):
        made.epoch(accuracy)
    made.end()
    best = {"value": 0.75, "epoch": 2, "step": 6}
    assert made.hook.best == best
    found = checkpoint.read(tmp_path / "best.pt")
    assert (found.training["best"], found.training["epoch"], found.training["step"]) == (best, 2, 6)
    assert "optimizer" not in found.training
    last = checkpoint.read(tmp_path / "last.pt").training
    assert (last["best"], last["epoch"], last["step"], last["optimizer"]) == (best, 4, 12, {"lr": 0.5})


def test_counters_are_those_of_the_moment_although_training_goes_on(training: Make, tmp_path: Path) -> None:
    made = training(every_steps=5)
    for accuracy in (0.5, 0.6):
        made.epoch(accuracy, steps=2)
    made.step()
    made.content["optimizer"]["lr"] = 9.0
    nn.init.constant_(made.model.weight, 9)
    assert made.written() == {"best": 4, "last": 5}
    last = checkpoint.read(tmp_path / "last.pt").training
    counters = {name: last[name] for name in ("epoch", "batch", "step", "reported")}
    assert counters == {"epoch": 2, "batch": 1, "step": 5, "reported": 0}
    assert last["optimizer"] == {"lr": 0.5}


def test_an_evaluation_within_an_epoch_can_be_the_best(training: Make) -> None:
    made = training(every_epochs=1)
    made.step()
    made.evaluated(0.9)
    assert made.written() == {}
    made.epoch(0.5, steps=2)
    assert made.written() == {"best": 1, "last": 3}


def test_without_a_metric_to_watch_there_is_no_best(training: Make) -> None:
    made = training(watched=False)
    made.epoch(0.5)
    made.end()
    assert made.written() == {"last": 3}
    assert made.hook.best is None


def test_best_is_there_before_last_speaks_of_it(training: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the process is killed, the best that last.pt names is in best.pt."""
    written: list[tuple[str, Any]] = []

    def spy(path: Path) -> None:
        if path.name == "previous.pt":
            return
        best = checkpoint.read(path).training["best"]
        if path.name == "last.pt" and best is not None:
            assert checkpoint.read(path.with_name("best.pt")).training["best"]["step"] >= best["step"]
        written.append((path.name, best and best["step"]))

    pretending.watching(monkeypatch, spy)
    made = training(every_epochs=1)
    made.start()
    for accuracy in (0.5, 0.4, 0.6):
        made.epoch(accuracy)
    made.end()
    assert written == [
        *(("last.pt", None), ("best.pt", 3), ("last.pt", 3), ("last.pt", 3), ("best.pt", 9), ("last.pt", 9))
    ]


def test_a_best_that_is_found_as_training_fails_is_written(training: Make) -> None:
    made = training()
    made.start()
    made.epoch(0.5)
    made.hook.close()
    assert {p.stem for p in made.directory.glob("*.pt")} == {"last", "best"}


def test_going_on_takes_up_the_best_of_before(training: Make, tmp_path: Path) -> None:
    first = training()
    first.epoch(0.7)
    first.end()
    second = training()
    assert second.hook.take_up(first.hook.best) == ""
    second.state = State(epoch=1, step=3)
    second.start()
    second.epoch(0.6)
    second.end()
    assert second.hook.best == {"value": 0.7, "epoch": 1, "step": 3}
    assert second.hook.best_model is not None
    assert float(second.hook.best_model["weight"]) == 3
    assert second.written() == {"best": 3, "last": 6, "previous": 3}
    second.epoch(0.8)
    second.end()
    assert second.written() == {"best": 9, "last": 9, "previous": 6}


# Weights and states that a checkpoint cannot hold.


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_weights_that_are_not_finite_leave_the_checkpoints_as_they_are(training: Make, value: float) -> None:
    made = training(every_epochs=1)
    made.start()
    made.epoch(0.5)
    assert made.written() == {"best": 3, "last": 3, "previous": 0}
    before = {path: path.read_bytes() for path in made.directory.iterdir()}
    made.state.step, made.state.epoch = 6, 2
    nn.init.constant_(made.model.weight, value)
    with pytest.raises(DivergedError, match=r"^weight is not finite after epoch 2, step 6$") as caught:
        made.hook.on_epoch(made.state, row(2))
    assert caught.value.step == 6
    made.hook.wait()
    assert {path: path.read_bytes() for path in made.directory.iterdir()} == before


def test_weights_that_are_not_finite_are_written_where_that_is_to_be_ignored(training: Make, tmp_path: Path) -> None:
    made = training(finite=False)
    nn.init.constant_(made.model.weight, NAN)
    made.start()
    made.end()
    assert bool(checkpoint.read(tmp_path / "last.pt").model["weight"].isnan())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": {"state": {0: {"file": Path("x")}}}}, r"^optimizer\.state\.0\.file is a \w*Path, and"),
        ({"optimizer": {"state": {0: {"mean": np.zeros(3)}}}}, r"^optimizer\.state\.0\.mean is a ndarray, and"),
        ({"optimizer": {"param_groups": [{"lr": 1}, {"lr": {1}}]}}, r"^optimizer\.param_groups\.1\.lr is a set, and"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_named_after_the_first_step(
    training: Make, wrong: dict[str, Any], message: str
) -> None:
    """An optimizer's state is there from then on; the first scheduled checkpoint may be hours away."""
    made = training()
    made.start()
    made.content |= wrong
    with pytest.raises(ConfigError, match=message):
        made.step()
    assert made.written() == {"last": 0}


def test_numbers_of_numpy_are_kept_as_numbers(training: Make, tmp_path: Path) -> None:
    made = training()
    made.content["optimizer"] = {"a": np.float64(0.5), "b": [np.int64(3), (np.bool_(True), None)], "c": b"x"}
    made.step()
    made.end()
    kept = checkpoint.read(tmp_path / "last.pt").training["optimizer"]
    assert kept == {"a": 0.5, "b": [3, (True, None)], "c": b"x"}
    assert [type(v) for v in (kept["a"], kept["b"][0], kept["b"][1][0])] == [float, int, bool]


# Writes that fail.


class Disk:
    """What checkpoints are written to, as long as it is not full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        pretending.full_disk(monkeypatch, lambda path: self.full)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("then", ["step", "end", "close"])
def test_a_write_that_failed_in_the_background_is_raised_at_the_next_occasion(
    training: Make, disk: Disk, then: str
) -> None:
    made = training(every_steps=1)
    made.start()
    made.hook.wait()
    disk.full = True
    made.step()
    occasion = {"step": made.step, "end": made.end, "close": made.hook.close}[then]
    with pytest.raises(StorageError, match="disk full"):
        occasion()
    disk.full = False
    assert made.written() == {"last": 0}


def test_a_best_that_could_not_be_written_is_raised_and_keeps_last_from_naming_it(training: Make, disk: Disk) -> None:
    made = training(every_epochs=1)
    made.start()
    made.hook.wait()
    disk.full = True
    made.epoch(0.5)
    with pytest.raises(StorageError, match=r"best\.pt: disk full"):
        made.end()
    disk.full = False
    assert made.written() == {"last": 0}


def test_the_thread_ends_with_the_training_also_where_the_last_write_fails(training: Make, disk: Disk) -> None:
    made = training()
    disk.full = True
    made.start()
    with pytest.raises(StorageError):
        made.hook.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("checkpoints")]


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
    log.close()
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


def test_rows_of_before_are_read_as_they_were(tmp_path: Path) -> None:
    """The curves at the end are of the whole training."""
    first = MetricsLog(tmp_path / "metrics.jsonl")
    first.on_epoch(State(), row(1, **{"val/loss": 0.1 + 0.2, "val/r2": NAN}))
    first.close()
    again = MetricsLog(tmp_path / "metrics.jsonl")
    again.close()
    (kept,) = again.rows
    assert np.isnan(kept.pop("val/r2"))
    assert kept == {**row(1), "val/loss": 0.1 + 0.2}


def test_a_checkpoint_is_told_how_long_the_log_is_on_the_disk(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    assert log.flush() == ("metrics.jsonl", 0)
    log.on_epoch(State(), row(1, seconds=0.01))
    assert log.flush() == ("metrics.jsonl", (tmp_path / "metrics.jsonl").stat().st_size)
    assert len(lines(tmp_path / "metrics.jsonl")) == 1
    log.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"metrics\.jsonl: its directory is gone"):
        MetricsLog(tmp_path / "gone" / "metrics.jsonl")
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log._file.close()
    full = os.open("/dev/full", os.O_WRONLY)
    log._file = os.fdopen(full, "w")
    for write in (lambda: log.on_epoch(State(), row(1)), log.flush, log.close):
        with pytest.raises(StorageError, match=r"^cannot write .*metrics\.jsonl: disk full"):
            write()


# --- TensorBoard ----------------------------------------------------------------------------------------


def lenet() -> nn.Module:
    return models.make("lenet", in_channels=1, image_size=16, num_classes=3)


def board(directory: Path, model: nn.Module | None = None, epochs: int = 3, **keys: Any) -> TensorBoard:
    objective = Objective("val/accuracy", "max")
    return TensorBoard(directory, TensorBoardConfig(**keys), model or nn.Linear(2, 1), epochs, objective)


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
            state.batch, state.losses = 1, torch.tensor([float(state.step)])
            hook.on_step(state)
        state.epoch = epoch + 1
        hook.on_epoch(state, row(state.epoch, **{"val/accuracy": 0.1 * state.epoch}))


def test_every_entry_of_a_row_but_its_place_is_a_curve_over_steps(tmp_path: Path) -> None:
    hook = board(tmp_path)
    run(hook, epochs=3, steps=10)
    hook.close()
    assert set(events(tmp_path).Tags()["scalars"]) == {
        *("Objective/best val/accuracy", "Objective/val/accuracy", "loss/train", "metrics/accuracy/val"),
        *("training/lr", "training/seconds"),
    }
    assert [step for step, _ in scalars(tmp_path, "training/lr")] == [10, 20, 30]
    for name in ("metrics/accuracy/val", "Objective/val/accuracy"):
        assert [value for _, value in scalars(tmp_path, name)] == pytest.approx([0.1, 0.2, 0.3])


def test_evaluations_within_an_epoch_are_points_too(tmp_path: Path) -> None:
    hook = board(tmp_path)
    hook.on_evaluation(State(step=5), row(1, **{"val/loss": 2.0}))
    hook.close()
    assert scalars(tmp_path, "loss/val") == [(5, 2.0)]


@pytest.mark.parametrize(("epochs", "steps", "every"), [(1, 10, 1), (2, 10, 4), (3, 10, 10), (6, 5, 7)])
def test_step_losses_have_a_point_per_so_many_steps(tmp_path: Path, epochs: int, steps: int, every: int) -> None:
    hook = board(tmp_path, every_steps=every)
    run(hook, epochs, steps)
    hook.close()
    expected = range(every, epochs * steps + 1, every)
    assert scalars(tmp_path, "loss/within_epochs") == [(step, float(step)) for step in expected]


def test_a_step_loss_is_kept_although_its_tensor_is_used_again(tmp_path: Path) -> None:
    """As a captured graph does."""
    hook, losses = board(tmp_path, every_steps=1), torch.zeros(1)
    for step in (1, 2, 3):
        losses.fill_(step)
        hook.on_step(State(batch=1, step=step, losses=losses))
    hook.on_epoch(State(epoch=1, step=3), row(1))
    hook.close()
    assert [value for _, value in scalars(tmp_path, "loss/within_epochs")] == [1, 2, 3]


def test_long_trainings_get_at_most_some_thousand_points_and_the_last(tmp_path: Path) -> None:
    hook = board(tmp_path, epochs=5003)
    for epoch in range(1, 5004):
        hook.on_epoch(State(epoch=epoch, step=epoch), {"train/loss": 1.0})
    hook.close()
    steps = [step for step, _ in scalars(tmp_path, "loss/train")]
    assert len(steps) == 1001
    assert steps[:2] == [5, 10]
    assert steps[-1] == 5003


def test_an_epoch_that_ends_the_training_early_has_its_point(tmp_path: Path) -> None:
    hook = board(tmp_path, epochs=5000)
    hook.on_epoch(State(epoch=7, step=7, stop="enough"), {"train/loss": 1.0})
    hook.close()
    assert scalars(tmp_path, "loss/train") == [(7, 1.0)]


def test_the_graph_has_the_layers_with_their_shapes(tmp_path: Path) -> None:
    model = lenet()
    hook = board(tmp_path, model)
    assert hook.graph(torch.zeros(1, 1, 16, 16)) == ""
    hook.close()
    found = events(tmp_path)
    assert found.Tags()["graph"]
    nodes = {node.name: node for node in found.Graph().node}
    computed = {node.op: name.split("/")[0] for name, node in nodes.items() if node.op in ("conv2d", "linear")}
    assert computed == {"conv2d": "conv2", "linear": "fc2"}  # the last of each
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    assert len(layers) == 4
    for name, layer in layers.items():
        (node,) = (n for n in nodes.values() if n.name.startswith(f"{name}/") and n.op in ("conv2d", "linear"))
        assert {f"{name}/weight", f"{name}/bias"} <= {*node.input} <= nodes.keys()
        assert shape(node)[:2] == [1, layer.weight.shape[0]]
        assert shape(nodes[f"{name}/weight"]) == [*layer.weight.shape]
    assert model.training


def shape(node: Any) -> list[int]:
    """That of its one output."""
    (found,) = node.attr["_output_shapes"].list.shape
    return [dim.size for dim in found.dim]


class Branching(nn.Module):
    """Two branches that meet, tensors in pieces, a parameter of its own, layers within layers that are used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.twice = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, 1)
        return self.twice(left) + self.scale * self.twice(right)


def test_every_input_of_a_node_is_a_node_before_it(tmp_path: Path) -> None:
    model = Branching()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    hook = board(tmp_path, model)
    assert hook.graph(torch.zeros(1, 4)) == ""
    hook.close()
    nodes = events(tmp_path).Graph().node
    names = [node.name for node in nodes]
    assert len({*names}) == len(names)
    for place, node in enumerate(nodes):
        assert {*node.input} <= {*names[:place]}, node.name
    ops = {node.name: node.op for node in nodes}
    assert ops["scale"] == ops["twice/0/weight"] == "parameter"
    assert ops["twice/1/running_mean"] == "buffer"
    assert ops["x"] == "input"
    assert sum(op == "linear" for op in ops.values()) == 2
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


class Drawing(nn.Module):
    """Draws numbers while it computes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(()) + random.random() + np.random.rand()


def test_a_graph_draws_no_random_numbers(tmp_path: Path) -> None:
    hook = board(tmp_path, Drawing())
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    expected = torch.rand(3), random.random(), np.random.rand()
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    hook.graph(torch.zeros(1, 4))
    hook.close()
    assert torch.equal(torch.rand(3), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]


class Stubborn(nn.Module):
    """Cannot be run at all."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no tracing here\nat all")


class Silent(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Deciding(nn.Module):
    """Looks at values, which a graph does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Stubborn(), "^no tracing here"),
        (Silent(), "^NotImplementedError$"),
        (Deciding(), "data-dependent"),
    ],
)
def test_a_model_without_a_graph_says_why_in_a_line_and_trains_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], model: nn.Module, reason: str
) -> None:
    hook = board(tmp_path, model)
    found = hook.graph(torch.zeros(1, 1))
    assert re.search(reason, found)
    assert "\n" not in found
    assert model.training
    run(hook, epochs=1, steps=1)
    hook.close()
    assert scalars(tmp_path, "loss/train") == [(1, 1.0)]
    assert capfd.readouterr() == ("", "")


def test_a_checkpoint_is_told_how_long_tensorboards_file_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths, fsync = {}, os.fsync

    def spy(handle: int) -> None:
        fsync(handle)
        lengths[os.fstat(handle).st_ino] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", spy)
    hook = board(tmp_path)
    run(hook, epochs=2, steps=3)
    name, length = hook.flush()
    file = (tmp_path / name).stat()
    assert lengths == {file.st_ino: length}
    assert len(scalars(tmp_path, "loss/train")) == 2
    hook.close()


def test_histograms_of_weights_and_gradients_are_written_if_asked_for(tmp_path: Path) -> None:
    for name, wanted in (("with", True), ("without", False)):
        (tmp_path / name).mkdir()
        model = nn.Linear(2, 1)
        model(torch.ones(3, 2)).sum().backward()
        hook = board(tmp_path / name, model, histograms=wanted)
        run(hook, epochs=2, steps=1)
        hook.close()
        tags = {f"weights/{name}" for name in ("weight", "bias", "weight.grad", "bias.grad")} if wanted else set()
        assert set(events(tmp_path / name).Tags()["histograms"]) == tags
    found = events(tmp_path / "with").Histograms("weights/weight.grad")
    assert [event.step for event in found] == [1, 2]
    assert found[0].histogram_value.sum == pytest.approx(6)


def test_pictures_are_kept_pixel_by_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(5, 8, 3), dtype=np.uint8)
    hook = board(tmp_path)
    hook.image("curves", encoded(pixels), State(step=30))
    hook.close()
    (image,) = events(tmp_path).Images("pictures/curves")
    assert (image.width, image.height) == (8, 5)
    assert image.step == 30
    assert np.array_equal(Image.open(io.BytesIO(image.encoded_image_string)), pixels)


def test_hyperparameters_stand_beside_the_final_metrics(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    hook = board(tmp_path)
    settings = {"optim.lr": 0.1, "epochs": 3, "model.name": "lenet", "optim.betas": [0.9, 0.99]}
    hook.begin(settings)
    hook.finish({"test/accuracy": 0.9, "test/loss": 0.5}, State(step=30))
    hook.close("completed")
    found = events(tmp_path)
    content = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    parsed = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert parsed["optim.lr"].number_value == 0.1
    assert parsed["epochs"].number_value == 3
    assert parsed["model.name"].string_value == "lenet"
    assert parsed["optim.betas"].string_value == "[0.9, 0.99]"
    assert scalars(tmp_path, "test/accuracy") == [(30, pytest.approx(0.9))]
    assert "_hparams_/experiment" not in found.summary_metadata  # TensorBoard would apply one run's to all of them
    assert len(list(tmp_path.iterdir())) == 1  # one file, and no run of its own below


def test_values_that_are_not_finite_do_not_stop_the_curves(tmp_path: Path) -> None:
    hook = board(tmp_path)
    hook.on_epoch(State(epoch=1, step=1), row(1, **{"val/r2": NAN}))
    hook.close()
    ((_, value),) = scalars(tmp_path, "metrics/r2/val")
    assert np.isnan(value)
