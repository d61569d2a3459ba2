"""The screen: rich on a terminal, plain lines elsewhere, and a copy in a file."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer
from running import SILENT, result, rows, runs

from trainer.cli.main import main
from trainer.show.report import Report
from trainer.show.values import duration, metric

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What a person at a terminal of 100 columns has seen since it was last asked, control codes included."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)
    return lambda: capfd.readouterr().out


def test_a_terminal_gets_a_bar_a_line_per_epoch_and_a_panel(terminal: Callable[[], str], empty: Path) -> None:
    assert main(["train", "model=linear", "data.limit=200", "epochs=2", *SILENT]) == 0
    text = CODES.sub("", terminal())
    assert re.search(r"epoch 1/2 .* \d/3 .* left  loss \d+\.\d+  .* samples/s", text)
    assert [line.split()[:2] for line in text.splitlines() if re.match(r" +\d+ +\d+ +\d\.\d{4}", line)] == [
        ["1", "3"],
        ["2", "6"],
    ]
    assert re.search(r"╭─ linear_digits: done, [a-z0-9 ]+ ─+╮", text)
    assert "trainer eval runs/linear_digits/" in text


def test_train_log_has_what_a_terminal_shows_without_its_codes(terminal: Callable[[], str], empty: Path) -> None:
    main(["train", "model=linear", "data.limit=200", "epochs=1", *SILENT])
    (log,) = empty.glob("runs/*/*/train.log")
    text = log.read_text(encoding="utf-8")
    assert "\x1b" not in text
    for line in ("linear on digits, device ", "7,850 parameters", "train/loss", "linear_digits: done"):
        assert line in text


def test_reading_many_images_shows_a_bar_on_a_terminal(terminal: Callable[[], str], images: Path) -> None:
    quick = ("model=linear", "data=folder", f"data.path={images}", "epochs=1", "data.val_fraction=0", *SILENT)
    assert main(["train", *quick]) == 0
    assert "reading train images" in CODES.sub("", terminal())


def test_what_takes_a_while_gets_a_bar_and_what_is_done_at_once_none(terminal: Callable[[], str]) -> None:
    assert list(Report().track(range(3), 3, "quick", patience=1e9)) == [0, 1, 2]
    assert terminal() == ""
    assert list(Report().track(range(3), 3, "slow")) == [0, 1, 2]
    assert "slow" in terminal()


def test_an_interruption_takes_the_bar_away(terminal: Callable[[], str]) -> None:
    def interrupted() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    report = Report()
    with pytest.raises(KeyboardInterrupt):
        list(report.track(interrupted(), 3, "slow"))
    assert "slow" in terminal()
    report.say("after")
    assert "slow" not in terminal().rpartition("after")[2]


def test_many_jobs_are_announced_before_they_are_composed(capsys: pytest.CaptureFixture[str], empty: Path) -> None:
    assert main(["train", "-m", "seed=range(1000)", "sweep.dry_run=true"]) == 0
    assert capsys.readouterr().out.startswith("composing jobs: 1,000\n1000 jobs in ")


def test_many_items_are_announced_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Report().track(range(5000), 5000, "reading")) == list(range(5000))
    assert capsys.readouterr().out == "reading: 5,000\n"


def test_markup_in_what_is_said_stays_text(terminal: Callable[[], str]) -> None:
    report = Report()
    report.say("[bold]data[/bold] [0.5]")
    report.panel("[red]title", [("path", "runs/[x]")])
    text = CODES.sub("", terminal())
    assert "[bold]data[/bold] [0.5]" in text
    assert "[red]title" in text
    assert "runs/[x]" in text


@pytest.mark.parametrize("width", [100, 30])
def test_what_would_steer_a_terminal_is_shown_as_text(
    terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: int
) -> None:
    nasty = "\x1b[2J\r\n\x07\u202e\udcff"
    monkeypatch.setenv("COLUMNS", str(width))
    report = Report()
    report.console.width = width
    report.log_to(tmp_path / "log")
    report.say(nasty)
    report.facts(nasty, [(nasty, nasty)])
    report.panel(nasty, [("path", nasty)])
    report.table((nasty, "b"), [(nasty, "1")], nasty)
    report.close()
    for text in (CODES.sub("", terminal()), (tmp_path / "log").read_text(encoding="utf-8")):
        assert all(line.isprintable() for line in text.split("\n"))
        assert text.count(r"\udcff") == 9
        assert "\r" not in text


def test_a_log_that_cannot_be_opened_is_done_without(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = Report()
    report.say("before")
    report.log_to(tmp_path)
    report.say("after")
    report.close()
    out, err = capsys.readouterr()
    assert out == "before\nafter\n"
    assert err == f"warning: cannot write {tmp_path}: Is a directory; what follows is only shown here\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_a_full_disk_below_the_log_is_said_once_and_ends_no_training(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, sweep: tuple[str, ...]
) -> None:
    plain = open

    def to_a_full_disk(path: Any, *how: Any, **keys: Any) -> Any:
        if getattr(path, "name", "") == "train.log":
            path, keys["opener"] = "/dev/full", None
        return plain(path, *how, **keys)

    monkeypatch.setattr("builtins.open", to_a_full_disk)
    ran = trainer("train", *sweep, "model=linear", "data=line", "epochs=2", *SILENT)
    assert ran.code == 0
    (log,) = (path.with_name("train.log") for path in Path("runs").rglob("result.json"))
    assert ran.err == f"warning: cannot write {log}: No space left on device; what follows is only shown here\n"
    assert ("1 of 1" if sweep else "linear_line: done") in ran.out
    (run,) = runs()
    assert result(run)["status"] == "completed"
    assert len(rows(run)) == 2


def test_a_disk_that_is_full_later_keeps_the_lines_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Filling(io.StringIO):
        """Takes one line, and complains again when it is closed."""

        def flush(self) -> None:
            if "two" in self.getvalue():
                raise OSError(28, "No space left on device")

        def close(self) -> None:
            self.flush()

    file = Filling()
    report = Report()
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda *args, **keys: file)
        report.log_to(tmp_path / "train.log")
    for line in ("one", "two", "three"):
        report.say(line)
    report.close()
    out, err = capsys.readouterr()
    assert out == "one\ntwo\nthree\n"
    assert err.count("warning: cannot write") == len(err.splitlines()) == 1
    assert file.getvalue() == "one\ntwo\n"


@pytest.mark.parametrize(("seconds", "text"), [(4.24, "4.2 s"), (185, "3:05"), (3723, "1:02:03")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "value", "text"), [("val/accuracy", 0.98594, "98.59%"), ("test/loss", 0.04712, "0.04712")]
)
def test_accuracies_are_shown_in_percent(name: str, value: float, text: str) -> None:
    assert metric(name, value) == text


def test_what_is_done_at_once_is_not_said(terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "PATIENCE", 1e9)
    with Report().doing("drawing"):
        pass
    assert terminal() == ""


def test_what_takes_a_while_is_said_until_it_is_done(
    terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "PATIENCE", 0.0)
    report, seen = Report(), ""
    with report.doing("drawing [pictures]"):
        while "drawing [pictures]" not in seen:
            seen += terminal()
    report.say("after")
    assert "drawing" not in terminal().rpartition("after")[2]


def test_a_bar_takes_the_place_of_what_is_being_done(
    terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "PATIENCE", 0.0)
    report = Report()
    with report.doing("reading"):
        assert list(report.track(range(2), 2, "images")) == [0, 1]
    assert "images" in terminal()
    report.say("after")
    assert "reading" not in terminal().rpartition("after")[2]


def test_a_pipe_is_told_only_what_is_known_to_take_long(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.doing("drawing"), report.doing("compiling the model", long=True):
        pass
    assert capsys.readouterr().out == "compiling the model\n"


def test_commands_are_whole_lines_outside_of_any_box(terminal: Callable[[], str]) -> None:
    command = f"trainer eval {'x' * 200} input=FOLDER"
    Report().commands([command])
    assert CODES.sub("", terminal()) == f"next\n  {command}\n"
