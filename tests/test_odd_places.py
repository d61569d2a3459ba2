"""Crowds and odd places: runs that start together, strange paths, directories, terminals and environments."""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pretending
import pytest
import torch
import yaml
from conftest import SOAK, Ran, Trainer
from filelock import FileLock
from processes import Machine
from running import SILENT, checkpoint, evaluate, reported, result, rows, runs, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.cli import main as cli
from trainer.system.errors import ConfigError
from trainer.system.paths import expanded, quoted

LINE = ("model=linear", "data=line", "epochs=2", *SILENT)
COMMAND = (sys.executable, "-m", "trainer", "train", *LINE)
NOWHERE = Path("/proc/nowhere")  # not even root can make a directory there

proc = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def completed() -> Path:
    """The one run below the current directory, which must have completed."""
    (run,) = runs()
    assert result(run)["status"] == "completed"
    assert len(rows(run)) == 2
    return run


def refused(ran: Ran, *words: str) -> None:
    """A mistake of the user's, in one or two lines."""
    assert ran.code == 2
    assert 1 <= len(ran.err.splitlines()) <= 2
    assert all(word in ran.err for word in words), ran.err


def shell(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A script in which `$TRAIN` is a short training, as a process of its own."""
    env = {**os.environ, "TRAIN": " ".join(COMMAND), **environment}
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=100, env=env)


# --- crowds -------------------------------------------------------------------------------------------

_WITHIN_ONE_SECOND = """
import sys
from trainer.cli import main as cli
from trainer.run import directory as runs
runs.timestamp = lambda: "2026-01-31_12-00-00"
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.timeout(900)
def test_pairs_of_processes_in_one_second_get_directories_of_their_own(machine: Machine) -> None:
    """TRAINER_SOAK=1 starts twenty pairs."""
    pairs = 20 if SOAK else 1
    for pair in range(pairs):
        seeds = [f"seed={2 * pair}", f"seed={2 * pair + 1}"]
        started = [machine.start("train", *LINE, seed, code=_WITHIN_ONE_SECOND) for seed in seeds]
        assert [process.wait().code for process in started] == [0, 0]
    made = sorted(Path("runs/linear_line").iterdir())
    assert len(made) == 2 * pairs
    assert {run.name.split("_")[1].partition("-00-00")[0] for run in made} == {"12"}
    assert {result(run)["status"] for run in made} == {"completed"}
    assert {len(rows(run)) for run in made} == {2}
    assert sorted(yaml.safe_load((run / "config.yaml").read_text())["seed"] for run in made) == list(range(2 * pairs))
    for run in made:
        assert torch.isfinite(checkpoint(run)["model"]["linear.weight"]).all()


def test_a_clock_that_goes_back_costs_no_run_and_no_figure(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.timestamps(monkeypatch, ["2026-01-31_12-00-00", "2026-01-31_11-00-00", "2026-01-31_12-00-00"])
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 100.0
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    first = train(trainer, *LINE, "tensorboard.enabled=true")
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    made = [first, *(train(trainer, *LINE) for _ in range(2))]
    assert [run.name for run in made] == ["2026-01-31_12-00-00", "2026-01-31_11-00-00", "2026-01-31_12-00-00-1"]
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    for run in made:
        assert result(run)["seconds"] >= 0
        assert all(row["seconds"] >= 0 and row["samples_per_second"] > 0 for row in rows(run))
    events = EventAccumulator(str(first))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/train")] == [row["step"] for row in rows(first)]


# --- paths --------------------------------------------------------------------------------------------

PATHS = [
    " two words, a=b* (1)",
    "модель-星-é",
    "[1]",
    "{a: b}",
    "[unclosed",
    'it\'s "$HOME"',
    "--flag=1",
    "2024_01",
    "true",
    "back\\slash\\",
    "new\nline",
    "\x1b[31mred\ttab \\'",
    os.fsdecode(b"not\xffutf8"),
    "deep/" + "x" * 200,
]


@pytest.mark.parametrize("output", PATHS)
def test_an_output_directory_may_have_any_name(trainer: Trainer, output: str) -> None:
    ran = trainer("train", *LINE, f"output={output}")
    assert ran.code == 0, ran.err
    run = completed()
    assert run.parent.parent == Path(output)
    assert all(line.isprintable() for line in (ran.out + (run / "train.log").read_text()).splitlines())
    assert f"output={output}" in yaml.safe_load((run / "overrides.yaml").read_text())
    assert evaluate(trainer, f"ckpt={run}") == reported(run)
    if shutil.which("bash"):  # what we say to type is what has to be typed
        (command,) = (line for line in ran.out.splitlines() if line.startswith("  trainer eval "))
        asked = command.split("trainer eval ", 1)[1]
        printed = subprocess.run(["bash", "-c", f"printf %s {asked}"], capture_output=True, timeout=20).stdout
        assert Path(os.fsdecode(printed)) == run


@pytest.mark.parametrize("output", ["2024_01", "it's [1] a=b, (x)", os.fsdecode(b"not\xffutf8")])
def test_a_sweep_may_be_put_anywhere(trainer: Trainer, output: str) -> None:
    if set(output) & set(",()"):
        Path(output).mkdir()  # of one that is not there, Hydra's grammar makes several
    ran = trainer("train", "-m", "seed=0,1", *LINE, f"output={output}")
    assert ran.code == 0, ran.err
    (sweep,) = Path(output, "sweeps", "sweep").iterdir()
    assert [result(sweep / job)["status"] for job in "01"] == ["completed", "completed"]


@pytest.mark.parametrize("name", ["2024_01", "it's", "a,b", "[x]"])
def test_a_run_may_have_any_name(trainer: Trainer, name: str) -> None:
    assert trainer("train", *LINE, f"name={name}").code == 0
    assert completed().parent == Path("runs", name)


@pytest.mark.parametrize("name", ["1e3", "new\nline", os.fsdecode(b"not\xffutf8"), "x" * 200])
def test_a_checkpoint_may_have_a_stranger_name_still(trainer: Trainer, name: str) -> None:
    with open(name, "wb") as file:
        torch.save({"linear.weight": torch.ones(1, 1), "linear.bias": torch.zeros(1)}, file)
    for multirun in ([], ["-m"]):
        ran = trainer("eval", *multirun, f"ckpt={name}", "model=linear", "data=line")
        assert ran.code == 0, ran.err
        assert all(line.isprintable() for line in ran.out.splitlines())
    refused(trainer("eval", f"ckpt=no/{name}"), "no such file")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("file", "not a directory"),
        ("file/below", "not a directory"),
        ("dangling", "not a directory"),
        ("looping", "symbolic links"),
        ("x" * 300, "name too long"),
        ("~nobody-of-this-name/runs", "no home directory"),
        pytest.param(str(NOWHERE), "cannot write", marks=proc),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_starts(trainer: Trainer, output: str, reason: str) -> None:
    Path("file").touch()
    Path("dangling").symlink_to("/nowhere/at/all")
    Path("looping").symlink_to("looping")
    for args in ((), ("-m", "seed=0,1")) if output.startswith(("file", "~")) else ((),):
        ran = trainer("train", *LINE, *args, f"output={output}")
        assert reason in ran.err.lower()
        refused(ran, "output=DIR" if "home" not in reason else "./~")
        assert ran.out in ("", "linear_line  linear on line, device auto\n")
    assert runs() == set()


def test_words_too_long_for_a_file_are_mistakes_like_others(trainer: Trainer) -> None:
    refused(trainer("eval", "x" * 300), "name too long")
    refused(trainer("eval", f"ckpt={'x' * 300}"), "name too long")
    refused(trainer("eval", f"ckpt=~{'x' * 300}"), "no home directory")


def test_no_path_has_a_zero_byte() -> None:
    with pytest.raises(ConfigError, match="zero byte"):
        expanded("a\0b")


@bash
@pytest.mark.parametrize("name", [*PATHS, "", "~", "\x07'\\\n$`", "é\u202e", os.fsdecode(b"\xff7")])
def test_a_shell_reads_a_path_as_it_was(name: str) -> None:
    shown = quoted(name)
    assert shown.isprintable()
    ran = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, timeout=20)
    assert ran.stdout == os.fsencode(name)


# --- directories that are not as they should be -------------------------------------------------------


@pytest.fixture
def gone(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory that has been removed."""
    place = empty / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    return empty


@pytest.mark.parametrize(
    "words", [("train", *LINE), ("train", "-m", "seed=0,1", *LINE), ("eval", "ckpt=x"), ("inspect",)]
)
def test_a_current_directory_that_is_gone_is_said(trainer: Trainer, gone: Path, words: tuple[str, ...]) -> None:
    refused(trainer(*words), "the current directory is gone", "cd ")
    assert trainer("--help").code == trainer("train", "--help").code == 0


@proc
def test_a_current_directory_that_cannot_be_written_needs_an_output(
    trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/proc")
    refused(trainer("train", *LINE), "cannot write", "output=DIR")
    assert trainer("train", *LINE, f"output={empty}").code == 0
    assert trainer("train", "-m", "seed=0,1", *LINE, f"output={empty}").code == 0


def test_a_user_without_a_home_trains(trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: Any) -> Any:
        raise KeyError(args)

    for variable in ("HOME", "TRAINER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    refused(trainer("train", *LINE, "output=~/runs"), "~/runs", "no home directory")
    digits = ("model=linear", "data=digits", "data.limit=100", "epochs=2", *SILENT)
    ran = trainer("train", *digits)
    assert (ran.code, ran.err) == (0, "")
    completed()


def test_nothing_needs_a_place_for_temporary_files(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*args: Any, **keys: Any) -> Any:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", nowhere)
    train(trainer, *LINE)
    assert trainer("train", "-m", "seed=0,1", *LINE).code == 0


@proc
@pytest.mark.parametrize("place", [str(NOWHERE), "file", "file/below"])
def test_a_cache_that_cannot_be_written_is_done_without(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    Path("file").touch()
    monkeypatch.setenv("TRAINER_CACHE", place)
    ran = trainer("train", "model=linear", "data=digits", "data.limit=100", "epochs=2", *SILENT)
    assert (ran.code, ran.err) == (0, "")
    assert any(line.split()[:2] == ["cache", "none:"] for line in ran.out.splitlines())
    completed()


def test_a_cache_that_is_read_only_now_is_read(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise OSError(30, "Read-only file system")

    digits = ("model=linear", "data=digits", "data.limit=100", "epochs=2", *SILENT, "data.cache=here")
    train(trainer, *digits)
    monkeypatch.setattr(FileLock, "acquire", refuse)
    ran = trainer("train", *digits)
    assert ran.code == 0
    assert "MiB in here/digits-" in ran.out


@pytest.mark.slow
@bash
def test_everything_but_the_output_may_be_read_only(empty: Path) -> None:
    (empty / "out").mkdir()
    ready = "mount -t tmpfs none out && mount -o remount,bind,ro /"
    if shutil.which("unshare") is None or shell(f"unshare -rm bash -c '{ready}'").returncode:
        pytest.skip("no mounts of our own here")
    script = f"""{ready}
        touch x 2>/dev/null && exit 77
        $TRAIN data=digits data.limit=100 output=out && cat out/*/*/result.json >&2
    """
    ran = shell(f"unshare -rm bash -c '{script}'", TRAINER_CACHE=str(empty / "cache"))
    if ran.returncode == 77:
        pytest.skip("the temporary directory is a mount of its own")
    assert json.loads(ran.stderr)["status"] == "completed"
    assert "cache     none: Read-only file system" in ran.stdout


# --- streams and terminals ----------------------------------------------------------------------------

Stdout = Callable[[IO[str]], None]


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stdout]:
    """Puts a stream in the place of standard output."""
    put: list[IO[str]] = []

    def replace(stream: IO[str]) -> None:
        put.append(stream)
        monkeypatch.setattr(sys, "stdout", stream)

    yield replace
    for stream in put:
        stream.close()


def left() -> IO[str]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_reader_who_leaves_ends_no_training(
    empty: Path, stdout: Stdout, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    for words in (("train", *LINE), ("train", "-m", "seed=0,1", *LINE)):
        stdout(left())
        assert cli.main(list(words)) == 0
        assert capfd.readouterr().err == ""
    for run in runs():
        assert result(run)["status"] == "completed"
        assert f"{run}" in (run / "train.log").read_text()
    assert len(runs()) == 3
    stdout(left())
    assert cli.main(["eval", f"ckpt={run}"]) == 0
    assert cli.main(["train", "--cfg", "job"]) == 0
    assert capfd.readouterr().err == ""


@full
@pytest.mark.parametrize("terminal", [False, True])
def test_a_full_disk_below_the_screen_is_said_once_and_ends_no_training(
    empty: Path, stdout: Stdout, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")

    def run(*words: str) -> Ran:
        stdout(os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"))
        code = cli.main(list(words))
        return Ran(code, *capfd.readouterr())

    label = "\x1b[1;31mwarning:\x1b[0m" if terminal else "warning:"
    warning = f"{label} cannot write to standard output: No space left on device\n"
    assert run("train", *LINE) == Ran(0, "", warning)
    made = completed()
    assert run("train", "-m", "seed=0,1", *LINE) == Ran(0, "", warning)
    assert {result(run)["status"] for run in runs()} == {"completed"}
    # Of these nobody would learn anything.
    for words in (("eval", f"ckpt={made}"), ("inspect", f"ckpt={made}"), ("--version",), ("eval", "--cfg", "job")):
        assert run(*words) == Ran(1, "", warning)


@full
def test_a_process_ends_well_whatever_became_of_its_streams(machine: Machine) -> None:
    buffered = {"PYTHONUNBUFFERED": ""}
    reader, writer = os.pipe()
    leaving = machine.start("train", *LINE, "epochs=40", stdout=writer, **buffered)
    os.close(writer)
    assert os.read(reader, 1)
    os.close(reader)
    ended = leaving.wait()
    assert (ended.code, ended.err) == (0, "")
    with open("/dev/full", "wb") as nowhere:
        into = {"stdout": nowhere.fileno(), "stderr": nowhere.fileno()}
        assert machine.run("train", *LINE, **into, **buffered).code == 0
        assert machine.run("train", *LINE, "epoch=2", **into, **buffered).code == 2
    assert sorted(len(rows(run)) for run in runs()) == [2, 40]
    assert {result(run)["status"] for run in runs()} == {"completed"}


_NOISY = """
import os, sys
for stream in (0, 1, 2):  # as a shell's `<&- >&- 2>&-`
    os.close(stream)
sys.stdin = sys.stdout = sys.stderr = sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None
from trainer.cli import main as cli
from trainer.run.hooks.metrics_log import MetricsLog
log = MetricsLog.on_epoch
def noisy(self, state, row):  # as a library written in C
    os.write(1, b"NOISE")
    os.write(2, b"NOISE")
    log(self, state, row)
MetricsLog.on_epoch = noisy
sys.exit(cli.main(sys.argv[1:]))
"""


def test_closed_streams_become_no_file_of_a_run(machine: Machine) -> None:
    assert machine.run("train", *LINE, code=_NOISY).code == 0
    for path in completed().rglob("*"):
        assert path.is_dir() or b"NOISE" not in path.read_bytes()
    assert "linear_line: done" in (completed() / "train.log").read_text()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_of_ascii_is_told_everything(
    empty: Path, stdout: Stdout, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    stdout(os.fdopen(os.open("screen", os.O_WRONLY | os.O_CREAT), "w", encoding="ascii"))
    output = "модель " + os.fsdecode(b"\xff")
    assert cli.main(["train", *LINE, f"output={output}", "evaluate.every_steps=1", "data.batch_size=8"]) == 0
    (run,) = runs()
    sys.stdout.flush()
    shown = Path("screen").read_text(encoding="ascii")
    assert "\\u043c\\u043e\\u0434\\u0435\\u043b\\u044c" in shown
    assert "\n   1*     1 " in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", shown)
    assert "модель" in (run / "train.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["0", "1", "20", "x"])
def test_a_terminal_of_any_width_shows_what_comes_next(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)
    ran = trainer("train", *LINE)
    assert ran.code == 0
    assert f"trainer eval {completed()}" in ran.out
