"""The screen: rich on a terminal, plain lines elsewhere, and a copy in a file."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from running import SILENT

from trainer.cli import main
from trainer.hooks.screen import Screen
from trainer.report import Report, duration, metric

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a person at a terminal of 100 columns sees, control codes included."""
    seen = io.StringIO()
    console = Console(force_terminal=True, width=100, file=seen, highlight=False)
    monkeypatch.setattr("trainer.report.Console", lambda **options: console)
    monkeypatch.setattr(Screen, "BAR_SECONDS", 0.0)
    return seen


def test_a_terminal_gets_a_bar_a_line_per_epoch_and_a_panel(terminal: io.StringIO, empty: Path) -> None:
    assert main(["train", "model=linear", "data.limit=200", "epochs=2", *SILENT]) == 0
    text = CODES.sub("", terminal.getvalue())
    assert re.search(r"epoch 1/2 .* \d/3 .* samples/s  loss \d+\.\d+  .* left", text)
    assert [line.split()[:2] for line in text.splitlines() if re.match(r" +\d+ +\d+ +\d\.\d{4}", line)] == [
        ["1", "3"],
        ["2", "6"],
    ]
    assert re.search(r"╭─ linear_digits: done ─+╮", text)
    assert "trainer eval ckpt=runs/linear_digits/" in text


def test_train_log_has_what_a_terminal_shows_without_its_codes(terminal: io.StringIO, empty: Path) -> None:
    main(["train", "model=linear", "data.limit=200", "epochs=1", *SILENT])
    (log,) = empty.glob("runs/*/*/train.log")
    text = log.read_text(encoding="utf-8")
    assert "\x1b" not in text
    for line in ("linear, 7,850 parameters", "train/loss", "linear_digits: done"):
        assert line in text


def test_reading_many_images_shows_a_bar_on_a_terminal(terminal: io.StringIO, images: Path) -> None:
    quick = ("model=linear", "data=folder", f"data.path={images}", "epochs=1", "data.val_fraction=0", *SILENT)
    assert main(["train", *quick]) == 0
    assert "reading train images" in CODES.sub("", terminal.getvalue())


def test_many_items_are_announced_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Report().track(range(5000), 5000, "reading")) == list(range(5000))
    assert capsys.readouterr().out == "reading: 5,000\n"


def test_markup_in_what_is_said_stays_text(terminal: io.StringIO) -> None:
    report = Report()
    report.say("[bold]data[/bold] [0.5]")
    report.panel("[red]title", [("path", "runs/[x]")])
    text = CODES.sub("", terminal.getvalue())
    assert "[bold]data[/bold] [0.5]" in text
    assert "[red]title" in text
    assert "runs/[x]" in text


@pytest.mark.parametrize(("seconds", "text"), [(4.24, "4.2 s"), (185, "3:05"), (3723, "1:02:03")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "value", "text"), [("val/accuracy", 0.98594, "98.59%"), ("test/loss", 0.04712, "0.04712")]
)
def test_accuracies_are_shown_in_percent(name: str, value: float, text: str) -> None:
    assert metric(name, value) == text
