"""The place that torchrun and srun give a process."""

import pytest

from trainer.system.errors import ConfigError
from trainer.system.seats import Seat, first_node, taken

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "29400"}
SRUN = {
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_NTASKS": "16",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_JOB_ID": "42",
    "SLURM_STEP_ID": "0",
}


def test_torchrun_gives_a_process_its_place() -> None:
    assert taken(TORCHRUN) == Seat(3, 4, 1, "node1", 29400)


def test_srun_gives_a_task_its_place_in_its_step() -> None:
    seat = taken(SRUN)
    assert seat is not None
    assert (seat.rank, seat.size, seat.local, seat.address) == (5, 8, 1, "node07")
    other = taken({**SRUN, "SLURM_PROCID": "6"})
    later = taken({**SRUN, "SLURM_STEP_ID": "1"})
    assert other is not None
    assert later is not None
    assert seat.port == other.port != later.port


def test_tasks_of_one_node_meet_on_it() -> None:
    seat = taken({**SRUN, "SLURM_STEP_NUM_NODES": "1"})
    assert seat is not None
    assert seat.address == "127.0.0.1"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "3"},  # of another program
        {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"},
        {**SRUN, "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_NUM_TASKS": "1"},  # a shell of `srun --pty`
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "42"},  # the script of a batch job
    ],
)
def test_other_processes_stand_alone(environment: dict[str, str]) -> None:
    assert taken(environment) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"RANK": "4"}, "process 4 of 4"),
        ({"RANK": "one"}, "RANK=one"),
        ({"MASTER_PORT": "99999"}, "port 99999"),
        ({"WORLD_SIZE": "-4"}, "WORLD_SIZE=-4"),
    ],
)
def test_contradicting_variables_are_refused(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        taken({**TORCHRUN, **wrong})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("node[07-12,15],other", "node07"),
        ("rack[2,5]node[01-03]", "rack2node01"),
    ],
)
def test_the_first_node_of_a_list(nodes: str, first: str) -> None:
    assert first_node(nodes) == first
