"""Jobs of a sweep as one program: each comes out as if it were alone."""

import pytest
from batching import DIGITS, both, statuses
from conftest import Trainer
from running import SILENT, result

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


ALIKE = [("mlp", name) for name in OPTIMIZERS] + [
    ("linear", "sgd"),
    ("linear", "adamw"),
    ("lenet", "sgd"),
    ("lenet", "adam"),
]


@pytest.mark.parametrize(("model", "optimizer"), ALIKE)
def test_each_job_is_as_if_trained_alone(trainer: Trainer, model: str, optimizer: str) -> None:
    dropout = ("model.dropout=0", "data.size=16", "data.limit=100") if model == "lenet" else ()
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
    assert statuses(jobs) == ["completed", "failed", "completed"]
    assert "the loss is nan" in result(jobs[1])["error"] or "not finite" in result(jobs[1])["error"]
