"""What the tests of batched sweeps share: the same jobs batched and one by one, and how far apart they end."""

import copy
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer
from running import SILENT, checkpoint, result, rows
from test_sweep_resume import command
from torch import Tensor

from trainer.report import Report
from trainer.sweeps import runner
from trainer.sweeps.plan import Planned
from trainer.sweeps.serial import Serial

CLOSE = 1e-10  # relative, in float64
DIGITS = (*SILENT, "precision=float64", "data.limit=200", "epochs=1", "data.batch_size=32")
BESIDE = ("seconds", "samples_per_second", "logs", "parent")


def directory(name: str) -> Path:
    """Of the one sweep of that name."""
    (found,) = Path("runs/sweeps", name).iterdir()
    return found


def runs_of(sweep: Path) -> list[Path]:
    """The jobs' run directories, by their numbers."""
    return sorted((p for p in sweep.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))


def swept(trainer: Trainer, how: str, *args: str, code: int = 0, name: str = "") -> list[Path]:
    """`trainer train -m ARGS... sweep=HOW`; the jobs' run directories."""
    ran = trainer("train", "-m", *args, f"sweep={how}", f"name={name or how}")
    assert ran.code == code, ran.err
    assert how != "batched" or "as one program" in ran.out
    return runs_of(directory(name or how))


class _Both:
    """Runs jobs as it is asked to, and then the same ones by themselves in the directory `alone`.

    To compose them twice would take longer than to train them.
    """

    def __init__(self, own: runner.Runner) -> None:
        self.own = own

    def run(self, jobs: Iterator[Planned]) -> None:
        taken = list(jobs)
        top = Path("alone").absolute()
        same = [replace(job, directory=top / str(job.number), asked=copy.deepcopy(job.asked)) for job in taken]
        self.own.run(iter(taken))
        for job in same:
            job.directory.mkdir(parents=True)
        Serial(None, Report(quiet=True), lambda job: None).run(iter(same))


def both(trainer: Trainer, *args: str, code: int = 0, close: float = CLOSE) -> list[Path]:
    """Run the sweep batched, and then its jobs by themselves, and compare; the batched jobs."""
    make = runner.make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "make", lambda *facts: _Both(make(*facts)))
        jobs = swept(trainer, "batched", *args, code=code)
    same(jobs, runs_of(Path("alone")), close)
    return jobs


def same(batched: list[Path], serial: list[Path], close: float = CLOSE) -> None:
    """The jobs have come to the same."""
    assert len(batched) == len(serial) > 1
    for one, other in zip(batched, serial, strict=True):
        assert differences(contents(one), contents(other), close=close) == []


def contents(run: Path) -> dict[str, Any]:
    """All that a run has come to, but for how long it took."""
    found: dict[str, Any] = {
        name: {k: v for k, v in checkpoint(run, name).items() if k not in BESIDE}
        for name in ("last", "best")
        if (run / "checkpoints" / f"{name}.pt").exists()
    }
    found["rows"] = [{k: v for k, v in row.items() if k not in BESIDE} for row in rows(run)]
    said = result(run)
    kept = ("status", "metrics", "best_epoch", "epochs", "steps", "stopped", "error")
    found["result"] = {k: said[k] for k in kept if k in said}
    if "error" in found["result"]:
        found["result"]["error"] = found["result"]["error"].replace(str(run), "RUN")
    return found


def distance(one: Tensor, other: Tensor) -> float:
    """Of two tensors, relative to the largest value."""
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-300)) if other.numel() else 0.0


def differences(one: Any, other: Any, where: str = "", close: float = CLOSE) -> list[str]:
    """Where two checkpoints, or rows, differ by more than rounding."""
    if isinstance(other, Tensor) and other.is_floating_point():
        return [f"{where}: {distance(one, other)}"] if not distance(one, other) <= close else []
    if isinstance(other, Tensor):
        return [] if one.equal(other) else [where]
    if isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{where}: {sorted(map(str, one.keys() ^ other.keys()))}"]
        return [d for key in other for d in differences(one[key], other[key], f"{where}.{key}", close)]
    if isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)} entries"]
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, f"{where}.{i}", close)]
    if isinstance(other, float):
        return [] if one == pytest.approx(other, rel=10 * close, nan_ok=True) else [f"{where}: {one} {other}"]
    return [] if one == other else [f"{where}: {one} {other}"]


def statuses(jobs: list[Path]) -> list[str]:
    """How each has ended."""
    return [result(job)["status"] for job in jobs]


def process(*args: str) -> subprocess.Popen[str]:
    """`python -m trainer ARGS...`, in a session of its own."""
    return command(*args)


def ended(running: subprocess.Popen[str], code: int, timeout: float = 90) -> str:
    """What the process said; it has ended with `code`."""
    try:
        out, _ = running.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        raise
    assert running.returncode == code, out
    return out
