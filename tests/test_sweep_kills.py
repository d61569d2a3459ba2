"""A sweep that is killed again and again, in processes of its own."""

import random
import signal
from pathlib import Path

import pytest
import resuming
from conftest import SOAK, Trainer
from processes import Machine
from running import SILENT
from test_sweep_resume import lines, swept

pytestmark = pytest.mark.slow


def noted() -> set[str]:
    """The jobs of the sweep `parts` that have ended."""
    paths = Path("runs/sweeps/parts").glob("*/sweep.jsonl")
    return {str(line["job"]) for path in paths for line in lines(path.parent)}


def training() -> set[str]:
    """Its jobs that have a checkpoint, and have not ended."""
    return {path.parent.parent.name for path in Path("runs/sweeps/parts").glob("*/*/checkpoints/last.pt")} - noted()


@pytest.mark.parametrize("how", ["serial", "parallel"])
def test_killed_at_any_moment_and_resumed_every_job_is_done_once(trainer: Trainer, machine: Machine, how: str) -> None:
    """The results are those of an undisturbed sweep, to the bit. TRAINER_SOAK=1: five kills, not two."""
    grid = ("optim.lr=0.01,0.1", "optim.momentum=0,0.9", "seed=0,1,2")
    rest = (*SILENT, "model=mlp", "optim=sgd", "epochs=4", "data.batch_size=8", "checkpoint.every_steps=30")
    assert trainer("train", "-m", *grid, *rest, "name=whole").code == 0
    dice = random.Random(0)
    words: tuple[str, ...] = ("train", "-m", *grid, *rest, f"sweep={how}", "name=parts")
    for _ in range(5 if SOAK else 2):
        sweep = machine.start(*words)
        least = len(noted()) + dice.randint(0, 2)
        sweep.until(lambda least=least: len(noted()) >= least and training())
        sweep.kill()
        assert sweep.wait().code == -signal.SIGKILL
        assert sweep.leaves_nobody()
        words = ("resume", str(swept("parts")))
    last = trainer(*words)
    assert last.code == 0, last.err
    parts = swept("parts")
    completed = [line["job"] for line in lines(parts) if line["status"] == "completed"]
    assert sorted(completed) == list(range(12))
    for job in range(12):
        assert resuming.differences(swept("whole") / str(job), parts / str(job)) == []
