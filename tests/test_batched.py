"""Jobs of a sweep as one program: each comes out as if it were alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Trainer
from running import SILENT, checkpoint, evaluate, reported, result, rows
from torch import Tensor

CLOSE = 1e-10  # relative, in float64
DIGITS = (*SILENT, "precision=float64", "data.limit=200", "epochs=1", "data.batch_size=32")
OPTIMIZERS = {
    "sgd": ("optim=sgd", "optim.lr=0.01,0.2", "optim.momentum=0,0.9", "optim.weight_decay=0.01"),
    "nesterov": ("optim=sgd", "optim.lr=0.01,0.2", "optim.momentum=0.5,0.9", "optim.nesterov=true"),
    "adam": ("optim=adam", "optim.lr=1e-3,1e-2", "optim.betas=[0.9,0.999],[0.5,0.9]"),
    "amsgrad": ("optim=adam", "optim.lr=1e-3,1e-2", "optim.amsgrad=false,true", "optim.weight_decay=0.1"),
    "adamw": ("optim=adamw", "optim.lr=1e-3,1e-2", "optim.weight_decay=0,0.1"),
    "rmsprop": ("optim=rmsprop", "optim.lr=1e-3,1e-2", "optim.momentum=0,0.9"),
    "centered": ("optim=rmsprop", "optim.lr=1e-3,1e-2", "optim.centered=false,true"),
    "adagrad": ("optim=adagrad", "optim.lr=1e-3,1e-2", "optim.lr_decay=0,0.1"),
}


def swept(trainer: Trainer, how: str, *args: str, code: int = 0) -> list[Path]:
    """`trainer train -m ARGS... sweep=HOW`; the jobs' run directories."""
    ran = trainer("train", "-m", *args, f"sweep={how}", f"name={how}")
    assert ran.code == code, ran.err
    (directory,) = Path("runs/sweeps", how).iterdir()
    assert how != "batched" or "as one program" in ran.out
    return sorted((p for p in directory.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))


def distance(one: Tensor, other: Tensor) -> float:
    """Of two tensors, relative to the largest value."""
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-300)) if other.numel() else 0.0


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two checkpoints, or rows, differ by more than rounding."""
    if isinstance(other, Tensor) and other.is_floating_point():
        return [f"{where}: {distance(one, other)}"] if not distance(one, other) <= CLOSE else []
    if isinstance(other, Tensor):
        return [] if torch.equal(one, other) else [where]
    if isinstance(other, dict):
        assert one.keys() == other.keys(), where
        return [d for key in other for d in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(other, list | tuple):
        assert len(one) == len(other), where
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{where}.{i}")]
    if isinstance(other, float):
        return [] if one == pytest.approx(other, rel=1e-9, nan_ok=True) else [f"{where}: {one} {other}"]
    return [] if one == other else [f"{where}: {one} {other}"]


BESIDE = ("seconds", "samples_per_second", "logs", "parent")


def contents(run: Path) -> dict[str, Any]:
    """All that a run has come to, but for how long it took."""
    found: dict[str, Any] = {
        name: {k: v for k, v in checkpoint(run, name).items() if k not in BESIDE}
        for name in ("last", "best")
        if (run / "checkpoints" / f"{name}.pt").exists()
    }
    found["rows"] = [{k: v for k, v in row.items() if k not in BESIDE} for row in rows(run)]
    said = result(run)
    found["result"] = {
        k: said[k] for k in ("status", "metrics", "best_epoch", "epochs", "steps", "stopped") if k in said
    }
    return found


def same(batched: list[Path], serial: list[Path]) -> None:
    assert len(batched) == len(serial) > 1
    for one, other in zip(batched, serial, strict=True):
        assert differences(contents(one), contents(other)) == []


def both(trainer: Trainer, *args: str, code: int = 0) -> list[Path]:
    """Run the sweep batched and serially, and compare; the batched jobs."""
    jobs = swept(trainer, "batched", *args, code=code)
    same(jobs, swept(trainer, "serial", *args, code=code))
    return jobs


@pytest.mark.parametrize("model", ["linear", "mlp", "lenet"])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_each_job_is_as_if_trained_alone(trainer: Trainer, model: str, optimizer: str) -> None:
    dropout = ("model.dropout=0", "data.size=16", "data.limit=100") if model == "lenet" else ("seed=0,1",)
    both(trainer, f"model={model}", *DIGITS, *dropout, *OPTIMIZERS[optimizer])


def test_each_job_has_its_own_dropout(trainer: Trainer) -> None:
    """The rate and the random numbers of a job alone."""
    both(trainer, "model=lenet", *DIGITS, "data.size=16", "model.dropout=0,0.2,0.5", "seed=0,1", "epochs=2")


@pytest.mark.parametrize(
    "keys",
    [
        ("clip_norm=null,0.1,1", "optim.lr=0.1"),
        ("scheduler=step,cosine,plateau", "scheduler.warmup_steps=2", "epochs=3"),
        ("scheduler=onecycle", "scheduler.pct_start=0.3,0.5", "optim.betas=[0.9,0.999],[0.8,0.999]", "epochs=2"),
        ("accumulate=3", "seed=0,1", "clip_norm=0.5"),
        ("data.augment.shift=2", "data.augment.cutout=4", "seed=0,1"),
        ("data.batch_size=null", "seed=0,1", "epochs=5"),
        ("label_smoothing=0.1", "optim.lr=0.01,0.1"),
        ("evaluate.every_steps=2", "max_steps=9", "epochs=3", "optim.lr=0.01,0.1"),
        ("evaluate.split=test", "optim.lr=0.01,0.1"),
        ("objective=train/loss", "data.val_fraction=0", "optim.lr=0.01,0.1"),
        ("early_stopping.patience=1,2,3", "optim.lr=0.3,0.0003", "epochs=8"),
        ("tensorboard.enabled=true", "tensorboard.histograms=true", "plots=true", "optim.lr=0.01,0.1"),
    ],
    ids=lambda keys: keys[0],
)
def test_whatever_else_a_job_asks_for_is_as_if_alone(trainer: Trainer, keys: tuple[str, ...]) -> None:
    both(trainer, "model=mlp", "optim=adam", *DIGITS, *keys)


def test_regression_is_as_if_alone(trainer: Trainer) -> None:
    args = (*SILENT, "data=diabetes", "precision=float64", "optim=sgd", "epochs=3")
    both(trainer, "model=linear", *args, "optim.lr=0.001,0.01", "seed=0,1")


def test_a_job_that_diverges_disturbs_no_other(trainer: Trainer) -> None:
    args = ("model=mlp", *DIGITS, "optim=sgd", "optim.lr=0.1,1e200,0.01", "epochs=3")
    jobs = both(trainer, *args, code=1)
    assert [result(job)["status"] for job in jobs] == ["completed", "failed", "completed"]
    assert "the loss is nan" in result(jobs[1])["error"] or "not finite" in result(jobs[1])["error"]
