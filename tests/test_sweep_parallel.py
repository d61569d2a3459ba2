"""`sweep=parallel`: jobs side by side in processes of this machine, which die, are killed or are told to stop."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pretending
import pytest
import resuming
import running
from conftest import Trainer
from failing import JOBS, sick, trains
from processes import Machine, until
from running import QUICK
from test_configs import compose
from test_sweep_resume import lines, swept

from trainer.config import sweep
from trainer.run.sweep_log import Outcome
from trainer.show.report import Report
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.parallel import Parallel
from trainer.sweeps.plan import Asked, Planned
from trainer.system.machine import cores

__all__ = ["sick"]


def test_jobs_side_by_side_end_as_one_after_the_other(trainer: Trainer) -> None:
    asked = ("-m", "optim.lr=0.01,0.1", "seed=0,1", *QUICK, "epochs=2")
    for how in ("serial", "parallel"):
        ran = trainer("train", *asked, f"sweep={how}", f"name={how}")
        assert ran.code == 0, ran.err
    for job in range(4):
        assert resuming.differences(swept("serial") / str(job), swept("parallel") / str(job)) == []
    assert sorted(line["job"] for line in lines(swept("parallel"))) == [0, 1, 2, 3]


def test_a_job_whose_process_dies_takes_no_other_down(trainer: Trainer, sick: Path) -> None:
    ran = trainer("train", "-m", "model.does=learn,die,learn", "epochs=1", *JOBS, "sweep=parallel", "sweep.jobs=1")
    assert ran.code == 1
    found = [(line["job"], line["status"]) for line in lines(swept())]
    assert found == [(0, "completed"), (1, "failed"), (2, "completed")]
    assert "was killed by SIGKILL" in ran.out
    assert f"next trainer resume {swept()}" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("signum", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_stops_every_job_with_a_checkpoint(
    trainer: Trainer, machine: Machine, sick: Path, signum: int, code: int
) -> None:
    asked = ("-m", "model.does=wait", "seed=0,1,2", "epochs=100", "data.batch_size=10", *JOBS)
    ran = machine.start("train", *asked, "sweep=parallel", "sweep.jobs=2")
    ran.until(lambda: len(list(Path("runs/sweeps").glob("*/*/*/checkpoints/last.pt"))) == 2)
    ran.send(signum, group=True)
    ended = ran.wait()
    out = ended.out + ended.err
    assert ended.code == code, out
    assert sorted((line["job"], line["status"]) for line in lines(swept())) == [(0, "interrupted"), (1, "interrupted")]
    assert all(running.checkpoint(swept() / job)["step"] > 0 for job in "01")
    assert "not run" in out
    assert "trainer resume" in out
    listed = trainer("resume", str(swept()), "sweep.dry_run=true").out
    assert [line.split()[-1] for line in listed.splitlines()[2:]] == ["on", "on", "run"]


# --- the runner by itself -------------------------------------------------------------------------------


def planned(number: int, *words: str) -> Planned:
    directory = Path(str(number))
    directory.mkdir()
    config = compose("train", "device=cpu", *words)
    return Planned(number, directory, Asked([f"seed={number}"], config), f"seed={number}")


def runner(jobs: int) -> tuple[Parallel, list[Outcome]]:
    ended: list[Outcome] = []
    return Parallel(sweep.Parallel(jobs=jobs), Monitor(Report(quiet=True)), ended.append), ended


def test_a_worker_that_is_killed_while_it_has_nothing_to_do_is_started_anew(empty: Path) -> None:
    parallel, ended = runner(1)

    def jobs() -> Iterator[Planned]:
        yield planned(0, *QUICK)
        (worker,) = parallel.idle
        worker.process.kill()
        worker.process.join()
        yield planned(1, *QUICK)

    parallel.run(jobs())
    assert [(job.job, job.status) for job in ended] == [(0, "completed"), (1, "completed")]


def test_a_job_that_does_not_stop_in_time_is_killed_and_was_interrupted(sick: Path) -> None:
    parallel, ended = runner(2)
    parallel.stop_seconds = 0.2

    def jobs() -> Iterator[Planned]:
        yield planned(0, *running.SILENT, "model=sick", "model.does=hang")
        assert until(Path("0/hangs").exists, pause=0.05)
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        parallel.run(jobs())
    assert time.monotonic() - started < 60  # it would hang for longer
    (job,) = ended
    assert (job.status, job.error) == ("interrupted", "it did not stop within 0 s")
    assert job.seconds > 0


TELLS = '''
import gc, os, torch

class Net(torch.nn.Linear):
    """Says what its process has."""

    def __init__(self):
        super().__init__(784, 10)
        with open("said", "w") as file:
            print(torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], gc.isenabled(), file=file)
            print(os.readlink("/proc/self/fd/1"), file=file)

    def forward(self, inputs):
        return super().forward(inputs.flatten(1))
'''


def test_each_worker_has_its_share_of_the_threads_and_prints_nothing(empty: Path) -> None:
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/tells.yaml").write_text("_target_: tells.Net\n")
    Path("tells.py").write_text(TELLS)
    parallel, ended = runner(1)
    parallel.run(iter([planned(0, *running.SILENT, "model=tells", "data.limit=100", "epochs=1")]))
    assert [job.status for job in ended] == ["completed"], ended
    assert Path("said").read_text() == f"{cores()} {cores()} True\n/dev/null\n"


@pytest.mark.slow
def test_a_mistake_is_answered_while_the_server_of_the_workers_imports_and_leaves_nobody(machine: Machine) -> None:
    ran = machine.start("train", "-m", "seed=0,1", "optim.lrr=1", "sweep=parallel", fresh=True)
    ended = ran.wait()
    assert ended.code == 2
    assert "did you mean 'lr'?" in ended.err
    assert len(ended.err.splitlines()) <= 2
    assert ran.leaves_nobody()


@pytest.mark.slow
def test_a_temporary_folder_whose_name_is_too_long_for_a_socket_is_no_matter(machine: Machine) -> None:
    folder = Path("x" * 100).absolute()
    folder.mkdir()
    ended = machine.run("train", "-m", "seed=0,1", *QUICK, "sweep=parallel", "sweep.jobs=2", TMPDIR=str(folder))
    assert ended.code == 0, ended.err
    assert [line["status"] for line in lines(swept())] == ["completed"] * 2


def test_each_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.gpus(monkeypatch, "0", "GPU-1")
    made = Parallel(sweep.Parallel(), Monitor(Report(quiet=True)), lambda job: None)
    assert made.shares == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "GPU-1"}]
    more = Parallel(sweep.Parallel(jobs=3), Monitor(Report(quiet=True)), lambda job: None)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in more.shares] == ["0", "GPU-1", "0"]
    made.divide(2)
    assert made.shares == [{"CUDA_VISIBLE_DEVICES": "0,GPU-1"}]


@pytest.mark.slow
def test_workers_are_killed_with_the_sweep(machine: Machine, sick: Path) -> None:
    asked = ("-m", "model.does=wait", "seed=0,1", "epochs=100", *JOBS, "sweep=parallel", "sweep.jobs=2")
    ran = machine.start("train", *asked)
    ran.until(lambda: trains(0) and trains(1))
    pids = set(map(int, Path("pids").read_text().split()))
    assert len(pids) == 2
    assert all(map(alive, pids))
    ran.kill()
    ran.wait()
    assert until(lambda: not any(map(alive, pids)), pause=0.01)
    assert ran.leaves_nobody()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
