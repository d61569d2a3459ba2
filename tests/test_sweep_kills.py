"""A sweep that is killed again and again, in processes of its own."""

import random
import signal
import time
from pathlib import Path

import pytest
import resuming
from conftest import SOAK, Trainer, soak
from running import SILENT
from test_sweep_resume import command, lines, swept


@pytest.mark.slow
@pytest.mark.parametrize("how", [pytest.param("serial", marks=soak), "parallel"])
@pytest.mark.timeout(300)
def test_killed_at_any_moment_and_resumed_every_job_is_done_once(trainer: Trainer, how: str) -> None:
    """The results are those of an undisturbed sweep, to the bit. TRAINER_SOAK=1: five times, not once."""
    grid = ("optim.lr=0.01,0.1", "optim.momentum=0,0.9", "seed=0,1,2")
    rest = (*SILENT, "model=mlp", "optim=sgd", "epochs=4", "data.batch_size=8", "checkpoint.every_steps=30")
    assert trainer("train", "-m", *grid, *rest, "name=whole").code == 0
    rng = random.Random(0)
    words, killed = ("train", "-m", *grid, *rest, f"sweep={how}", "name=parts"), 0
    for _ in range(5 if SOAK else 1):
        running_now = command(*words)
        time.sleep(rng.uniform(4, 8) if how == "parallel" else rng.uniform(2.5, 5))
        running_now.send_signal(signal.SIGKILL)
        running_now.communicate(timeout=60)
        killed += running_now.returncode == -signal.SIGKILL
        found = list(Path("runs/sweeps/parts").glob("*/overrides.yaml"))
        words = ("resume", str(found[0].parent)) if found else words
    last = trainer(*words)
    assert last.code == 0, last.err
    assert killed >= 1
    parts = swept("parts")
    completed = [line["job"] for line in lines(parts) if line["status"] == "completed"]
    assert sorted(completed) == list(range(12))
    for job in range(12):
        assert resuming.differences(swept("whole") / str(job), parts / str(job)) == []
