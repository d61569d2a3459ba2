"""The lines of a training on the screen: which epochs are shown, and what the log has."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Trainer
from running import SILENT, rows, runs

from trainer.engine.objective import Objective
from trainer.engine.state import Plan, Row, State
from trainer.run.hooks.screen import Screen
from trainer.show.report import Report

LINE = re.compile(r" *(\d+)([·+ ]?) ")


def shown(text: str) -> list[int]:
    """The epochs of the lines of a table."""
    found = (LINE.match(line) for line in text.splitlines())
    return [int(match[1]) for match in found if match is not None]


def run(report: Report, accuracies: Sequence[float], epochs: int, lasting: float = 0.0) -> None:
    """A training whose epochs have these accuracies, and end so many seconds after each other."""
    screen = Screen(report, ["train/loss", "val/accuracy"], [1], Plan(epochs), Objective("val/accuracy", "max"))
    state = State()
    screen.on_start(state)
    for epoch, accuracy in enumerate(accuracies, 1):
        screen._line_drawn -= lasting
        state.epoch = epoch
        row: Row = {"epoch": epoch, "step": epoch, "lr": 0.1, "train/loss": 1.0, "val/accuracy": accuracy}
        screen.on_epoch(state, row)
    screen.on_end(state)


def test_few_epochs_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    run(Report(), [0.1] * 50, 50)
    assert shown(capsys.readouterr().out) == [*range(1, 51)]


def test_of_many_fast_epochs_some_are_shown_with_the_last_and_the_best_and_the_log_has_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = Report()
    report.log_to(tmp_path / "log")
    accuracies = [0.5] * 5000
    accuracies[1233] = 0.9
    run(report, accuracies, 5000)
    report.close()
    out = capsys.readouterr().out
    assert shown(out) == [1, *range(250, 5001, 250), 1234]
    assert out.endswith("+ the best epoch, by val/accuracy\n")
    assert shown((tmp_path / "log").read_text()) == [*range(1, 5001)]


def test_slow_epochs_are_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run(Report(), [0.1] * 100, 100, lasting=Screen.LINE_SECONDS)
    assert shown(capsys.readouterr().out) == [*range(1, 101)]


def test_where_a_training_is_stopped_its_last_epoch_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run(Report(), [0.1, 0.3, 0.2, 0.2], 1000)
    assert shown(capsys.readouterr().out) == [1, 4, 2]


def test_a_long_table_has_its_header_again_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(Report(), [0.1] * 45, 45)
    assert capsys.readouterr().out.count("epoch") == 1
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    run(Report(), [0.1] * 50, 50)
    assert capsys.readouterr().out.count("epoch") == 2


def test_a_resumed_training_does_not_take_a_worse_epoch_for_its_best(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(Report(), ["val/accuracy"], [1], Plan(100), Objective("val/accuracy", "max"), best=0.9)
    screen.on_start(State())
    screen.on_epoch(State(epoch=60), {"epoch": 60, "step": 60, "lr": 0.1, "val/accuracy": 0.8})
    screen.on_end(State(epoch=60))
    assert "best" not in capsys.readouterr().out


def test_a_training_that_learns_nothing_does_not_end_in_green(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    ran = trainer("train", "model=linear", "data.limit=200", "epochs=3", "optim=sgd", "optim.lr=1e-9", *SILENT)
    assert ran.code == 0
    assert re.search(r"\x1b\[31m╭─.*linear_digits: done, at chance", ran.out)
    assert "\x1b[32m╭" not in ran.out


def test_colours_are_for_terminals_and_for_who_wants_them(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("train", "model=linear", "data.limit=200", "epochs=1", *SILENT)
    assert "\x1b" not in trainer(*command).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in trainer(*command).out
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", trainer(*command).out)


def test_the_closing_lines_say_where_pictures_are_and_commands_are_whole(trainer: Trainer) -> None:
    ran = trainer("train", "model=linear", "data.limit=200", "epochs=1", "tensorboard.enabled=false")
    (directory,) = runs()
    assert len(rows(directory)) == 1
    lines = ran.out.splitlines()
    (pictures,) = (line.split(maxsplit=1)[1] for line in lines if line.startswith("  pictures"))
    folders = dict(re.findall(r"(\w+)/ \(([^)]*)\)", pictures))
    for folder, names in folders.items():
        there = {path.stem for path in (directory / folder).glob("*.png")}
        assert set(re.split(", | and ", names)) == there
    assert f"  trainer predict {directory} input=FOLDER" in lines


def test_commands_to_go_on_with_name_the_users_own_files_and_work_as_they_are(trainer: Trainer, images: Path) -> None:
    ran = trainer("train", "model=linear", "data=folder", f"data.path={images}", "epochs=1", *SILENT)
    lines = ran.out.splitlines()
    commands = [shlex.split(line) for line in lines[lines.index("next") + 1 :]]
    assert [words[:2] for words in commands] == [["trainer", verb] for verb in ("eval", "predict", "inspect")]
    assert f"input={images}" in commands[1]
    for words in commands:
        assert trainer(*words[1:]).code == 0


@pytest.mark.parametrize(("schedule", "longer"), [("constant", True), ("cosine", False)])
def test_a_run_that_should_go_on_is_resumed_as_it_says_unless_its_schedule_is_at_its_end(
    trainer: Trainer, schedule: str, longer: bool
) -> None:
    short = ("model=linear", "data.limit=200", "epochs=3", "optim=adam", f"scheduler={schedule}")
    ran = trainer("train", *short, *SILENT)
    commands = [shlex.split(line) for line in ran.out.splitlines() if line.startswith("  trainer resume")]
    assert bool(commands) == longer, ran.out
    for words in commands:
        assert trainer(*words[1:]).code == 0
