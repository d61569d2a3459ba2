"""`trainer resume SWEEP`: what is done is kept, what was interrupted goes on, what is missing runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import resuming
import running
from conftest import Trainer, soak
from running import QUICK, SILENT

FOUR = ("optim.lr=0.001,0.1", "seed=0,1", *QUICK)


def swept(name: str = "sweep") -> Path:
    (directory,) = Path("runs/sweeps", name).iterdir()
    return directory


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "sweep.jsonl").read_text().splitlines()]


def written(directory: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


def test_a_dry_run_lists_the_jobs_and_writes_nothing(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *FOUR, "sweep.dry_run=true")
    assert ran.code == 0, ran.err
    assert [line.split() for line in ran.out.splitlines() if line.endswith(" run")] == [
        [str(n), f"optim.lr={rate}", f"seed={seed}", "run"]
        for n, (rate, seed) in enumerate((rate, seed) for rate in ("0.001", "0.1") for seed in (0, 1))
    ]
    assert list(Path().iterdir()) == []


def test_a_finished_sweep_is_kept_as_it_is(trainer: Trainer) -> None:
    assert trainer("train", "-m", *FOUR).code == 0
    before = {path: at for path, at in written(swept()).items() if Path(path).parent.name.isdecimal()}
    ran = trainer("resume", str(swept()))
    assert ran.code == 0, ran.err
    assert "4 of 4 jobs are done and kept" in ran.out
    after = written(swept())
    assert before == {path: after[path] for path in before}
    assert [line["job"] for line in lines(swept())] == [0, 1, 2, 3]


def test_more_values_add_jobs_and_leave_the_numbers_of_the_others(trainer: Trainer) -> None:
    assert trainer("train", "-m", *FOUR).code == 0
    before = {n: running.weights(swept() / str(n)) for n in range(4)}
    ran = trainer("resume", str(swept()), "optim.lr=0.001,0.01,0.1", "sweep.dry_run=true")
    shown = [line.split() for line in ran.out.splitlines() if line.endswith((" run", " done"))]
    assert [row[0] for row in shown] == ["0", "1", "4", "5", "2", "3"]
    assert [row[-1] for row in shown] == ["done", "done", "run", "run", "done", "done"]
    assert trainer("resume", str(swept()), "optim.lr=0.001,0.01,0.1").code == 0
    assert {path.name for path in swept().iterdir() if path.is_dir() and path.name != "plots"} == set("012345")
    assert all(running.same(before[n], running.weights(swept() / str(n))) for n in before)
    assert sorted(line["job"] for line in lines(swept())) == [0, 1, 2, 3, 4, 5]
    assert {line["overrides"]["optim.lr"] for line in lines(swept()) if line["job"] > 3} == {"0.01"}
    assert "0.01" in (swept() / "overrides.yaml").read_text()


def test_another_config_is_another_job(trainer: Trainer) -> None:
    assert trainer("train", "-m", "seed=0,1", *QUICK).code == 0
    assert trainer("resume", str(swept()), "optim.lr=0.5").code == 0
    assert {path.name for path in swept().iterdir() if path.is_dir() and path.name != "plots"} == set("0123")
    assert "optim.lr=0.5" in (swept() / "2" / "overrides.yaml").read_text()


def test_what_is_beside_the_results_is_no_other_config(trainer: Trainer) -> None:
    assert trainer("train", "-m", "seed=0,1", *QUICK).code == 0
    ran = trainer("resume", str(swept()), "tensorboard.every_steps=7", "checkpoint.every_steps=3", "data.workers=1")
    assert "2 of 2 jobs are done and kept" in ran.out


def test_a_failed_job_is_tried_again(trainer: Trainer) -> None:
    args = (*SILENT, "model=linear", "data=csv", "data.path=table.csv", "data.target=y", "epochs=1")
    Path("table.csv").write_text("x,y\n1,2\n2,oops\n3,1\n")
    assert trainer("train", "-m", "seed=0,1", "data.task=regression", *args).code == 1
    assert [line["status"] for line in lines(swept())] == ["failed", "failed"]
    Path("table.csv").write_text("x,y\n" + "".join(f"{i},{i * i / 7}\n" for i in range(40)))
    ran = trainer("resume", str(swept()))
    assert ran.code == 0, ran.err
    assert [(line["job"], line["status"]) for line in lines(swept())[2:]] == [(0, "completed"), (1, "completed")]


def test_an_interrupted_job_goes_on_from_its_step(trainer: Trainer) -> None:
    args = (*QUICK, "epochs=3", "data.batch_size=10")
    assert trainer("train", "-m", "seed=0,1,2", *args, "name=whole").code == 0
    taken: list[int] = []
    with resuming.interrupting(lambda state: bool(taken.append(1)) or len(taken) == 35):  # in the second job
        assert trainer("train", "-m", "seed=0,1,2", *args, "name=parts").code == 130
    parts = swept("parts")
    assert [line["status"] for line in lines(parts)] == ["completed", "interrupted"]
    assert running.checkpoint(parts / "1")["step"] == 8
    ran = trainer("resume", str(parts), "sweep.dry_run=true")
    assert [line.split()[-1] for line in ran.out.splitlines()[2:]] == ["done", "on", "run"]
    ran = trainer("resume", str(parts))
    assert ran.code == 0, ran.err
    for job in "012":
        assert resuming.differences(swept("whole") / job, parts / job) == []


@pytest.mark.parametrize("word", ["model._target_=os.system", "hydra.sweeper.x=1", "--config-dir=/tmp/evil"])
def test_a_strangers_sweep_names_no_code_to_run(trainer: Trainer, word: str) -> None:
    directory = Path("theirs")
    directory.mkdir()
    (directory / "overrides.yaml").write_text(f"- '-m'\n- '{word}'\n- 'seed=0,1'\n")
    ran = trainer("resume", "theirs")
    assert ran.code == 2
    assert word in ran.err
    assert len(ran.err.splitlines()) == 2


def test_a_directory_that_says_nothing_of_its_sweep_is_refused(trainer: Trainer) -> None:
    Path("empty").mkdir()
    Path("empty/overrides.yaml").write_text("- 'seed=0,1'\n")
    ran = trainer("resume", "empty")
    assert ran.code == 2
    assert "not what a sweep writes" in ran.err


def test_a_sweep_that_runs_is_not_run_twice(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.run import directory as runs

    monkeypatch.setattr(runs, "LOCK_SECONDS", 0.0)
    assert trainer("train", "-m", "seed=0,1", *QUICK).code == 0
    with runs.locked(swept()):
        ran = trainer("resume", str(swept()))
    assert ran.code == 2
    assert "another process" in ran.err


def command(*args: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-m", "trainer", *args]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(words, env=environment, text=True, start_new_session=True, **pipes)


# --- side by side -------------------------------------------------------------------------------------


def test_jobs_side_by_side_end_as_one_after_the_other(trainer: Trainer) -> None:
    asked = ("-m", "optim.lr=0.01,0.1", "seed=0,1", *QUICK, "epochs=2")
    for how in ("serial", "parallel"):
        ran = trainer("train", *asked, f"sweep={how}", f"name={how}")
        assert ran.code == 0, ran.err
    for job in range(4):
        assert resuming.differences(swept("serial") / str(job), swept("parallel") / str(job)) == []
    assert sorted(line["job"] for line in lines(swept("parallel"))) == [0, 1, 2, 3]


SICK = '''
import os, signal, time
from torch import nn

class Net(nn.Module):
    """Ends its process, waits for ever, or learns."""

    def __init__(self, does):
        super().__init__()
        self.linear, self.does = nn.Linear(784, 10), does

    def forward(self, inputs):
        if self.training and self.does == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.training and self.does == "wait":
            time.sleep(0.05)
        return self.linear(inputs.flatten(1))
'''


@pytest.fixture
def sick(empty: Path) -> Path:
    Path("sick.py").write_text(SICK)
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/sick.yaml").write_text("_target_: sick.Net\ndoes: learn\n")
    return empty


def test_a_job_whose_process_dies_takes_no_other_down(trainer: Trainer, sick: Path) -> None:
    asked = ("-m", "model=sick", "model.does=learn,die,learn", "data.limit=100", "epochs=1", *SILENT)
    ran = trainer("train", *asked, "sweep=parallel", "sweep.jobs=1")
    assert ran.code == 1
    assert [(line["job"], line["status"]) for line in lines(swept())] == [
        (0, "completed"),
        (1, "failed"),
        (2, "completed"),
    ]
    assert "was killed by SIGKILL" in ran.out
    assert f"go on  trainer resume {swept()}" in " ".join(ran.out.split()).replace("go on trainer", "go on  trainer")


@pytest.mark.parametrize(("signum", "code"), [pytest.param(signal.SIGINT, 130, marks=soak), (signal.SIGTERM, 143)])
def test_a_signal_stops_every_job_with_a_checkpoint(trainer: Trainer, sick: Path, signum: int, code: int) -> None:
    asked = ("-m", "model=sick", "model.does=wait", "seed=0,1,2", "data.limit=100", "epochs=100", *SILENT)
    ran = command("train", *asked, "data.batch_size=10", "sweep=parallel", "sweep.jobs=2")
    deadline = time.monotonic() + 60
    while len(list(Path("runs/sweeps").glob("*/*/*/checkpoints/last.pt"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.5)
    os.killpg(ran.pid, signum)
    out, _ = ran.communicate(timeout=60)
    assert ran.returncode == code, out
    assert sorted((line["job"], line["status"]) for line in lines(swept())) == [(0, "interrupted"), (1, "interrupted")]
    assert all(running.checkpoint(swept() / job)["step"] > 0 for job in "01")
    assert "not run" in out
    assert "trainer resume" in out
    listed = trainer("resume", str(swept()), "sweep.dry_run=true").out
    assert [line.split()[-1] for line in listed.splitlines()[2:]] == ["on", "on", "run"]
