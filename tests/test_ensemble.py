"""`trainer eval` of a sweep: what each job and all of them together reach."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from batching import directory
from conftest import Trainer
from running import SILENT, evaluate, result
from torch import Tensor

from trainer import data
from trainer.data.sets.diabetes import Diabetes

FOLDS = (*SILENT, "data.folds=3", "data.fold=range(3)", "epochs=3", "optim=adam", "optim.lr=0.01", "precision=float64")


def sweep(trainer: Trainer, *args: str, code: int = 0) -> Path:
    """A sweep that is run one by one."""
    ran = trainer("train", "-m", *args, "name=s")
    assert ran.code == code, ran.err
    return directory("s")


def jobs(top: Path) -> list[Path]:
    return sorted((path for path in top.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def outputs(run: Path, inputs: Tensor) -> Tensor:
    """What the linear model of a run says, by hand."""
    found = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    mean, std = (torch.tensor(json.loads(found["description"])[name], dtype=torch.float64) for name in ("mean", "std"))
    if inputs.dim() == 4:
        inputs, mean, std = inputs.double() / 255, mean.view(-1, 1, 1), std.view(-1, 1, 1)
    features = ((inputs.double() - mean) / std).flatten(1)
    return F.linear(features, found["model"]["linear.weight"].double(), found["model"]["linear.bias"].double())


def digits() -> tuple[Tensor, Tensor]:
    from trainer.data.sets.digits import Digits

    test = data.load(Digits(cache=None)).test
    return test.inputs, test.targets


def test_classes_are_chosen_by_the_mean_of_the_probabilities(trainer: Trainer) -> None:
    top = sweep(trainer, "model=linear", *FOLDS, "data.limit=300")
    inputs, targets = digits()
    inputs, targets = inputs[:300], targets[:300]
    each = torch.stack([outputs(run, inputs).softmax(1) for run in jobs(top)])
    together = each.mean(0)

    found = evaluate(trainer, f"ckpt={top}", "precision=float64")
    assert found["test/accuracy"] == pytest.approx(float((together.argmax(1) == targets).double().mean()))
    assert found["test/loss"] == pytest.approx(float(F.nll_loss(together.log(), targets)))

    said = trainer("eval", f"ckpt={top}", "precision=float64").out
    for run in jobs(top):
        alone = evaluate(trainer, f"ckpt={run}", "precision=float64")
        row = next(line.split() for line in said.splitlines() if line.startswith(f"{run.name} "))
        assert row[1:] == [run.name, f"{alone['test/loss']:.4g}", f"{100 * alone['test/accuracy']:.2f}%"]
    guesses = each.argmax(2)
    every = float((guesses == guesses[0]).all(0).double().mean())
    two = sum(float((guesses[a] == guesses[b]).double().mean()) for a, b in ((0, 1), (0, 2), (1, 2))) / 3
    agreement = f"all name the same class for {100 * every:.2f}% of the samples, two of them for {100 * two:.2f}%"
    assert agreement in said
    assert "little of new data" not in said


def test_in_regression_predictions_are_averaged(trainer: Trainer) -> None:
    top = sweep(trainer, "model=linear", "data=diabetes", *FOLDS)
    test = data.load(Diabetes()).test
    each = torch.stack([predictions(run, test.inputs) for run in jobs(top)])
    errors = each.mean(0) - test.targets.double()

    found = evaluate(trainer, f"ckpt={top}", "precision=float64")
    assert found["test/mse"] == pytest.approx(float(errors.square().mean()))
    assert found["test/mae"] == pytest.approx(float(errors.abs().mean()))
    spread = float(each.std(0).mean())
    assert f"a standard deviation of {spread:.4g} on average" in trainer("eval", f"ckpt={top}", "precision=float64").out


def predictions(run: Path, inputs: Tensor) -> Tensor:
    """In the target's own units."""
    found = json.loads(torch.load(run / "checkpoints" / "best.pt", weights_only=True)["description"])
    mean, std = found.get("target_mean") or [0.0], found.get("target_std") or [1.0]
    return outputs(run, inputs) * std[0] + mean[0]


def test_the_best_are_those_of_the_best_objective(trainer: Trainer) -> None:
    top = sweep(trainer, "model=linear", *SILENT, "data.limit=100", "epochs=1", "optim.lr=1e-6,0.3,0.03,1e-5")
    values = {run.name: result(run)["objective"]["value"] for run in jobs(top)}
    best = sorted(values, key=lambda name: -values[name])[:2]
    said = trainer("eval", f"ckpt={top}", "eval.best=2").out
    shown = re.findall(r"^(\d)  +\S", said.split("eval\n")[0], re.MULTILINE)
    assert sorted(shown) == sorted(best)
    assert "the mean of 2 jobs' probabilities" in said


def test_jobs_that_have_not_completed_are_left_aside(trainer: Trainer) -> None:
    keys = ("model=linear", *SILENT, "data.limit=100", "epochs=1", "optim=sgd", "optim.lr=0.01,1e300,0.1")
    top = sweep(trainer, *keys, code=1)
    assert "the mean of 2 jobs' probabilities" in trainer("eval", f"ckpt={top}").out
    for run in (jobs(top)[0], jobs(top)[2]):
        shutil.rmtree(run)
    ran = trainer("eval", f"ckpt={top}")
    assert ran.code == 2
    assert "has no job that has completed" in ran.err


def test_jobs_of_other_samples_are_refused_by_name(trainer: Trainer) -> None:
    top = sweep(trainer, "model=linear", *SILENT, "data=diabetes", "data.split_seed=0,1", "epochs=1")
    ran = trainer("eval", f"ckpt={top}")
    assert ran.code == 2
    assert f"{jobs(top)[1]} and {jobs(top)[0]} have different samples in the test split" in ran.err
    ran = trainer("eval", f"ckpt={top}", "data.split_seed=0")
    assert ran.code == 0
    (said,) = (line for line in ran.out.splitlines() if "little of new data" in line)
    assert said.endswith("(job 1)")


def test_folds_have_no_validation_split_in_common(trainer: Trainer) -> None:
    top = sweep(trainer, "model=linear", "data=diabetes", *FOLDS)
    ran = trainer("eval", f"ckpt={top}", "split=val")
    assert ran.code == 2
    assert "have different samples in the val split" in ran.err
    assert "split=test" in ran.err


def test_a_job_that_is_a_link_is_not_followed(trainer: Trainer) -> None:
    top = sweep(trainer, "model=linear", *FOLDS, "data.limit=100")
    (top / "3").symlink_to(jobs(top)[0].absolute())
    assert "the mean of 3 jobs' probabilities" in trainer("eval", f"ckpt={top}").out
