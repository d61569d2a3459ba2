"""`sweep=ray`: through a Ray of one machine."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import running
from conftest import Trainer
from failing import JOBS, sick, trains
from processes import Machine
from running import QUICK
from test_sweep_resume import lines, swept

from trainer.config.sweep import Ray as RayConfig
from trainer.show.report import Report
from trainer.sweeps.concurrent import Submitted
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Asked, Planned
from trainer.sweeps.ray import Ray, logged
from trainer.system.errors import ConfigError

__all__ = ["sick"]
ray = pytest.importorskip("ray", reason="needs the extra: pip install 'trainer-cli[ray]'")


@pytest.mark.slow
def test_jobs_end_as_one_after_the_other_and_one_that_dies_fails_alone(
    machine: Machine, sick: Path, trainer: Trainer
) -> None:
    asked = ("-m", *JOBS, "epochs=2")
    assert trainer("train", *asked, "model.does=learn", "name=serial").code == 0
    ran = machine.start("train", *asked, "model.does=die,learn,raise", "sweep=ray", "sweep.jobs=1", "name=there")
    ended = ran.wait()
    out = ended.out + ended.err
    assert ended.code == 1, out
    found = {line["job"]: line for line in lines(swept("there"))}
    assert {job: found[job]["status"] for job in found} == {0: "failed", 1: "completed", 2: "failed"}
    assert "its process died (WorkerCrashedError" in found[0]["error"]
    assert found[2]["error"] == "ValueError: not today"
    assert running.same(running.weights(swept("serial") / "0"), running.weights(swept("there") / "1"))
    assert "raise ValueError" in (swept("there") / "ray" / "2.log").read_text()
    assert all(f"job {job}  model.does" in out for job in (0, 1, 2))


@pytest.mark.slow
def test_a_signal_stops_jobs_with_checkpoints_and_resume_goes_on(
    machine: Machine, sick: Path, trainer: Trainer
) -> None:
    asked = ("-m", *JOBS, "model.does=wait", "seed=0,1,2", "epochs=20", "data.batch_size=10")
    ran = machine.start("train", *asked, "sweep=ray", "sweep.jobs=2", "sweep.cpus=0.5")
    ran.until(lambda: trains(0) and trains(1))
    ran.send(signal.SIGTERM)
    ended = ran.wait()
    out = ended.out + ended.err
    assert ended.code == 143, out
    assert sorted((line["job"], line["status"]) for line in lines(swept())) == [(0, "interrupted"), (1, "interrupted")]
    assert "not run" in out
    assert all("last.pt is written" in line["error"] for line in lines(swept()))
    assert min(running.checkpoint(swept() / job)["step"] for job in "01") > 0
    Path("cure").touch()
    assert trainer("resume", str(swept() / "0")).code == 0
    assert running.result(swept() / "0")["status"] == "completed"
    assert "resumed" in (swept() / "0" / "train.log").read_text()
    listed = trainer("resume", str(swept()), "sweep.dry_run=true").out
    assert [line.split()[-1] for line in listed.splitlines()[2:]] == ["done", "on", "run"]


def test_without_ray_it_says_what_to_install(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = trainer("train", "-m", "seed=0,1", *QUICK, "sweep=ray")
    assert ran.code == 2
    assert ran.err.splitlines() == ["error: sweep=ray needs ray", "  pip install 'trainer-cli[ray]'"]
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("sweep.adress=auto", "did you mean 'address'?"), ("sweep.cpus=0", "it must be above 0")],
)
def test_a_bad_key_is_refused(trainer: Trainer, wrong: str, said: str) -> None:
    ran = trainer("train", *QUICK, "sweep=ray", wrong)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("there", "asked", "places"),
    [
        ({"CPU": 8.0}, {}, 8),
        ({"CPU": 8.0}, {"cpus": 3.0}, 2),
        ({"CPU": 8.0}, {"jobs": 20}, 20),
        ({"CPU": 8.0, "GPU": 2.0}, {}, 2),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus": 0.5}, 4),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus": 0.0}, 8),
    ],
)
def test_so_many_run_at_once_as_there_is_room_for(there: dict[str, float], asked: dict[str, Any], places: int) -> None:
    assert sized(there, asked).places == places


def test_what_this_machine_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="a job needs 1 CPUs and 2 GPUs: this machine has 8 and 1"):
        sized({"CPU": 8.0, "GPU": 1.0}, {"gpus": 2.0})
    assert sized({"CPU": 8.0}, {"gpus": 2.0, "address": "auto"}).places == 1  # a cluster may grow


def test_a_job_is_shown_as_running_when_its_process_has_begun(tmp_path: Path) -> None:
    """Though its directory is full of files: those of the job before the sweep was resumed."""
    runner = sized({"CPU": 8.0}, {})
    runner.task = SimpleNamespace(remote=lambda planned, place, log: log)
    directory, log = tmp_path / "0", tmp_path / "ray" / "0.log"
    for path in (directory, log.parent):
        path.mkdir()
    (directory / "config.yaml").touch()
    log.write_text("of an earlier time\n")
    planned = Planned(0, directory, Asked([], None), "")
    job = Submitted(planned, runner.submit(planned))
    assert not runner.runs(job)
    with logged(job.handle):
        assert runner.runs(job)


def sized(there: dict[str, float], asked: dict[str, Any]) -> Ray:
    runner = Ray(RayConfig(**asked), Monitor(Report()), lambda job: None)
    runner.ray = SimpleNamespace(cluster_resources=lambda: there, remote=ray.remote)  # type: ignore[assignment]
    runner.take_places()
    return runner
