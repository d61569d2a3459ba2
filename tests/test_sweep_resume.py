"""`trainer resume SWEEP`: what is done is kept, what was interrupted goes on, what is missing runs."""

import json
from pathlib import Path
from typing import Any

import pretending
import pytest
import resuming
import running
from conftest import Trainer
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

    pretending.lock_seconds(monkeypatch, 0.0)
    assert trainer("train", "-m", "seed=0,1", *QUICK).code == 0
    with runs.locked(swept()):
        ran = trainer("resume", str(swept()))
    assert ran.code == 2
    assert "another process" in ran.err


def test_a_table_that_cannot_be_written_does_not_hide_that_somebody_stopped_the_sweep(trainer: Trainer) -> None:
    taken: list[int] = []

    def due(state: Any) -> bool:
        taken.append(1)
        if len(taken) == 3:
            (swept() / "results.csv").mkdir()  # where the table is to be written
        return len(taken) == 3

    with resuming.interrupting(due):
        ran = trainer("train", "-m", "seed=0,1", *QUICK, "data.batch_size=10")
    assert ran.code == 130, ran.err
    assert "warning: cannot write" in ran.out
    assert "interrupted in epoch 1" in ran.err
