"""Labels that are probably wrong: found as confident learning says, and named."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch
from batching import directory
from conftest import Trainer
from running import SILENT, train

from trainer.engine.label_errors import suspected


@pytest.mark.parametrize("seed", range(5))
def test_suspects_are_those_of_a_plain_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    likely = (3 * torch.randn(300, 5, dtype=torch.float64, generator=generator)).softmax(1)
    given = torch.randint(0, 4, (300,), generator=generator)  # no sample is of the last class
    mean = [float(likely[given == one, one].mean()) for one in range(4)]
    listed = []
    for one in range(4):
        wrong, certain = 0, 0
        for number in (given == one).nonzero()[:, 0].tolist():
            above = [other for other in range(4) if likely[number, other] >= mean[other]]
            best = max(above, key=lambda other: float(likely[number, other]), default=None)
            certain += best is not None
            wrong += best not in (None, one)
        doubtful = sorted(
            (float(likely[number, one]), number, int(likely[number].argmax()))
            for number in range(300)
            if given[number] == one and likely[number].argmax() != one
        )
        listed += doubtful[: round(int((given == one).sum()) * wrong / certain)]
    listed.sort()
    found = suspected(likely, given)
    assert found.numbers.tolist() == [number for _, number, _ in listed]
    assert found.suggested.tolist() == [best for _, _, best in listed]
    assert len(listed) > 50


def test_a_class_without_samples_and_labels_without_doubt_have_no_suspects() -> None:
    likely = torch.eye(3, dtype=torch.float64)
    assert not len(suspected(likely, torch.arange(3)).numbers)
    assert not len(suspected(likely[:2], torch.arange(2)).numbers)


BLOBS = """
import torch
from sklearn.datasets import make_blobs

class Blobs:
    def __init__(self):
        x, y = make_blobs(900, centers=4, cluster_std=1.5, random_state=3)
        x, y = torch.tensor(x), torch.tensor(y).long()
        generator = torch.Generator().manual_seed(12345)  # not the seed by which the data are divided
        flipped = torch.randperm(600, generator=generator)[:30]
        y[flipped] = (y[flipped] + torch.randint(1, 4, (30,), generator=generator)) % 4
        self.flipped = flipped.tolist()
        self.train, self.test = (x[:600], y[:600]), (x[600:], y[600:])
        self.classes = ["a", "b", "c", "d"]
"""
ASKED = (*SILENT, "data=blobs", "model=linear", "optim=adamw", "optim.lr=0.05", "epochs=10")


@pytest.fixture
def flipped(monkeypatch: pytest.MonkeyPatch, empty: Path) -> Iterator[set[int]]:
    """The numbers of the training samples whose labels were changed, in the data `blobs`."""
    Path("flipped_blobs.py").write_text(BLOBS)
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/blobs.yaml").write_text(
        "defaults:\n  - /Data@_here_\n  - _self_\nname: blobs\n_target_: flipped_blobs.Blobs\nbatch_size: 50\n"
    )
    monkeypatch.syspath_prepend(str(empty))
    yield {*importlib.import_module("flipped_blobs").Blobs().flipped}
    del sys.modules["flipped_blobs"]


def test_flipped_labels_are_found_in_all_of_the_training_samples_by_folds(trainer: Trainer, flipped: set[int]) -> None:
    ran = trainer("train", "-m", *ASKED, "data.folds=5", "data.fold=range(5)", "seed=0,1", "sweep=batched", "name=s")
    assert ran.code == 0, ran.err
    ran = trainer("eval", str(directory("s")), "data=blobs", "out=made")
    assert ran.code == 0, ran.err
    assert "of 600 training samples, each judged by models that have not seen it" in ran.out
    found = pl.read_csv("made/suspects.csv")
    assert {*found["split"]} == {"out of fold"}
    assert len({*found["input"]}) == len(found)
    first = {*found["input"].to_list()[: len(flipped)]}
    assert len(first & flipped) >= 0.8 * len(flipped)
    made = pl.read_csv("made/predictions.csv")
    assert len(made) == 300
    assert json.loads(Path("made/result.json").read_text())["jobs"] == [str(number) for number in range(10)]


def test_of_one_training_what_was_held_out_is_judged(trainer: Trainer, flipped: set[int]) -> None:
    run = train(trainer, *ASKED, "tables=true", "data.val_fraction=0.5")
    found = pl.read_csv(run / "test" / "suspects.csv").filter(pl.col("split") == "val")
    held_out = {*csv_of(trainer, run, "val")["input"]}
    assert len(held_out) == 300
    assert {*found["input"]} <= held_out
    assert len({*found["input"]} & flipped) >= 0.8 * len(held_out & flipped)
    csv_of(trainer, run, "train")
    assert {*pl.read_csv("of_train/suspects.csv")["split"]} == {"val"}


def csv_of(trainer: Trainer, run: Path, split: str) -> pl.DataFrame:
    """The predictions of a split."""
    assert trainer("eval", str(run), "data=blobs", f"split={split}", f"out=of_{split}").code == 0
    return pl.read_csv(f"of_{split}/predictions.csv")
