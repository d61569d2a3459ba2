"""What the samples of each class count in training, against scikit-learn's weights and single runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Trainer
from running import SILENT, result, rows, same, train, weights
from sklearn.utils.class_weight import compute_class_weight

from trainer.data.splits import Dataset, Split
from trainer.engine.objective import class_weights
from trainer.system.errors import ConfigError

RARE = (
    *SILENT,
    "model=linear",
    "data=csv",
    "data.path=rare.csv",
    "data.target=y",
    "data.val_fraction=0.1",
    "data.batch_size=16",
    "optim.lr=0.01",
)


def dataset(targets: list[int], classes: int | None = 3) -> Dataset:
    split = Split(torch.zeros(len(targets), 1), torch.tensor(targets))
    return Dataset("made", split, split, classes=tuple("abc"[:classes]) if classes else None)


@pytest.fixture
def rare(empty: Path) -> None:
    """200 rows, of which one in ten is of class b, not apart from the others."""
    generator = np.random.default_rng(0)
    lines = [
        f"{x + (1 if n % 10 == 0 else 0):.3f},{'ab'[n % 10 == 0]}" for n, x in enumerate(generator.normal(size=200))
    ]
    Path("rare.csv").write_text("x,y\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("targets", [[0, 0, 0, 1, 2, 2], [0, 0, 2], [1]])
def test_balanced_is_scikit_learns(targets: list[int]) -> None:
    here = np.unique(targets)
    found = class_weights("balanced", dataset(targets))
    assert found is not None
    assert found[here].tolist() == pytest.approx(compute_class_weight("balanced", classes=here, y=targets).tolist())


def test_only_the_ratios_of_numbers_matter_and_their_mean_is_one() -> None:
    targets = [0, 0, 0, 1, 2, 2]
    found = class_weights([1, 2, 5], dataset(targets))
    assert found is not None
    assert float(found[torch.tensor(targets)].mean()) == pytest.approx(1)
    assert (found / found[0]).tolist() == pytest.approx([1, 2, 5])
    assert class_weights("none", dataset(targets)) is None


@pytest.mark.parametrize(
    ("asked", "data", "says"),
    [
        ([1, 2], dataset([0, 1, 2]), "has 2 numbers, and data=made has 3 classes"),
        ([0, 0, 1], dataset([0, 1, 1]), "no sample of the training split counts"),
        ("balanced", dataset([0], None), "has no classes"),
    ],
)
def test_weights_that_do_not_fit_are_refused(asked: list[float] | str, data: Dataset, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        class_weights(asked, data)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("loss.class_weight=many", "it must be a list of numbers, like [0.5,0.5] or none or balanced"),
        ("loss.class_weight=[1,-1]", "it must be at least 0"),
        ("loss.class_weight=[1,2,3]", "give one for each of a, b"),
        ("loss=mse loss.class_weight=balanced", "loss.class_weight: no such key"),
    ],
)
def test_a_mistake_is_told(trainer: Trainer, rare: None, word: str, says: str) -> None:
    ran = trainer("train", *RARE, *word.split(), "epochs=1")
    assert ran.code == 2
    assert says in ran.err


def test_a_rare_class_is_found_where_it_counts_as_much(trainer: Trainer, rare: None) -> None:
    plain = train(trainer, *RARE, "epochs=20")
    weighed = train(trainer, *RARE, "epochs=20", "loss.class_weight=balanced")
    ratios = train(trainer, *RARE, "epochs=20", "loss=cross_entropy", "loss.class_weight=[1,9]")
    assert result(plain)["per_class"]["b"] == 0
    assert result(weighed)["per_class"]["b"] > 0.5
    assert result(ratios)["per_class"]["b"] > 0.5


def test_it_is_resumed_to_the_bit(trainer: Trainer, rare: None) -> None:
    typed = (*RARE, "loss.class_weight=balanced", "epochs=4")
    whole = train(trainer, *typed)
    part = train(trainer, *typed, "max_steps=13")
    assert trainer("resume", str(part), "max_steps=null").code == 0
    assert same(weights(part), weights(whole))


def test_a_batched_sweep_gives_what_single_runs_give(trainer: Trainer, rare: None) -> None:
    typed = (*RARE, "loss.class_weight=[1,4]", "precision=float64", "epochs=3")
    ran = trainer("train", "-m", "sweep=batched", "seed=0,1", *typed)
    assert ran.code == 0, ran.err
    assert "2 jobs as one program" in ran.out
    (sweep,) = Path("runs/sweeps").glob("*/*")
    for seed in (0, 1):
        single = rows(train(trainer, *typed, f"seed={seed}"))
        for one, other in zip(rows(sweep / str(seed)), single, strict=True):
            assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-9)
            assert one["val/loss"] == pytest.approx(other["val/loss"], rel=1e-9)


def test_folds_have_weights_of_their_own(trainer: Trainer, rare: None) -> None:
    typed = (*RARE, "loss.class_weight=balanced", "precision=float64", "epochs=2", "data.folds=3")
    ran = trainer("train", "-m", "sweep=batched", "data.fold=range(3)", *typed)
    assert "3 jobs as one program" in ran.out
    (sweep,) = Path("runs/sweeps").glob("*/*")
    single = rows(train(trainer, *typed, "data.fold=2"))
    for one, other in zip(rows(sweep / "2"), single, strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-9)


# --- drawing as many of each class ---------------------------------------------------------------------


def test_a_rare_class_is_found_where_it_is_drawn_as_often(trainer: Trainer, rare: None) -> None:
    drawn = train(trainer, *RARE, "epochs=20", "data.sampler=balanced")
    assert result(drawn)["per_class"]["b"] > 0.5


def test_balanced_epochs_are_resumed_and_batched_as_others_are(trainer: Trainer, rare: None) -> None:
    typed = (*RARE, "data.sampler=balanced", "epochs=3", "precision=float64")
    whole = train(trainer, *typed)
    part = train(trainer, *typed, "max_steps=13")
    assert trainer("resume", str(part), "max_steps=null").code == 0
    assert same(weights(part), weights(whole))
    ran = trainer("train", "-m", "sweep=batched", "seed=0,1", *typed)
    assert "2 jobs as one program" in ran.out
    (sweep,) = Path("runs/sweeps").glob("*/*")
    for one, other in zip(rows(sweep / "0"), rows(whole), strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-9)


def test_values_cannot_be_balanced(trainer: Trainer) -> None:
    ran = trainer("train", *SILENT, "model=linear", "data=diabetes", "data.sampler=balanced")
    assert ran.code == 2
    assert "data.sampler=balanced: data=diabetes has no classes" in ran.err
