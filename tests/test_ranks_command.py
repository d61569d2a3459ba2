"""`devices=N`: the command on several ranks leaves what one process leaves."""

import json
import os
import sys
from pathlib import Path

import pytest
import running
import torch
from conftest import Trainer
from processes import Machine
from running import SILENT
from test_sweep_resume import lines, swept

import trainer as face

# The last batch of an epoch is smaller than the others, and a step takes two.
NET = (*SILENT, "precision=float64", "data.limit=103", "data.batch_size=16", "accumulate=2", "data.augment.shift=2")


def close(one: Path, other: Path) -> None:
    """The weights of two runs are the same but for the order of sums."""
    first, second = running.weights(one), running.weights(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        torch.testing.assert_close(values, second[name], rtol=0, atol=1e-10)


def test_two_ranks_train_and_test_as_one_process_does(trainer: Trainer) -> None:
    alone = running.train(trainer, *NET, "epochs=2", "name=alone")
    ran = trainer("train", *NET, "epochs=2", "devices=2", "name=shared")
    assert ran.code == 0, ran.err
    (shared,) = Path("runs/shared").iterdir()
    close(alone, shared)
    one, two = running.result(alone), running.result(shared)
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-10)
    assert two["environment"].pop("ranks") == "2"
    assert two["environment"] == one["environment"]
    assert ran.out.count("shared  lenet on digits") == 1
    assert ", each of 2 ranks" in ran.out
    assert (shared / "train.log").read_text().splitlines()[0] == ran.out.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2)])
def test_a_training_is_resumed_on_another_number_of_ranks(trainer: Trainer, before: int, after: int) -> None:
    more = "scheduler=exponential", "scheduler.gamma=0.9", "optim=sgd", "optim.momentum=0.9", "ema=0.9"
    whole = running.train(trainer, *NET, *more, "epochs=3", "name=whole")
    begun = *NET, *more, "epochs=3", f"devices={before}", "name=begun", "max_steps=5"
    assert trainer("train", *begun).code == 0
    (run,) = Path("runs/begun").iterdir()
    ran = trainer("resume", str(run), f"devices={after}", "max_steps=null")
    assert ran.code == 0, ran.err
    close(whole, run)
    rows = [running.rows(each)[-1] for each in (whole, run)]
    kept = [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in rows]
    assert kept[1] == pytest.approx(kept[0], abs=1e-9)


@pytest.mark.slow
def test_torchrun_starts_ranks_too(machine: Machine) -> None:
    alone = machine.run("train", *NET, "epochs=2", "name=alone")
    assert alone.code == 0, alone.err
    begin = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"
    code = f"import runpy, sys; sys.argv = {['torchrun', *begin[2:], sys.executable, '-m', 'trainer', 'train', *NET]!r}"
    code += "; sys.argv += ['epochs=2', 'name=shared']; runpy.run_module('torch.distributed.run', run_name='__main__')"
    ran = machine.run(code=code)
    assert ran.code == 0, ran.err
    assert ran.out.count("shared  lenet on digits") == 1
    (one,), (two,) = (list(Path("runs", name).iterdir()) for name in ("alone", "shared"))
    close(one, two)
    assert running.result(two)["environment"]["ranks"] == "2"


def test_as_many_devices_as_torchrun_has_started(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "29400"}.items():
        monkeypatch.setenv(name, value)
    ran = trainer("train", "devices=3")
    assert (ran.code, ran.err) == (2, "error: devices=3: 2 processes were started\n  leave devices= out\n")


@pytest.mark.slow
def test_ranks_of_srun_that_have_other_data_say_so(machine: Machine) -> None:
    meeting = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_ID": "0", "SLURM_JOB_ID": str(os.getpid())}
    for rank, extra in ((0, "0.5"), (1, "0.7")):
        Path(f"machine-{rank}").mkdir()
        rows = "".join(f"{n % 7},{n % 5},{n * float(extra)}\n" for n in range(60))
        Path(f"machine-{rank}/table.csv").write_text("a,b,c\n" + rows)
    started = [
        machine.start(
            *("train", *SILENT, "data=table", f"data.path=machine-{rank}/table.csv", "data.target=c", "model=linear"),
            SLURM_PROCID=str(rank),
            SLURM_LOCALID=str(rank),
            **meeting,
        )
        for rank in range(2)
    ]
    found = [each.wait(60) for each in started]
    assert [each.code for each in found] == [2, 2], found
    assert found[0].err.startswith("error: ranks have different data: samples ")
    assert not Path("runs").exists()


@pytest.mark.slow
def test_python_trains_on_several_ranks(empty: Path) -> None:
    run = face.train(*NET, epochs=1, devices=2)
    assert run.status == "completed"
    assert running.result(run.path)["environment"]["ranks"] == "2"
    assert face.resume(run, epochs=2, devices=1).status == "completed"


@pytest.mark.slow
def test_two_ranks_evaluate_as_one_process_does(trainer: Trainer) -> None:
    """To the last digit, and each file to the bit: a sweep's jobs together, with tables and pictures, calibrated."""
    ran = trainer("train", "-m", *SILENT, "data.limit=500", "model=linear", "epochs=1", "seed=0,1")
    assert ran.code == 0, ran.err
    sweep = str(swept())
    calibrated = f"{sweep}/1", "eval.calibrate=temperature", "data.eval_batch_size=60"
    for words in (sweep,), (f"{sweep}/0", "out=left"), calibrated:
        seen, left = [], []
        for devices in (1, 2):
            ran = trainer("eval", *words, f"devices={devices}")
            assert ran.code == 0, ran.err
            seen.append(ran.out.replace(", each of 2 ranks", ""))
            left.append({path.name: path.read_bytes() for path in Path("left").rglob("*") if path.is_file()})
        assert seen[0] == seen[1]
        assert left[0] == left[1]


@pytest.mark.slow
def test_two_ranks_predict_as_one_process_does(trainer: Trainer, images: Path) -> None:
    """The same table to the bit, in the order of the inputs, whatever cannot be read; and the same of rows."""
    named = f"data.path={images}", "data=folder", "data.resize=20", "data.size=20"
    pictures = running.train(trainer, *SILENT, *named, "model=linear", "epochs=1", "name=pictures")
    for number in range(7):
        (images / "train" / "dark" / f"broken-{number}.png").write_bytes(b"no image")
    rows = "".join(f"{n % 7},{n % 5 if n % 11 else 'x'},{n % 3}\n" for n in range(2500))
    Path("table.csv").write_text("a,b,c\n" + rows)
    table = running.train(
        trainer, *SILENT, "data=table", "data.path=table.csv", "data.target=c", "model=linear", "epochs=1", "name=table"
    )
    for run, given in ((pictures, f"{images}/train"), (table, "table.csv")):
        seen, written = [], []
        for devices in (1, 2):
            ran = trainer("predict", str(run), f"input={given}", f"devices={devices}")
            assert ran.code == (1 if run is pictures else 0), ran.err
            lines = ran.out.replace(", each of 2 ranks", "").splitlines()
            seen.append([line for line in lines if not line.lstrip().startswith("input  ")] + ran.err.splitlines())
            written.append(Path("predictions.csv").read_bytes())
        assert seen[0] == seen[1]
        assert written[0] == written[1]


@pytest.mark.slow
@pytest.mark.parametrize("sweep", ["serial", "parallel", "auto"])
def test_jobs_of_a_sweep_have_several_ranks(trainer: Trainer, sweep: str) -> None:
    ran = trainer("train", "-m", *NET, "epochs=1", "devices=1,2", "model=linear", f"sweep={sweep}")
    assert ran.code == 0, ran.err
    assert [line["status"] for line in lines(swept())] == ["completed"] * 2
    close(swept() / "0", swept() / "1")
    assert [running.result(swept() / str(job))["environment"].get("ranks") for job in (0, 1)] == [None, "2"]


def test_a_batched_sweep_has_one_device(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *NET, "epochs=1", "devices=2", "model=linear", "sweep=batched", "seed=0,1")
    assert ran.code == 1
    assert "sweep=batched trains several models on one device" in json.dumps(lines(swept()))
