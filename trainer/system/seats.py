"""The place that torchrun or srun gives this process among those that they have started together."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from trainer.system.errors import ConfigError

LOOPBACK = "127.0.0.1"
_PORTS = range(15000, 31000)  # below those that a system gives out by itself
_RANGES = re.compile(r"\[(\w+)[^\]]*\]")  # of Slurm's lists of nodes: node[07-12,15]


@dataclass(frozen=True)
class Seat:
    """One of `size` processes that work together, numbered from 0; `local` is its number on this machine.

    They meet at `address` and `port`, where rank 0 listens; `listening` is a socket there that it may have already.
    """

    rank: int
    size: int
    local: int
    address: str = LOOPBACK
    port: int = 29500
    listening: int | None = None


def taken(environment: Mapping[str, str] = os.environ) -> Seat | None:
    """The place that torchrun or srun gives this process; None where it stands alone.

    Raises:
        ConfigError: The variables that say so contradict each other.
    """
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return _of_torchrun(environment)
    if "SLURM_PROCID" in environment and ("SLURM_STEP_NUM_TASKS" in environment or "SLURM_STEP_ID" in environment):
        return _of_srun(environment)  # a batch script has a rank, too, but stands alone
    return None


def several(devices: int | str) -> bool:
    """Whether `devices=` asks for several processes, or for as many as fit; or this one is one of several already."""
    return devices != 1 or taken() is not None


def _of_torchrun(found: Mapping[str, str]) -> Seat | None:
    rank, size = _number(found, "RANK"), _number(found, "WORLD_SIZE")
    local = _number(found, "LOCAL_RANK") if "LOCAL_RANK" in found else rank
    return _checked(Seat(rank, size, local, found["MASTER_ADDR"], _number(found, "MASTER_PORT")))


def _of_srun(found: Mapping[str, str]) -> Seat | None:
    tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in found else "SLURM_NTASKS"
    size = _number(found, tasks) if tasks in found else 1
    rank = _number(found, "SLURM_PROCID")
    local = _number(found, "SLURM_LOCALID") if "SLURM_LOCALID" in found else rank
    nodes = found.get("SLURM_STEP_NODELIST") or found.get("SLURM_NODELIST") or ""
    alone = found.get("SLURM_STEP_NUM_NODES", found.get("SLURM_NNODES", "1")) == "1"
    address = found.get("MASTER_ADDR") or (LOOPBACK if alone or not nodes else first_node(nodes))
    return _checked(Seat(rank, size, local, address, _port(found)))


def first_node(nodes: str) -> str:
    """The first host of a list as Slurm writes it: node07 of `node[07-12,15],other`."""
    first = re.split(r",(?![^\[]*\])", nodes)[0]
    return _RANGES.sub(lambda several: several[1].split("-")[0], first)


def _port(found: Mapping[str, str]) -> int:
    """One that all tasks of a step reckon alike, and those of other steps otherwise."""
    if "MASTER_PORT" in found:
        return _number(found, "MASTER_PORT")
    job, step = (_number(found, name) if name in found else 0 for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    return _PORTS[(31 * job + step) % len(_PORTS)]


def _number(found: Mapping[str, str], name: str) -> int:
    value = found[name]
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ConfigError(f"{name}={value} in the environment: not a number", f"unset {name}, or start it by torchrun")
    return int(value)


def _checked(seat: Seat) -> Seat | None:
    if not (seat.rank < seat.size and seat.local <= seat.rank and seat.port < 2**16):
        raise ConfigError(
            f"the environment says that this is process {seat.rank} of {seat.size}, and {seat.local} of its machine, "
            f"which meet at port {seat.port}",
            "start them by torchrun or srun, which set these variables",
        )
    return seat if seat.size > 1 else None
