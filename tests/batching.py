"""What the tests of batched sweeps share: the same jobs batched and one by one, and how far apart they end."""

import copy
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran, Trainer
from running import SILENT, checkpoint, result, rows
from torch import Tensor

from trainer.engine.state import State
from trainer.show.report import Report
from trainer.sweeps import runner
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.serial import Serial

CLOSE = 1e-10  # relative, in float64
DIGITS = (*SILENT, "precision=float64", "data.limit=200", "epochs=1", "data.batch_size=32")
QUICK = (*SILENT, "precision=float64", "data.limit=100", "data.batch_size=10", "epochs=1")  # nine steps
LINEAR = ("model=linear", *QUICK)
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
        Serial(None, Monitor(Report(quiet=True)), lambda job: None).run(iter(same))


def both(trainer: Trainer, *args: str, code: int = 0) -> list[Path]:
    """Run the sweep batched, and then its jobs by themselves, and compare; the batched jobs."""
    jobs, ran = twice(trainer, *args)
    assert ran.code == code, ran.err
    assert "as one program" in ran.out
    same(jobs, runs_of(Path("alone")))
    return jobs


def twice(trainer: Trainer, *args: str) -> tuple[list[Path], Ran]:
    """Run the sweep batched, and then its jobs by themselves in `alone`; the batched jobs."""
    make = runner.make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "make", lambda *facts: _Both(make(*facts)))
        ran = trainer("train", "-m", *args, "sweep=batched", "name=batched")
    return runs_of(directory("batched")), ran


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


PARTS = '''
import random

import torch
import torch.nn.functional as F
from torch import nn


class Small(nn.Module):
    """784 -> 8 -> 10."""

    def __init__(self, dropout=0.0, kind=""):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(784, 8), nn.Dropout(dropout), nn.Linear(8, 10)
        self.prepare(dropout)

    def prepare(self, dropout):
        pass

    def between(self, x):
        return x.relu()

    def forward(self, x):
        return self.last(self.drop(self.between(self.first(x.flatten(1)))))


class Normed(Small):
    def prepare(self, dropout):
        self.norm = nn.BatchNorm1d(8)

    def between(self, x):
        return self.norm(x)


class Branching(Small):
    def between(self, x):
        return x.relu() if x.sum() > 0 else x


class Evaluated(Small):
    """Branches in evaluation alone."""

    def between(self, x):
        return x.relu() if self.training or x.sum() > 0 else x


class Functional(Small):
    def prepare(self, dropout):
        self.rate, self.drop = dropout, nn.Identity()

    def between(self, x):
        return F.dropout(x, self.rate, self.training)


class Frozen(Small):
    def prepare(self, dropout):
        self.first.requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(()))
        self.unused = nn.Parameter(torch.ones(3))

    def between(self, x):
        return x.tanh() * self.scale


class Counting(Small):
    """Its buffers change as it is trained."""

    def prepare(self, dropout):
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("calls", torch.tensor(0))

    def between(self, x):
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
            self.calls += 1
        return x - self.mean


class Replacing(Counting):
    def between(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean


class Drawn(Small):
    """Computes with a number that it draws, and which no config tells."""

    def prepare(self, dropout):
        self.factor = 1.0 + int(torch.rand(()) * 1000)

    def between(self, x):
        return x.relu() / self.factor


class Masked(Small):
    def prepare(self, dropout):
        self.mask = (torch.rand(8) > 0.5).double()

    def between(self, x):
        return x * self.mask


class Signed(torch.optim.Optimizer):
    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad.sign()


def two_rates(parameters, lr):
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": lr / 2}, {"params": others}], lr=lr)


class Columns:
    """Three values to predict."""

    def __init__(self):
        draw = torch.Generator().manual_seed(0)
        inputs = torch.randn(60, 4, generator=draw)
        targets = inputs @ torch.randn(4, 3, generator=draw)
        self.train, self.test = (inputs[:40], targets[:40]), (inputs[40:], targets[40:])
'''
NETS = ("small", "normed", "branching", "evaluated", "functional", "frozen", "counting", "replacing", "drawn", "masked")


def users_parts(patch: pytest.MonkeyPatch) -> None:
    """Models, optimizers and data of the user's own in the current directory, until `patch` is undone."""
    Path("own_parts.py").write_text(PARTS)
    for group in ("model", "optim", "data"):
        Path("configs", group).mkdir(parents=True)
    for name in NETS:
        Path(f"configs/model/{name}.yaml").write_text(f"_target_: own_parts.{name.title()}\ndropout: 0.0\nkind: ''\n")
    Path("configs/optim/signed.yaml").write_text("_target_: own_parts.Signed\nlr: 0.01\n")
    Path("configs/optim/two_rates.yaml").write_text("_target_: own_parts.two_rates\nlr: 0.01\n")
    Path("configs/data/columns.yaml").write_text("_target_: own_parts.Columns\nbatch_size: 8\n")
    patch.syspath_prepend(str(Path.cwd()))
    patch.delitem(sys.modules, "own_parts", raising=False)


def once(number: int) -> Callable[[State], bool]:
    """Due when so many steps have been taken, each by one job or by a team of jobs."""
    taken: list[int] = []
    return lambda state: bool(taken.append(1)) or len(taken) == number
