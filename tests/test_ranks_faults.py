"""What ends a training on several ranks: all of them end, with one message and a checkpoint to resume from."""

import os
import signal
from pathlib import Path

import descended
import pytest
import running
from processes import Ended, Machine, Running, until
from running import SILENT

pytestmark = pytest.mark.slow
LONG = (*SILENT, "devices=2", "data.limit=200", "data.batch_size=10", "epochs=100000", "checkpoint.every_epochs=1")


def run_directory() -> Path:
    (found,) = Path("runs").glob("*/*")
    return found


def begun(machine: Machine, *more: str, **how: object) -> tuple[Running, list[int]]:
    """A long training after some epochs, and its ranks."""
    started = machine.start("train", *LONG, *more, **how)  # type: ignore[arg-type]
    pids = descended.ranks(started, 2)
    started.until(lambda: [path for path in Path("runs").glob("*/*/metrics.jsonl") if path.read_text().count("\n") > 2])
    return started, pids


def ended(started: Running, everyone: list[int]) -> Ended:
    """How it has ended, with nobody left."""
    found = started.wait(60)
    assert descended.all_gone(everyone)
    return found


def errors(found: Ended) -> list[str]:
    """The lines of what has gone wrong: there is one."""
    return [line for line in found.err.splitlines() if "error" in line.lower()]


def is_resumed(machine: Machine, *more: str) -> None:
    """Its checkpoint is one to resume from, on any number of ranks."""
    step = running.checkpoint(run_directory())["step"]
    assert step > 0
    again = machine.run("resume", run_directory(), f"max_steps={step + 3}", *more)
    assert again.code == 0, again.err
    assert running.result(run_directory())["status"] == "completed"
    assert running.result(run_directory())["steps"] == step + 3


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_all(machine: Machine, rank: int) -> None:
    started, pids = begun(machine)
    everyone = descended.below(started.pid)
    os.kill(pids[rank], signal.SIGKILL)
    found = ended(started, everyone)
    assert found.code == 1
    assert errors(found) == [f"error: rank {rank} was killed by SIGKILL"]
    assert "resume it: trainer resume runs/" in found.err
    noted = running.result(run_directory())
    assert (noted["status"], noted["error"]) == ("failed", f"rank {rank} was killed by SIGKILL")
    is_resumed(machine, f"devices={2 - rank}")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_is_given_up_in_time(machine: Machine, rank: int) -> None:
    started, pids = begun(machine, "rank_timeout=2")
    everyone = descended.below(started.pid)
    os.kill(pids[rank], signal.SIGSTOP)
    found = ended(started, everyone)
    assert found.code == 1
    said = f"rank {rank} did not answer for 2 s (rank_timeout)"
    assert errors(found) == [f"error: {said}"]
    assert running.result(run_directory())["error"] == said


@pytest.mark.parametrize(("signum", "group"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)])
def test_a_command_that_is_told_to_stop_leaves_its_last_step(machine: Machine, signum: int, group: bool) -> None:
    started, _ = begun(machine)
    everyone = descended.below(started.pid)
    started.send(signum, group=group)
    found = ended(started, everyone)
    assert found.code == 128 + signum
    assert found.err.startswith("error: interrupted in epoch ")
    assert "last.pt is written" in found.err
    assert running.result(run_directory())["status"] == "interrupted"
    is_resumed(machine, "devices=1")


def test_a_command_that_is_told_to_stop_while_ranks_start_does_so(machine: Machine) -> None:
    started = machine.start("train", *LONG)
    started.until_said("lenet_digits")
    started.until(lambda: descended.below(started.pid))
    everyone = descended.below(started.pid)
    started.send(signal.SIGINT, group=True)
    found = ended(started, everyone)
    assert (found.code, found.err) == (130, "error: interrupted\n")


def test_ctrl_z_stops_all_ranks_until_they_may_go_on(machine: Machine) -> None:
    started, pids = begun(machine)
    rows = run_directory() / "metrics.jsonl"
    started.send(signal.SIGTSTP, group=True)
    assert until(lambda: all(descended.is_stopped(pid) for pid in (started.pid, *pids)), 20, pause=0.01)
    before = rows.read_text().count("\n")
    started.send(signal.SIGCONT, group=True)
    started.until(lambda: rows.read_text().count("\n") > before + 1)
    started.send(signal.SIGTERM)
    assert ended(started, pids).code == 143


def test_no_rank_outlives_a_launcher_that_is_killed(machine: Machine) -> None:
    started, pids = begun(machine)
    everyone = descended.below(started.pid)
    os.kill(pids[1], signal.SIGSTOP)  # as little as one that is stopped
    started.kill()
    found = ended(started, everyone)
    assert found.code == -signal.SIGKILL
    is_resumed(machine)


def test_a_full_disk_ends_all_ranks(machine: Machine) -> None:
    limited = ("prlimit", "--fsize=400000")
    started = machine.start("train", *LONG, "model=mlp", "model.hidden=[200]", under=limited)
    found = started.wait(60)
    assert found.code == 1
    assert "cannot write" in found.err
    assert found.err.count("error:") == 1
    assert running.result(run_directory())["status"] == "failed"


def test_a_loss_that_is_not_finite_is_said_once(machine: Machine) -> None:
    started = machine.start("train", *LONG, "optim=sgd", "optim.lr=1e30")
    pids = descended.ranks(started, 2)
    found = ended(started, pids)
    assert found.code == 1
    assert found.err.count("error:") == 1
    assert "the loss is nan at epoch 1" in found.err
    assert running.result(run_directory())["status"] == "failed"


RAISING = """
import torch.distributed as dist
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.calls = nn.Linear(784, 10), 0

    def forward(self, inputs):
        self.calls += self.training
        if self.calls == 30 and dist.get_rank() == 1:
            raise ValueError("not today")
        return self.linear(inputs.flatten(1))
"""


def test_an_error_of_the_users_on_one_rank_ends_all(machine: Machine) -> None:
    Path("raising.py").write_text(RAISING)
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/raising.yaml").write_text("_target_: raising.Net\n")
    started = machine.start("train", *LONG, "model=raising")
    found = ended(started, descended.ranks(started, 2))
    assert found.code == 1
    assert found.err.count("Traceback") == 1
    assert "error: rank 1: ValueError: not today" in found.err
    assert running.result(run_directory())["error"] == "rank 1: ValueError: not today"


def test_a_mistake_that_all_ranks_find_is_said_once(machine: Machine) -> None:
    found = machine.run("train", *LONG, "data=diabetes", "model=lenet")
    assert found.code == 2
    assert found.err.count("error:") == 1
    assert not Path("runs").exists()


def test_ranks_with_other_data_do_not_train_together(machine: Machine) -> None:
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29317"}
    started = [
        machine.start("train", *LONG[:1], f"data.limit={200 + rank}", "devices=2", RANK=str(rank), **meeting)
        for rank in range(2)
    ]
    found = [each.wait(60) for each in started]
    assert [each.code for each in found] == [2, 2]
    assert "ranks have different configs" in found[0].err
    assert not Path("runs").exists()
