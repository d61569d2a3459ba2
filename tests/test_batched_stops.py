"""Batched sweeps that are stopped, killed, and gone on with."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import resuming
from batching import (
    LINEAR,
    QUICK,
    both,
    contents,
    differences,
    directory,
    once,
    runs_of,
    same,
    statuses,
    users_parts,
)
from conftest import Trainer
from processes import Machine
from running import checkpoint
from test_sweep_resume import lines
from torch import Tensor, nn

from trainer.run import starting
from trainer.run.training import Training
from trainer.sweeps.batched import runner as module

ADAM = ("model=small", *QUICK, "epochs=3", "optim=adam", "seed=0,1,2,3", "model.dropout=0.3")


@pytest.fixture(autouse=True)
def own(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users_parts(monkeypatch)


Whole = list[dict[str, Any]]
_WHOLE: Whole = []


@pytest.fixture
def whole(trainer: Trainer) -> Whole:
    """What jobs come to that nobody interrupts, batched as alone; found once for all tests."""
    if not _WHOLE:
        _WHOLE.extend(contents(job) for job in both(trainer, *ADAM))
    return _WHOLE


def undisturbed(jobs: list[Path], whole: Whole) -> None:
    """The jobs have come to the same, in spite of all."""
    for job, expected in zip(jobs, whole, strict=True):
        assert differences(contents(job), expected) == []


@pytest.mark.parametrize(
    ("first", "then"),
    [("batched", "batched"), ("batched", "serial"), pytest.param("serial", "batched", marks=pytest.mark.slow)],
)
def test_an_interrupted_sweep_is_gone_on_with_in_any_way(trainer: Trainer, whole: Whole, first: str, then: str) -> None:
    with resuming.interrupting(once(15 if first == "batched" else 58)):
        assert trainer("train", "-m", *ADAM, f"sweep={first}", "name=parts").code == 130
    stopped = [line["status"] for line in lines(directory("parts"))]
    assert stopped == (["interrupted"] * 4 if first == "batched" else ["completed"] * 2 + ["interrupted"])
    ran = trainer("resume", str(directory("parts")), f"sweep={then}")
    assert ran.code == 0, ran.err
    done = [line["job"] for line in lines(directory("parts")) if line["status"] == "completed"]
    assert sorted(done) == [0, 1, 2, 3]
    undisturbed(runs_of(directory("parts")), whole)


def test_jobs_that_stand_at_other_steps_go_on_in_teams(trainer: Trainer, whole: Whole) -> None:
    with resuming.interrupting(once(15)):
        assert trainer("train", "-m", *ADAM, "sweep=batched", "name=parts").code == 130
    jobs = runs_of(directory("parts"))
    for job in jobs[:2]:
        with resuming.interrupting(lambda state: state.step == 20):
            assert trainer("resume", str(job)).code == 130
    assert [checkpoint(job)["step"] for job in jobs] == [20, 20, 15, 15]
    ran = trainer("resume", str(directory("parts")))
    assert ran.code == 0, ran.err
    assert ran.out.count("2 jobs as one program") == 2
    undisturbed(jobs, whole)


def test_a_second_signal_ends_at_once_and_what_is_on_the_disk_is_gone_on_with(trainer: Trainer, whole: Whole) -> None:
    steps = []

    def twice(module: nn.Module, inputs: Tensor) -> None:
        if type(module).__name__ == "Small" and module.training and len(inputs) > 2:  # fewer find its shapes
            steps.append(1)
            if len(steps) == 14:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)

    with resuming.watching(twice):
        assert trainer("train", "-m", *ADAM, "sweep=batched", "name=parts").code == 130
    jobs = runs_of(directory("parts"))
    assert statuses(jobs) == ["interrupted"] * 4
    assert trainer("resume", str(directory("parts"))).code == 0
    undisturbed(jobs, whole)


def test_a_signal_in_an_evaluation(trainer: Trainer, whole: Whole) -> None:
    evaluated = []

    def signalled(module: nn.Module, inputs: Tensor) -> None:
        if type(module).__name__ == "Small" and not module.training and len(inputs) > 2:  # fewer find its shapes
            evaluated.append(1)
            if len(evaluated) == 3:  # in the second evaluation, which has two batches
                os.kill(os.getpid(), signal.SIGINT)

    with resuming.watching(signalled):
        assert trainer("train", "-m", *ADAM, "data.eval_batch_size=5", "sweep=batched", "name=parts").code == 130
    jobs = runs_of(directory("parts"))
    assert [(checkpoint(job)["epoch"], checkpoint(job)["batch"]) for job in jobs] == [(1, 9)] * 4
    assert trainer("resume", str(directory("parts"))).code == 0
    undisturbed(jobs, whole)


@pytest.mark.parametrize("method", ["_test", pytest.param("_draw", marks=pytest.mark.slow)])
def test_a_signal_after_the_training_stops_what_is_still_to_come(trainer: Trainer, method: str) -> None:
    """Of this program and of the next."""
    args = (*ADAM, "accumulate=1,2")
    own, calls = getattr(Training, method), []

    def signalled(training: Training, *facts: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return own(training, *facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, method, signalled)
        assert trainer("train", "-m", *args, "sweep=batched", "name=parts").code == 143
    found = [line["status"] for line in lines(directory("parts"))]
    assert found == ["completed"] * 3 + ["interrupted" if method == "_test" else "completed"]
    assert trainer("resume", str(directory("parts"))).code == 0
    assert statuses(runs_of(directory("parts"))) == ["completed"] * 8


@pytest.mark.parametrize("where", ["opened", pytest.param("reason_against", marks=pytest.mark.slow)])
def test_a_signal_as_jobs_are_set_up(trainer: Trainer, where: str) -> None:
    owner, name = (starting, "assemble") if where == "opened" else (module, "reason_against")
    own, calls = getattr(owner, name), []

    def signalled(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == (3 if where == "opened" else 1):
            os.kill(os.getpid(), signal.SIGINT)
        return own(*args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, signalled)
        ran = trainer("train", "-m", *LINEAR, "seed=0,1,2,3", "sweep=batched", "name=parts", "tensorboard.enabled=true")
    assert ran.code == 130
    begun, stopped = (2, 3) if where == "opened" else (1, 1)
    assert [line["status"] for line in lines(directory("parts"))] == ["interrupted"] * stopped
    assert statuses(runs_of(directory("parts"))[:begun]) == ["interrupted"] * begun
    assert trainer("resume", str(directory("parts"))).code == 0
    assert statuses(runs_of(directory("parts"))) == ["completed"] * 4


@pytest.mark.slow
def test_killed_and_signalled_processes_go_on(trainer: Trainer, machine: Machine) -> None:
    """SIGKILL, then SIGTERM to the process that goes on, then to the end: every job is done once."""
    args = ("-m", *ADAM, "epochs=60", "checkpoint.every_steps=10", "sweep=batched", "name=parts")
    words: tuple[str, ...] = ("train", *args)
    for signum, code, least in ((signal.SIGKILL, -9, 10), (signal.SIGTERM, 143, 200)):
        running = machine.start(*words)
        running.until(lambda least=least: _past(least))
        running.send(signum)
        assert running.wait().code == code
        words = ("resume", str(directory("parts")))
    stopped = {line["job"] for line in lines(directory("parts")) if line["status"] == "interrupted"}
    assert stopped  # others may have been done: those that were killed at another step go on in a team of their own
    ran = trainer(*words)
    assert ran.code == 0, ran.err
    done = [line["job"] for line in lines(directory("parts")) if line["status"] == "completed"]
    assert sorted(done) == [0, 1, 2, 3]
    same(runs_of(directory("parts")), both(trainer, *ADAM, "epochs=60"), 1e-8)


def _past(step: int) -> bool:
    """Whether all jobs have a checkpoint, and one of them of a later step."""
    found = list(Path("runs/sweeps").glob("parts/*/[0-3]/checkpoints/last.pt"))
    try:
        return len(found) == 4 and max(checkpoint(path.parent.parent)["step"] for path in found) > step
    except FileNotFoundError:
        return False
