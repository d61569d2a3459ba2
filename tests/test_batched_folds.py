"""Folds of one data set as one program: each comes out as if it were alone."""

from pathlib import Path

import pytest
from batching import both, directory, runs_of, same, swept, twice, users_parts
from conftest import Trainer
from running import SILENT, result

FOLDS = (*SILENT, "precision=float64", "optim=adam", "data.folds=5", "data.fold=range(5)", "epochs=2")


@pytest.mark.parametrize(
    "keys",
    [
        ("model=mlp", "data=diabetes"),
        ("model=linear", "data.limit=103"),
        ("model=mlp", "data.limit=103", "seed=0,1"),
        ("model=mlp", "data.limit=103", "data.batch_size=null"),
        ("model=mlp", "data.limit=103", "data.batch_size=10", "accumulate=2", "clip_norm=0.5"),
        pytest.param(
            ("model=mlp", "data.limit=103", "data.eval_batch_size=20", "evaluate.every_steps=1"), marks=pytest.mark.slow
        ),
        ("model=linear", "data.limit=103", "data.augment.shift=1"),
        ("model=mlp", "data.limit=103", "model.hidden=[8,7]", "model.dropout=0.3", "model.activation=tanh"),
        ("model=mlp", "data.limit=103", "model.norm=layer"),
        pytest.param(
            ("model=mlp", "data.limit=103", "seed=0,1", "optim.lr=0.1,0.01", "scheduler=cosine"), marks=pytest.mark.slow
        ),
        ("model=lenet", "data.size=16", "data.limit=42", "model.dropout=0.3"),
    ],
    ids=" ".join,
)
def test_each_fold_is_as_if_trained_alone(trainer: Trainer, keys: tuple[str, ...]) -> None:
    both(trainer, *FOLDS, *keys)


def test_a_fold_with_another_number_of_batches_trains_by_itself(trainer: Trainer) -> None:
    """Of 101 samples a fold trains on 80 or 81: on eight batches of ten, or nine."""
    jobs, ran = twice(trainer, "model=mlp", *FOLDS, "data.limit=101", "data.batch_size=10", "epochs=1")
    assert ran.code == 0
    same(jobs, runs_of(Path("alone")))
    assert ran.out.count("runs by itself: its batches are unlike the others'") == 1
    assert sorted(result(job)["steps"] for job in jobs) == [8, 9, 9, 9, 9]


def test_folds_of_a_model_of_ones_own_are_stacked_where_their_batches_are_of_equal_sizes(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might look at all samples of a batch: zeros in the place of missing ones would change the others."""
    users_parts(monkeypatch)
    jobs = both(trainer, "model=counting", *FOLDS, "data.limit=103")
    assert [result(job)["status"] for job in jobs] == ["completed"] * 5


def test_rates_and_seeds_of_a_fold_share_its_samples(trainer: Trainer) -> None:
    both(
        trainer,
        "model=mlp",
        *FOLDS[:-2],
        "data.fold=0,3",
        "data.limit=103",
        "optim.lr=0.01,0.1",
        "seed=0,1",
        "epochs=1",
    )


def test_a_fold_out_of_range_fails_alone(trainer: Trainer) -> None:
    swept(trainer, "batched", "model=linear", *FOLDS[:-2], "data.fold=range(6)", "data.limit=103", "epochs=1", code=1)
    reasons = [result(job).get("error", "") for job in runs_of(directory("batched"))]
    assert [*map(bool, reasons)] == [False] * 5 + [True]
    assert reasons[5] == "data.fold=5: there are 5 folds, from 0 to 4"
