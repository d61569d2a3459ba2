"""`latest`, a folder of runs, a file of a run, and a sweep for a verb that takes one run."""

import json
import os
from pathlib import Path

import pytest
from conftest import Trainer
from running import QUICK, evaluate, reported, train

from trainer.cli import arguments
from trainer.system.errors import RunError


def run(path: str, *, checkpoint: bool = True, value: float | None = None) -> Path:
    """Something that looks like a finished run, as far as its place is concerned."""
    place = Path(path)
    (place / "checkpoints").mkdir(parents=True)
    if checkpoint:
        (place / "checkpoints" / "last.pt").touch()
    else:
        (place / "checkpoints").rmdir()
    (place / "overrides.yaml").write_text("")
    (place / "config.yaml").write_text("")
    objective = {"name": "val/accuracy", "direction": "max", "value": value}
    result = {"status": "completed", "metrics": {}, "objective": objective, "best_epoch": 1}
    (place / "result.json").write_text(json.dumps(result))
    return place


def sweep(path: str, *values: float) -> Path:
    for number, value in enumerate(values):
        run(f"{path}/{number}", value=value)
    Path(path).mkdir(parents=True, exist_ok=True)
    (Path(path) / "overrides.yaml").write_text("- '-m'\n")
    (Path(path) / "sweep.jsonl").touch()
    return Path(path)


@pytest.fixture
def runs(empty: Path) -> Path:
    run("runs/b/2026-01-01_00-00-00")
    run("runs/a/2026-01-02_00-00-00")
    run("runs/a/2026-01-02_00-00-00-2")
    run("runs/a/2026-01-02_00-00-00-10")
    run("runs/b/2026-01-03_00-00-00", checkpoint=False)
    sweep("runs/sweeps/sweep/2025-01-01_00-00-00", 0.5, 0.9, 0.7)
    return empty


@pytest.mark.parametrize(
    ("verb", "word", "meant"),
    [
        ("eval", "latest", "runs/a/2026-01-02_00-00-00-10"),  # the newest has no checkpoint
        ("eval", "runs", "runs/a/2026-01-02_00-00-00-10"),
        ("eval", "runs/b", "runs/b/2026-01-01_00-00-00"),
        ("eval", "runs/b/latest", "runs/b/2026-01-01_00-00-00"),
        ("resume", "latest", "runs/b/2026-01-03_00-00-00"),
        ("resume", "runs/a", "runs/a/2026-01-02_00-00-00-10"),
        ("resume", "runs/b/2026-01-01_00-00-00/checkpoints/last.pt", "runs/b/2026-01-01_00-00-00"),
        ("reproduce", "runs/b/2026-01-01_00-00-00/config.yaml", "runs/b/2026-01-01_00-00-00"),
        ("reproduce", "runs/sweeps", "runs/sweeps/sweep/2025-01-01_00-00-00/1"),
        ("export", "runs/sweeps/sweep/2025-01-01_00-00-00", "runs/sweeps/sweep/2025-01-01_00-00-00/1"),
        ("serve", "runs/sweeps", "runs/sweeps/sweep/2025-01-01_00-00-00/1"),
        ("inspect", "runs/sweeps", "runs/sweeps/sweep/2025-01-01_00-00-00/1"),
        ("eval", "runs/sweeps", "runs/sweeps/sweep/2025-01-01_00-00-00"),  # all of its jobs together
        ("eval", "runs/b/2026-01-01_00-00-00", "runs/b/2026-01-01_00-00-00"),
        ("eval", "runs/b/2026-01-01_00-00-00/checkpoints", "runs/b/2026-01-01_00-00-00/checkpoints"),
    ],
)
def test_a_word_means_one_run_for_every_verb(runs: Path, verb: str, word: str, meant: str) -> None:
    given = arguments.read(verb, [word])
    key = "run" if verb in ("resume", "reproduce") else "ckpt"
    assert given.overrides == [f"{key}={meant}"]
    assert (not given.notes) == (word == meant)
    assert arguments.read(verb, [f"{key}={word}"]).overrides == [f"{key}={meant}"]


def test_from_and_several_checkpoints_take_them_too(runs: Path) -> None:
    newest = "runs/a/2026-01-02_00-00-00-10"
    assert arguments.read("train", ["from=latest"]).overrides == [f"from={newest}"]
    assert arguments.read("train", ["from=null"]).overrides == ["from=null"]
    given = arguments.read("predict", ["latest", "runs/b", "input=x.png"])
    assert given.overrides[0] == f"ckpt=['{newest}','runs/b/2026-01-01_00-00-00']"
    assert arguments.read("runs", ["latest"]).overrides == ["path=['runs/b/2026-01-03_00-00-00']"]
    assert arguments.read("runs", ["runs/a"]).overrides == ["path=['runs/a']"]  # which lists what is in it


def test_what_is_called_latest_goes_before_the_newest(runs: Path) -> None:
    Path("latest").write_bytes(b"")
    assert arguments.read("eval", ["latest"]).overrides == ["ckpt=latest"]


def test_where_there_is_no_run_it_is_said(empty: Path) -> None:
    for words in (["latest"], ["elsewhere/latest"]):
        with pytest.raises(RunError, match=r"there is no run with a checkpoint in (runs|elsewhere) yet"):
            arguments.read("eval", words)
    sweep("runs/sweeps/sweep/2025-01-01_00-00-00")
    with pytest.raises(RunError, match="no job that has completed"):
        arguments.read("export", ["runs/sweeps/sweep/2025-01-01_00-00-00"])
    os.symlink("/", "runs/link")  # which is not searched
    with pytest.raises(RunError, match="no run"):
        arguments.read("eval", ["latest"])


@pytest.mark.slow
def test_the_newest_run_is_evaluated_and_said_to_be_finished(trainer: Trainer) -> None:
    made = train(trainer, *QUICK)
    assert evaluate(trainer, "latest") == reported(made)
    ran = trainer("resume", "latest")
    assert ran.code == 0
    assert f"{made} is finished" in ran.out
    assert f"{made} is finished" in trainer("resume", str(made / "checkpoints" / "last.pt")).out
