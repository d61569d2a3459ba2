"""`sweep=slurm`: through submitit, on this machine or in the queue of a Slurm of our own."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
import running
import slurm_here
from conftest import Trainer
from failing import JOBS, sick, trains
from processes import Machine
from running import QUICK
from test_sweep_resume import lines, swept

from trainer.sweeps.slurm import Slurm

__all__ = ["sick"]
pytest.importorskip("submitit", reason="needs the extra: pip install 'trainer-cli[slurm]'")


@pytest.fixture
def slurm(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return slurm_here.put_in_place(tmp_path_factory.mktemp("slurm"), monkeypatch)


LOCAL = ("sweep=slurm", "sweep.cluster=local")


@pytest.mark.slow
def test_on_this_machine_jobs_end_as_one_after_the_other_and_one_that_dies_fails_alone(
    sick: Path, trainer: Trainer
) -> None:
    asked = ("-m", *JOBS, "epochs=2")
    assert trainer("train", *asked, "model.does=learn", "name=serial").code == 0
    ran = trainer("train", *asked, "model.does=die,learn", *LOCAL, "name=there")
    assert ran.code == 1, ran.err
    found = {line["job"]: line for line in lines(swept("there"))}
    assert {job: found[job]["status"] for job in found} == {0: "failed", 1: "completed"}
    assert "its process ended without a result" in found[0]["error"]
    assert running.same(running.weights(swept("serial") / "0"), running.weights(swept("there") / "1"))
    assert all(f"job {job}  model.does" in ran.out for job in (0, 1))


@pytest.mark.slow
def test_ctrl_c_stops_jobs_with_checkpoints(machine: Machine, sick: Path) -> None:
    asked = ("-m", *JOBS, "model.does=wait", "seed=0,1", "epochs=100", "data.batch_size=10")
    ran = machine.start("train", *asked, *LOCAL, "sweep.jobs=1")
    ran.until(lambda: trains(0))
    ran.send(signal.SIGINT, group=True)  # all processes of the terminal's group get it
    ended = ran.wait()
    out = ended.out + ended.err
    assert ended.code == 130, out
    assert [(line["job"], line["status"]) for line in lines(swept())] == [(0, "interrupted")]
    assert "last.pt is written" in lines(swept())[0]["error"]
    assert "not run" in out
    assert running.checkpoint(swept() / "0")["step"] > 0


@pytest.mark.slow
def test_in_a_queue_each_job_is_one_of_slurms(sick: Path, slurm: Path, trainer: Trainer) -> None:
    asked = ("-m", *JOBS, "epochs=1", "model.does=raise,die", "sweep=slurm", "name=a b")
    keys = ("sweep.partition=gpu", "sweep.account=me", "sweep.timeout_min=7", "sweep.cpus_per_task=1")
    more = ('sweep.setup=["export SAID=so"]', 'sweep.options=["--qos=high","--exclusive"]', "sweep.mem_gb=1.5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.sweeps.slurm.LATE_SECONDS", 0.5)
        patch.setattr("trainer.sweeps.slurm.FRESH", 0.5)
        ran = trainer("train", *asked, *keys, *more)
    assert ran.code == 1, ran.err
    found = {line["job"]: line for line in lines(swept("a b"))}
    assert found[0]["error"] == "ValueError: not today"
    assert found[1]["error"].startswith("Slurm's job 101 ended without a result (OUT_OF_MEMORY)")
    (folder,) = (swept("a b") / "slurm").iterdir()
    assert "raise ValueError" in (folder / "100_0_log.err").read_text()
    script = (slurm / "100.script").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.MULTILINE))
    expected = {"partition": "gpu", "account": "me", "time": "7", "cpus-per-task": "1", "mem": "1536MB", "qos": "high"}
    expected |= {"exclusive": "", "no-requeue": "", "signal": "USR2@90", "job-name": "'a b-0'"}
    assert {name: options.get(name) for name in expected} == expected
    assert "\nexport SAID=so\n" in script
    assert re.search("^srun .*--cpus-per-task=1 ", script, re.MULTILINE)


@pytest.mark.slow
def test_a_job_whose_time_is_up_goes_on_later(machine: Machine, sick: Path, slurm: Path, trainer: Trainer) -> None:
    asked = ("-m", *JOBS, "model.does=wait", "epochs=20", "data.batch_size=10", "sweep=slurm")
    ran = machine.start("train", *asked)
    ran.until(lambda: trains(0))
    task = int((slurm / "100.task").read_text())
    for _ in range(2):  # once before the limit, and once more by mistake
        os.kill(task, signal.SIGUSR2)
    ended = ran.wait()
    out = ended.out + ended.err
    assert ended.code == 143, out
    assert [(line["job"], line["status"]) for line in lines(swept())] == [(0, "interrupted")]
    assert f"error: the cluster stopped job 0\n  go on: trainer resume {swept()}\n" in out
    assert 0 < running.checkpoint(swept() / "0")["step"] < 180
    Path("cure").touch()
    again = trainer("resume", str(swept()))
    assert again.code == 0, again.err
    assert running.checkpoint(swept() / "0")["step"] == 180
    assert re.search("resumed +after step", (swept() / "0" / "train.log").read_text())


@pytest.mark.slow
def test_stopping_the_sweep_cancels_its_jobs(machine: Machine, sick: Path, slurm: Path) -> None:
    asked = ("-m", *JOBS, "model.does=wait", "epochs=20", "data.batch_size=10", "sweep=slurm")
    ran = machine.start("train", *asked)
    ran.until(lambda: trains(0))
    ran.send(signal.SIGTERM)  # which cancels it
    ended = ran.wait()
    out = ended.out + ended.err
    assert ended.code == 143, out
    assert "last.pt is written" in lines(swept())[0]["error"]
    assert (slurm / "100.state").read_text() == "CANCELLED by 0\n"


def test_jobs_that_are_still_queued_are_waited_for_and_not_run_twice(slurm: Path, trainer: Trainer) -> None:
    assert trainer("train", "-m", "seed=0", *QUICK).code == 0
    before = swept() / "slurm" / "2026-01-31_12-00-00"  # as if the sweep had been killed
    before.mkdir(parents=True)
    for job, seed in ((100, 1), (101, 2)):
        (before / f"{job}_submitted.pkl").touch()
        (slurm / f"{job}.script").write_text(f"#SBATCH --job-name=sweep-{seed}\n")
    (before / "101_0_result.pkl").touch()  # this one has ended, and Slurm tidies up
    shutil.copytree(swept() / "0", swept() / "1")
    shutil.copytree(swept() / "0", swept() / "2")
    (swept() / "1" / "result.json").rename("later.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.sweeps.slurm.FRESH", 0.1)
        patch.setattr("trainer.sweeps.slurm.LATE_SECONDS", 0.1)
        patch.setattr(Slurm, "wait", lambda runner: _ends(runner, swept() / "1", slurm))
        ran = trainer("resume", str(swept()), "seed=0,1,2", "sweep=slurm")
    assert ran.code == 0, ran.err
    assert "1 job of this sweep is still in Slurm's queue: waiting for it" in ran.out
    assert {line["job"]: line["status"] for line in lines(swept())} == dict.fromkeys((0, 1, 2), "completed")
    assert sorted(path.name for path in slurm.glob("*.script")) == ["100.script", "101.script"]  # no further job


def _ends(runner: Slurm, run: Path, slurm: Path) -> None:
    """The job of a node ends while the sweep waits."""
    if Path("later.json").exists():
        Path("later.json").rename(run / "result.json")
        (slurm / "100.state").write_text("COMPLETED\n")
    runner.queue.look(0.0)


def test_where_squeue_does_not_answer_no_job_is_run_twice(
    slurm: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trainer("train", "-m", "seed=0", *QUICK).code == 0
    before = swept() / "slurm" / "2026-01-31_12-00-00"
    before.mkdir(parents=True)
    (before / "100_submitted.pkl").touch()
    monkeypatch.setattr("trainer.sweeps.slurm.CONTROLLER", -1.0)
    (slurm.parent / "bin" / "squeue").write_text("#!/bin/bash\nexit 1\n")
    ran = trainer("resume", str(swept()), "seed=0,1", "sweep=slurm")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: squeue does not answer: jobs of this sweep may still be in Slurm's queue",
        "  try again when it does, so that no job is run twice",
    ]
    assert not list(slurm.iterdir())


def test_what_sbatch_refuses_is_said_in_its_words(
    slurm: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_HERE_REFUSES", "gpuu")
    ran = trainer("train", "-m", "seed=0,1", *QUICK, "sweep=slurm", "sweep.partition=gpuu")
    assert ran.code == 2
    assert ran.err.splitlines()[-2:] == [
        "error: Slurm does not take job 0: sbatch: error: invalid partition specified: gpuu",
        "  see its keys: sweep.*",
    ]


def test_without_slurm_nothing_is_written(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    ran = trainer("train", "-m", "seed=0,1", *QUICK, "sweep=slurm")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: sweep=slurm: there is no sbatch on this machine",
        "  start it on a login node of the cluster, or try it here: sweep.cluster=local",
    ]
    assert list(Path().iterdir()) == []


def test_without_submitit_it_says_what_to_install(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    ran = trainer("train", "-m", "seed=0,1", *QUICK, *LOCAL)
    assert ran.code == 2
    assert ran.err.splitlines() == ["error: sweep=slurm needs submitit", "  pip install 'trainer-cli[slurm]'"]
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("sweep.cluster=slrum", "did you mean 'slurm'?"),
        ("sweep.partion=gpu", "did you mean 'partition'?"),
        ("sweep.timeout_min=0", "it must be at least 1"),
        ("sweep.setup=1", "a list of texts"),
    ],
)
def test_a_bad_key_is_refused(trainer: Trainer, slurm: Path, wrong: str, said: str) -> None:
    ran = trainer("train", *QUICK, "sweep=slurm", wrong)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 2


def test_an_option_that_sbatch_cannot_have_is_refused(trainer: Trainer, slurm: Path) -> None:
    ran = trainer("train", "-m", "seed=0,1", *QUICK, "sweep=slurm", "sweep.options=[qos]")
    assert ran.code == 2
    assert "'qos' is no option of sbatch" in ran.err
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_a_job_on_several_devices_has_a_task_for_each(empty: Path, slurm: Path, trainer: Trainer) -> None:
    asked = "-m", *QUICK, "precision=float64", "epochs=2", "devices=1,2"
    ran = trainer("train", *asked, "sweep=slurm", "name=there")
    assert ran.code == 0, ran.err
    assert {line["job"]: line["status"] for line in lines(swept("there"))} == {0: "completed", 1: "completed"}
    scripts = [(slurm / f"{job}.script").read_text() for job in (100, 101)]
    assert ["--ntasks-per-node=2" in script for script in scripts] == [False, True]
    one, two = (swept("there") / job for job in ("0", "1"))
    assert running.result(two)["environment"]["ranks"] == "2"
    assert running.result(two)["metrics"] == pytest.approx(running.result(one)["metrics"], abs=1e-10)


@pytest.mark.slow
def test_a_job_with_several_tasks_is_stopped_with_its_checkpoint(machine: Machine, slurm: Path) -> None:
    asked = "-m", *QUICK[:-1], "epochs=100000", "data.batch_size=10", "devices=2", "seed=0,1", "sweep=slurm"
    ran = machine.start("train", *asked, "sweep.jobs=1")
    ran.until(lambda: trains(0))
    ran.send(signal.SIGINT)
    ended = ran.wait()
    assert ended.code == 130, ended.err
    assert lines(swept())[0]["status"] == "interrupted"
    assert "last.pt is written" in lines(swept())[0]["error"]
    assert running.checkpoint(swept() / "0")["step"] > 0
