"""Two ranks on this machine: how long gloo takes for a sum, and how long the steps are that the model predicts.

The steps are those of `measure.Steps` with one sum of one flat buffer, as `trainer` has it for models of this size.
"""

import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from typing import Any

import torch
from torch import distributed

from benchmarks.scale.measure import Steps, least

SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)  # bytes
ROUNDS = {"mnist_lenet": 60, "cifar_resnet18": 4}
LIMIT = 240.0  # seconds for all of it


def reduced() -> dict[float, float]:
    """Seconds of a sum over two ranks by its bytes."""
    return _both(_reduce)


def stepped(name: str, batch: int) -> dict[str, float]:
    """Seconds of a step of a global `batch`: on one rank, and on two with half of it each."""
    return {"1": _alone(name, batch), "2": _both(_step, name, batch)["seconds"]}


def _alone(name: str, batch: int) -> float:
    return least(Steps(name, batch), ROUNDS[name], seconds=0.0)


def _reduce() -> dict[float, float]:
    found = {}
    for size in SIZES:
        buffer = torch.zeros(int(size) // 4)
        found[size] = _together(lambda buffer=buffer: distributed.all_reduce(buffer), 300 if size < 1e7 else 12)
    return found


def _step(name: str, batch: int) -> dict[str, float]:
    steps = Steps(name, batch // 2)
    steps()
    flat = torch.zeros(sum(gradient.numel() for gradient in steps.gradients))

    def step() -> None:
        steps.backward()
        torch.cat([gradient.flatten() for gradient in steps.gradients], out=flat)
        distributed.all_reduce(flat)
        begin = 0
        for gradient in steps.gradients:
            end = begin + gradient.numel()
            gradient.copy_(flat[begin:end].view_as(gradient)).div_(2)
            begin = end
        steps.optimizer.step()

    return {"seconds": _together(step, ROUNDS[name])}


def _together(call: Callable[[], object], rounds: int) -> float:
    """The same as `least`, of ranks that take as many calls."""
    distributed.barrier()
    return least(call, rounds, seconds=0.0)


def _both(work: Callable[..., Any], *words: Any) -> Any:
    """What the first of two ranks finds."""
    context = torch.multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        found: SimpleQueue[Any] = context.SimpleQueue()
        each = [context.Process(target=_rank, args=(rank, folder, found, work, words)) for rank in range(2)]
        for process in each:
            process.start()
        for process in each:
            process.join(LIMIT)
        if any(process.exitcode != 0 for process in each):
            for process in each:
                process.kill()
            raise RuntimeError("a rank failed, or took too long")
        return found.get()


def _rank(rank: int, folder: str, found: "SimpleQueue[Any]", work: Callable[..., Any], words: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/ranks", rank=rank, world_size=2, timeout=timedelta(seconds=LIMIT)
    )
    result = work(*words)
    if rank == 0:
        found.put(result)
    distributed.barrier()
    distributed.destroy_process_group()
