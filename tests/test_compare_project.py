"""What a run says of the user's project: asked of git, without running what a repository names."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import Trainer
from running import QUICK, train

from trainer.run import project


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of a moment ago; and a git that belongs to nobody."""
    monkeypatch.setattr(project, "_latest", None)
    for name in ("AUTHOR_NAME", "COMMITTER_NAME"):
        monkeypatch.setenv(f"GIT_{name}", "somebody")
        monkeypatch.setenv(f"GIT_{name.replace('NAME', 'EMAIL')}", "somebody@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def committed() -> str:
    """A repository in the current directory, with one file; its commit."""
    git("init", "-q")
    Path("file.txt").write_text("first\n")
    git("add", "file.txt")
    git("commit", "-qm", "first")
    return git("rev-parse", "HEAD")


def looked() -> project.Project | None:
    project._latest = None
    return project.look().answer()


@pytest.mark.usefixtures("empty")
def test_the_commit_and_whether_it_is_clean_are_those_that_git_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked() is None
    commit = committed()
    assert looked() == project.Project(commit, False)
    Path("runs").mkdir()
    Path("runs/new.txt").write_text("not tracked")
    assert looked() == project.Project(commit, False)
    Path("file.txt").write_text("second\n")
    assert looked() == project.Project(commit, True)
    Path("deeper").mkdir()
    monkeypatch.chdir("deeper")
    assert looked() == project.Project(commit, True)
    monkeypatch.setenv("PATH", "")
    assert looked() is None


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("kind", ["fsmonitor", "filter", "hook"])
def test_a_repository_runs_nothing_of_its_own(kind: str) -> None:
    commit = committed()
    program = Path("program").absolute()
    program.write_text(f"#!/bin/sh\ntouch {program}.ran\ncat\n")
    program.chmod(0o755)
    if kind == "fsmonitor":
        git("config", "core.fsmonitor", str(program))
    elif kind == "filter":
        git("config", "filter.own.clean", str(program))
        Path(".gitattributes").write_text("* filter=own\n")
    else:
        git("config", "core.hooksPath", str(program.parent))
        program.rename("post-index-change")
    Path("file.txt").write_text("other\n")
    found = looked()
    assert found == project.Project(commit, None if kind == "filter" else True)
    assert not Path(f"{program}.ran").exists()


@pytest.mark.usefixtures("empty")
def test_a_git_that_takes_its_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = committed()
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\n[ $1 = rev-parse ] && echo {commit} && exit\nsleep 100\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(project, "PATIENCE", 0.3)
    assert looked() == project.Project(commit, None)


def test_a_run_says_where_it_comes_from_and_when_it_was_resumed(trainer: Trainer) -> None:
    commit = committed()
    run = train(trainer, *QUICK)
    found = json.loads((run / "origin.json").read_text())
    assert found["project"] == {"commit": commit, "changed": False}
    assert found["environment"] == json.loads((run / "result.json").read_text())["environment"]
    assert found["parent"] is None
    child = train(trainer, f"from={run}", "epochs=1", *QUICK[:2])
    parent = json.loads((child / "origin.json").read_text())["parent"]
    assert parent["path"] == str(run / "checkpoints" / "best.pt")
    assert trainer("resume", str(run), "epochs=2").code == 0
    (again,) = json.loads((run / "origin.json").read_text())["resumed"]
    assert (again["epoch"], again["project"]) == (1, found["project"])
