"""TensorBoard's file: what its own reader reads in it, beside what torch's own writer writes."""

import io
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Trainer
from PIL import Image
from running import result, rows, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import nn
from torch.utils.tensorboard import SummaryWriter, summary

from trainer.config.train import TensorBoard as TensorBoardConfig
from trainer.engine.objective import Objective
from trainer.engine.state import State
from trainer.run import directory as runs
from trainer.run.directory import EVENTS
from trainer.run.hooks import charts
from trainer.run.hooks.events import Events, buckets
from trainer.run.hooks.tensorboard import TensorBoard
from trainer.system.errors import RunError, StorageError

OBJECTIVE = Objective("train/loss", "min")


def records(path: Path) -> Iterator[Event]:
    """The events of a file, read as the format is described: length, its CRC, content, its CRC."""
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert len(content) >= 16 + length, "the last record is cut off"
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def contents(directory: Path) -> list[tuple[int, Any]]:
    """Step and content of every event in the files of `directory`, without what a clock says."""
    found = []
    for path in sorted(directory.glob(EVENTS)):
        for event in records(path):
            event.ClearField("wall_time")
            if event.file_version or event.HasField("session_log"):
                continue
            if event.HasField("graph_def"):
                found.append((event.step, event.graph_def))
                continue
            found.append((event.step, event.SerializePartialToString(deterministic=True)))
    return found


def read(directory: Path) -> EventAccumulator:
    """As TensorBoard reads a run: all files in the order of their names."""
    return EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()


def point(tag: str, value: float) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def scalars(directory: Path, tag: str = "loss") -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(directory).Scalars(tag)]


@pytest.fixture
def torchs(tmp_path: Path) -> Iterator[SummaryWriter]:
    writer = SummaryWriter(str(tmp_path / "torch"))
    yield writer
    writer.close()


# --- equal to torch's writer --------------------------------------------------------------------------


def test_the_edges_of_histograms_are_tensorboards(torchs: SummaryWriter) -> None:
    assert buckets() == torchs.default_bins


def test_curves_pictures_and_histograms_are_those_of_torchs_writer(tmp_path: Path, torchs: SummaryWriter) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(5, 8, 3), dtype=np.uint8)
    weights = torch.randn(50, generator=torch.Generator().manual_seed(0))
    torchs.add_scalar("loss", 0.25, 3)
    torchs.add_image("curves", pixels, 4, dataformats="HWC")
    torchs.add_histogram("weights", weights, 5)
    torchs.close()

    own = Events(tmp_path)
    own.summary(point("loss", 0.25), 3)
    own.summary(summary.image("curves", pixels, dataformats="HWC"), 4)
    own.summary(summary.histogram("weights", weights.numpy(), buckets()), 5)
    own.close()
    assert contents(tmp_path) == contents(tmp_path / "torch")
    assert len(contents(tmp_path)) == 3


def test_the_hooks_picture_histograms_and_hyperparameters_are_those_of_torchs_writer(
    tmp_path: Path, torchs: SummaryWriter
) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    model(torch.ones(4, 3)).sum().backward()
    settings, metrics = {"optim.lr": 0.1, "model.name": "linear", "on": True}, {"test/loss": 0.5}
    hook = TensorBoard(tmp_path, TensorBoardConfig(histograms=True), model, 3, OBJECTIVE)
    hook.begin(settings)
    hook.on_epoch(State(epoch=1, step=9), {"train/loss": 0.5})
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "png")  # as torch makes it one
    hook.image("plots", png.getvalue(), State(step=12))
    hook.finish(metrics, State(step=12))
    hook.close("completed")
    _, start, end = summary.hparams(settings, metrics)  # the first would be of this run alone
    torchs._get_file_writer().add_summary(start)
    loss = {"loss": ["Multiline", [r"loss/train$"]], "objective: train/loss": ["Multiline", [r"Objective/train/loss$"]]}
    loss["objective: train/loss"][1].append(r"Objective/best\ train/loss$")
    torchs.add_custom_scalars({"loss and objective": loss})
    every = ("loss/train", "Objective/best train/loss", "Objective/train/loss")
    torchs._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, simple_value=0.5) for tag in every]), 9)
    for name, parameter in model.named_parameters():
        torchs.add_histogram(f"weights/{name}", parameter, 9)
        torchs.add_histogram(f"weights/{name}.grad", parameter.grad, 9)
    torchs.add_image("pictures/plots", pixels, 12, dataformats="HWC")
    torchs.add_scalar("test/loss", 0.5, 12)
    torchs._get_file_writer().add_summary(end)
    torchs.close()
    own, theirs = contents(tmp_path), contents(tmp_path / "torch")
    assert own[1:-1] == theirs[1:-1]
    for place in (0, -1):  # start and end have a time in them
        assert b"_hparams_/session_" in own[place][1]
        assert b"_hparams_/session_" in theirs[place][1]


def test_every_record_has_its_checksums(tmp_path: Path) -> None:
    """TensorBoard's own reader drops what comes after a wrong one."""
    own = Events(tmp_path)
    for step in range(100):
        own.summary(point("loss", step / 7), step)
    own.close()
    assert scalars(tmp_path) == [(step, float(np.float32(step / 7))) for step in range(100)]
    content = bytearray(own.path.read_bytes())
    content[len(content) // 2] ^= 1
    own.path.write_bytes(content)
    assert len(scalars(tmp_path)) < 60


# --- where the file ends ------------------------------------------------------------------------------


def test_after_a_flush_the_file_is_as_long_as_said_and_ends_with_a_whole_record(tmp_path: Path) -> None:
    own = Events(tmp_path)
    for step in range(5):
        own.summary(point("loss", step), step)
        length = own.flush()
        assert own.path.stat().st_size == length
        assert len(list(records(own.path))) == step + 2
    own.close()


def test_cut_back_to_a_length_that_was_said_the_file_has_what_it_had(tmp_path: Path) -> None:
    own = Events(tmp_path)
    own.summary(point("loss", 1), 1)
    length = own.flush()
    own.summary(point("loss", 2), 2)
    own.close()
    os.truncate(own.path, length)
    assert scalars(tmp_path) == [(1, 1.0)]


# --- several files of one run -------------------------------------------------------------------------


def test_files_of_one_second_sort_in_the_order_they_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.9)
    made = []
    for step in range(12):
        own = Events(tmp_path)
        own.summary(point("loss", step), step)
        own.close()
        made.append(own.path)
    assert sorted(tmp_path.glob(EVENTS)) == made
    assert [step for step, _ in scalars(tmp_path)] == list(range(12))


@pytest.mark.parametrize("now", [5.0, 0.0, 1_600_000_000.0])
def test_a_file_sorts_after_those_of_before_although_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    first = Events(tmp_path)
    first.close()
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(socket, "gethostname", lambda: "a")  # another machine, another process
    monkeypatch.setattr(os, "getpid", lambda: 1)
    second = Events(tmp_path)
    second.close()
    assert first.path.name < second.path.name


def test_files_of_others_do_not_disturb(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.mine.x").touch()
    own = Events(tmp_path)
    own.close()
    assert own.path.exists()


def test_a_later_file_makes_tensorboard_forget_steps_of_an_older_one(tmp_path: Path) -> None:
    """What a killed training wrote after its last checkpoint is replaced, should it still be there."""
    first = Events(tmp_path)
    for step in range(1, 8):
        first.summary(point("loss", step), step)
    first.close()
    second = Events(tmp_path, purge_from=5)
    for step in (5, 6):
        second.summary(point("loss", 10 * step), step)
    second.close()
    assert scalars(tmp_path) == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 50), (6, 60)]


def test_without_it_both_would_be_shown(tmp_path: Path) -> None:
    for value in (1, 2):
        own = Events(tmp_path)
        own.summary(point("loss", value), 5)
        own.close()
    assert scalars(tmp_path) == [(5, 1), (5, 2)]


def test_a_hook_that_goes_on_forgets_what_came_after(tmp_path: Path) -> None:
    for purge_from, values in ((None, [1, 2, 3, 4]), (3, [30, 40])):
        hook = TensorBoard(tmp_path, TensorBoardConfig(every_steps=1), nn.Linear(1, 1), 2, OBJECTIVE, purge_from)
        state = State(step=(purge_from or 1) - 1)
        for value in values:
            state.step += 1
            state.batch, state.losses = 1, torch.tensor([float(value)])
            hook.on_step(state)
        hook.close()
    assert scalars(tmp_path, "loss/within_epochs") == [(1, 1), (2, 2), (3, 30), (4, 40)]


# --- in a run -----------------------------------------------------------------------------------------


def test_a_run_has_one_file_with_every_figure_that_is_in_its_other_files(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data.limit=100", "epochs=3", "plots=false", "tensorboard.graph=false")
    (path,) = run.glob(EVENTS)
    list(records(path))  # whole to the end
    for curve, name in (("loss/train", "train/loss"), ("metrics/accuracy/val", "val/accuracy"), ("training/lr", "lr")):
        expected = [(row["step"], pytest.approx(row[name])) for row in rows(run)]
        assert scalars(run, curve) == expected
    for name in ("test/loss", "test/accuracy"):
        assert scalars(run, name) == [(result(run)["steps"], pytest.approx(result(run)["metrics"][name]))]


# --- what fails ---------------------------------------------------------------------------------------


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"events\.out\.tfevents\..*: its directory is gone"):
        Events(tmp_path / "gone")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_is_named_at_the_latest_when_flushed(tmp_path: Path) -> None:
    own = Events(tmp_path)
    own._file.close()
    full = Path("/dev/full").open("wb")  # noqa: SIM115
    own._file, own._writer._writer = full, full
    own.summary(point("loss", 1), 1)
    for write in (own.flush, own.close):
        with pytest.raises(StorageError, match="disk full"):
            write()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_hook_on_a_full_disk_closes_its_file(tmp_path: Path) -> None:
    """Python would otherwise write once more when it ends, and from 3.13 on complain on the screen."""
    hook = TensorBoard(tmp_path, TensorBoardConfig(every_steps=1), nn.Linear(1, 1), 2, OBJECTIVE)
    hook.events._file.close()
    full = Path("/dev/full").open("wb")  # noqa: SIM115
    hook.events._file, hook.events._writer._writer = full, full
    hook.on_step(State(batch=1, step=1, losses=torch.ones(1)))
    with pytest.raises(StorageError, match="disk full"):
        hook.close()
    assert full.closed


# --- what TensorBoard shows first ---------------------------------------------------------------------


def test_the_objective_and_the_loss_come_first_in_the_order_of_names() -> None:
    """TensorBoard opens with the first two groups of curves unfolded, and lists metrics in the same order."""
    row = ("lr", "seconds", "samples_per_second", "train/loss", "val/loss", "val/accuracy", "val/f1", "val/auc")
    tags = [*map(charts.tag, row), charts.best("val/f1"), charts.raw("val/f1"), charts.STEP_LOSS, "test/auc"]
    tags += [f"{charts.PICTURES}/confusion", "weights/fc1.weight"]
    groups = list(dict.fromkeys(tag.partition("/")[0] for tag in sorted(tags)))
    assert groups == ["Objective", "loss", "metrics", "pictures", "test", "training", "weights"]
    assert sorted(tags)[0] == "Objective/best val/f1"
    assert [tag for tag in sorted(tags) if tag.startswith("loss/")] == ["loss/train", "loss/val", "loss/within_epochs"]


def test_a_chart_has_the_curves_of_all_splits_and_of_nothing_else() -> None:
    names = ("epoch", "step", "lr", "train/loss", "val/loss", "train/accuracy", "val/accuracy", "val/accuracy_2")
    found = charts.layout(names, "val/accuracy")
    assert {title: [*inside] for title, inside in found.items()} == {
        "loss and objective": ["loss", "objective: val/accuracy"],
        "metrics": ["accuracy", "accuracy_2"],
        "learning rate and speed": ["lr"],
    }
    tags = [*map(charts.tag, names), charts.STEP_LOSS, charts.raw("val/accuracy"), charts.best("val/accuracy")]

    def shown(chart: tuple[str, list[str]]) -> set[str]:
        return {tag for tag in tags for pattern in chart[1] if re.match(pattern, tag)}

    assert shown(found["loss and objective"]["loss"]) == {"loss/train", "loss/val"}
    assert shown(found["metrics"]["accuracy"]) == {"metrics/accuracy/train", "metrics/accuracy/val"}
    assert len(shown(found["loss and objective"]["objective: val/accuracy"])) == 2


def test_the_best_so_far_is_that_of_the_objective_also_of_a_training_that_goes_on(tmp_path: Path) -> None:
    objective = Objective("val/loss", "min")
    objective.improved({"val/loss": 0.5})  # before it was interrupted
    hook = TensorBoard(tmp_path, TensorBoardConfig(), nn.Linear(1, 1), 3, objective, 2)
    for epoch, value in ((2, 0.7), (3, 0.25)):
        hook.on_epoch(State(epoch=epoch, step=epoch), {"val/loss": value})
    hook.close()
    assert scalars(tmp_path, "Objective/best val/loss") == [(2, 0.5), (3, 0.25)]
    assert scalars(tmp_path, "Objective/val/loss") == [(2, pytest.approx(0.7)), (3, 0.25)]


def test_an_objective_that_only_the_test_has_is_there_once(tmp_path: Path) -> None:
    hook = TensorBoard(tmp_path, TensorBoardConfig(), nn.Linear(1, 1), 1, Objective("test/accuracy", "max"))
    hook.on_epoch(State(epoch=1, step=4), {"train/loss": 1.0})
    hook.finish({"test/accuracy": 0.75}, State(step=4))
    hook.close()
    assert scalars(tmp_path, "Objective/best test/accuracy") == [(4, 0.75)]


# --- what a job of a sweep is called ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("optim.lr=0.1 seed=3", "optim.lr=0.1 seed=3"),
        ("data.path=../../x", "data.path=.._.._x"),
        (".hidden=1", ""),
        ("", ""),
        ("a=\x1b[31m\u202e", "a=_x1b[31m_u202e"),
    ],
)
def test_a_job_is_called_by_what_differs(tmp_path: Path, label: str, name: str) -> None:
    runs.call(tmp_path, label)
    assert [path.name for path in tmp_path.iterdir()] == ([name] if name else [])
    assert runs.of_tensorboard(tmp_path) == (tmp_path / name if name else tmp_path)


def test_a_job_of_any_name_has_a_folder(tmp_path: Path) -> None:
    runs.call(tmp_path, "name=" + "模" * 500)
    (folder,) = tmp_path.iterdir()
    Events(folder).close()
    runs.call(tmp_path, "name=other")
    assert [*tmp_path.iterdir()] == [folder]
    assert runs.of_tensorboard(tmp_path) == folder


def test_a_run_that_has_its_file_already_goes_on_beside_it(tmp_path: Path) -> None:
    Events(tmp_path).close()
    runs.call(tmp_path, "optim.lr=0.1")
    assert runs.of_tensorboard(tmp_path) == tmp_path


def test_a_folder_that_is_a_link_is_neither_written_to_nor_cut_back(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    elsewhere.mkdir()
    theirs = Events(elsewhere)
    theirs.close()
    length = theirs.path.stat().st_size
    (run / "a=b").symlink_to(elsewhere)
    runs.check_links(run)
    assert runs.of_tensorboard(run) == run
    runs.rewind(run, {theirs.path.name: 1})
    assert theirs.path.stat().st_size == length


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_file_in_such_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "run" / "a=b").mkdir(parents=True)
    mine, theirs = tmp_path / "mine", tmp_path / "run" / "a=b" / "events.out.tfevents.1.x"
    mine.write_text("mine")
    theirs.symlink_to(mine) if kind == "link" else os.link(mine, theirs)
    with pytest.raises(RunError, match="a link" if kind == "link" else "another name"):
        runs.check_links(tmp_path / "run")
