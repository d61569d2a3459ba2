"""Interrupting real commands at an exact step, and comparing what is left with a run that nobody interrupted."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import running
import torch
from conftest import Trainer
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import Tensor, nn

from trainer.engine import loop
from trainer.engine.state import State

# What a clock says, and how often there was a reason to look at it.
TIMES = ("seconds", "samples_per_second")


@contextmanager
def interrupting(due: Callable[[State], bool], signum: int = signal.SIGINT) -> Iterator[None]:
    """Within the block, this process gets a signal as soon as a step has been taken after which `due` says so."""
    with pytest.MonkeyPatch.context() as patch:
        fit = loop.fit

        class Interrupt(loop.Hook):
            def on_step(self, state: State) -> None:
                if due(state):
                    os.kill(os.getpid(), signum)

        def interrupted(*args: Any) -> State:
            *before, hooks, state = args
            return fit(*before, [Interrupt(), *hooks], state)

        for runs in ("trainer.run.training", "trainer.sweeps.batched.team"):
            patch.setattr(f"{runs}.fit", interrupted)
        yield


@contextmanager
def watching(seen: Callable[[nn.Module, Tensor], object]) -> Iterator[None]:
    """Within the block, `seen` is called with every model or layer and its inputs, before it is computed."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen(module, inputs[0])

    handle = nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def go_on(trainer: Trainer, run: Path, interrupted: int) -> list[int]:
    """Resume until it is not `interrupted` any more; the exit codes."""
    codes = [interrupted]
    while codes[-1] == interrupted:
        codes.append(trainer("resume", str(run)).code)
    return codes[1:]


def in_parts(trainer: Trainer, asked: Sequence[str], due: Callable[[State], bool]) -> tuple[Path, list[int]]:
    """A training that is interrupted wherever `due` says so, and resumed: its run, and the exit codes of that."""
    with interrupting(due):
        assert trainer("train", *asked, "output=parts").code == 130
        run = next(Path("parts").glob("*/*"))
        return run, go_on(trainer, run, 130)


def differences(first: Path, second: Path) -> list[str]:
    """What is not equal to the bit in two run directories, times aside."""
    found = []
    for name in ("last", "best"):
        paths = [run / "checkpoints" / f"{name}.pt" for run in (first, second)]
        if paths[0].exists() or paths[1].exists():
            one, other = (torch.load(path, weights_only=True) for path in paths)
            for content in (one, other):
                for key in ("seconds", "logs", "description"):
                    content.pop(key, None)
            found += [f"{name}.pt {where}" for where in unequal(one, other)]
    rows = [[{k: v for k, v in row.items() if k not in TIMES} for row in running.rows(run)] for run in (first, second)]
    found += [f"metrics.jsonl {where}" for where in unequal(*rows)]
    points = [[(s, t, v) for s, t, v in scalars(run) if t.rpartition("/")[2] not in TIMES] for run in (first, second)]
    found += [f"TensorBoard {where}" for where in unequal(*points)]
    results = [running.result(run) for run in (first, second)]
    for key in ("metrics", "best_epoch", "objective", "epochs", "steps", "stopped", "status"):
        found += [f"result.json {key}{where}" for where in unequal(*(r.get(key) for r in results))]
    return found


def unequal(one: Any, other: Any, where: str = "") -> list[str]:
    """The places at which two nested values differ."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
        return [] if same else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {**one, **other}
        return [w for k in keys for w in unequal(one.get(k), other.get(k), f"{where}.{k}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)} entries"]
        return [w for i, pair in enumerate(zip(one, other, strict=True)) for w in unequal(*pair, f"{where}.{i}")]
    return [] if one == other or (one != one and other != other) else [f"{where}: {one} and {other}"]


def scalars(run: Path) -> list[tuple[int, str, float]]:
    """Every point in TensorBoard's files as it stands there, nothing hidden: step, name, value."""
    found = []
    for path in sorted(run.rglob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            points = [value for value in event.summary.value if value.tensor.float_val]
            found += [(event.step, point.tag, point.tensor.float_val[0]) for point in points]
    return sorted(found, key=lambda point: point[:2])
