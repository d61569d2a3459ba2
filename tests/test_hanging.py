"""Data that are never read to the end: a signal stops the training nevertheless, with its last step."""

import signal
from pathlib import Path

import pytest
from processes import Machine, Running
from running import SILENT, checkpoint, result
from traps import Trap

DATA = """
import time
from pathlib import Path

import torch
from trainer.data.splits import Dataset, Split


class Samples:
    dtype = torch.float32

    def __init__(self, name, count):
        self.name, self.values, self.shape = name, torch.randn(count, 4), torch.Size((count, 4))

    def __getitem__(self, index):
        while Path(f"hang-{self.name}").exists():
            Path(f"hangs-{self.name}").touch()
            time.sleep(0.01)
        return self.values[index]


def load():
    splits = [Split(Samples(name, 40), torch.randint(0, 2, (40,))) for name in ("train", "test", "val")]
    return Dataset("hanging", *splits, ("a", "b"))
"""
LONG = (*SILENT, "model=linear", "data=hanging", "epochs=100000", "data.placement=stream", "data.batch_size=4")
RARELY = ("checkpoint.every_epochs=null", "checkpoint.every_minutes=null")
SOON = Trap(("trainer.run.signals:PATIENCE",), "set", value=0.2)


@pytest.fixture
def trains(machine: Machine) -> Machine:
    """Where `data=hanging` are data that are read as long as there is no file `hang-SPLIT`."""
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/hanging.yaml").write_text("_target_: hanging.load\n")
    Path("hanging.py").write_text(DATA)
    return machine


def stopped_while_it_hangs(machine: Machine, split: str, *more: str, signum: int = signal.SIGTERM) -> tuple[int, str]:
    """Exit code and errors of a long training that is told to stop when the reading of a split hangs."""
    process: Running = machine.start("train", *LONG, *RARELY, *more, traps=(SOON,))
    process.until_said(" +1 +10 ", 30)
    Path(f"hang-{split}").touch()
    process.until(Path(f"hangs-{split}").exists)
    process.send(signum)
    ended = process.wait()
    assert process.leaves_nobody()
    return ended.code, ended.err


@pytest.mark.parametrize(
    ("split", "workers", "signum", "code"),
    [
        ("train", 2, signal.SIGTERM, 143),
        pytest.param("train", 0, signal.SIGTERM, 143, marks=pytest.mark.slow),
        ("val", 1, signal.SIGINT, 130),
        pytest.param("val", 0, signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_training_whose_data_hang_is_stopped_with_its_last_step(
    trains: Machine, split: str, workers: int, signum: int, code: int
) -> None:
    found, err = stopped_while_it_hangs(trains, split, f"data.workers={workers}", signum=signum)
    assert found == code, err
    assert len(err.splitlines()) == 2, err
    assert "last.pt is written" in err
    (run,) = Path("runs").glob("*/*")
    assert result(run)["status"] == "interrupted"
    assert checkpoint(run)["step"] == result(run)["steps"] >= 10
    Path(f"hang-{split}").unlink()
    resumed = trains.run("resume", run, "epochs=" + str(checkpoint(run)["epoch"] + 2))
    assert resumed.code == 0, resumed.err


def test_a_test_whose_data_hang_is_given_up_at_once(trains: Machine) -> None:
    Path("hang-test").touch()
    process = trains.start("train", *LONG, "epochs=2", "data.workers=1")
    process.until(Path("hangs-test").exists)
    process.send(signal.SIGTERM)
    ended = process.wait()
    assert ended.code == 143, ended.err
    assert "after the training, before its test; last.pt is written" in ended.err
    assert process.leaves_nobody()


@pytest.mark.slow
def test_an_evaluation_whose_data_hang_ends_soon(trains: Machine) -> None:
    assert trains.run("train", *LONG, "epochs=1").code == 0
    (run,) = Path("runs").glob("*/*")
    Path("hang-test").touch()
    process = trains.start("eval", f"ckpt={run}", "data=hanging", "data.placement=stream", "data.workers=2")
    process.until(Path("hangs-test").exists)
    process.send(signal.SIGTERM)
    ended = process.wait(60)
    assert ended.code == 143, ended.err
    assert process.leaves_nobody()
