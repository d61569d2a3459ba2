"""`model=mlp` with hidden layers, norms and dropout on the command line, in sweeps and in checkpoints."""

from pathlib import Path

import pytest
from conftest import Trainer
from running import SILENT, evaluate, reported, same, train, weights

DIGITS = (*SILENT, "model=mlp", "data=digits", "data.size=8", "data.limit=100", "epochs=2", "data.batch_size=30")


@pytest.mark.parametrize(
    "typed",
    [
        ("model.hidden=[12,7]", "model.norm=layer", "model.dropout=0.2", "model.activation=silu"),
        ("model.hidden=[12]", "model.norm=batch"),
        ("model.hidden=[]",),
    ],
)
def test_an_mlp_is_trained_and_evaluated_as_its_checkpoint_says(trainer: Trainer, typed: tuple[str, ...]) -> None:
    run = train(trainer, *DIGITS, *typed)
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("[12,x]", "model.hidden=[12, x]: wrong type"),
        ("wide", "it must be a whole number, or a list of such"),
        ("[12,0]", "it must be at least 1"),
        ("null", "wrong type"),
        ("[[12]]", "wrong type"),
    ],
)
def test_hidden_layers_are_whole_numbers(trainer: Trainer, value: str, words: str) -> None:
    ran = trainer("train", *DIGITS, f"model.hidden={value}")
    assert ran.code == 2
    assert words in ran.err


@pytest.mark.parametrize("typed", [("model.norm=layer",), ("model.activation=gelu", "model.hidden=[9,5]")])
def test_dropout_is_tried_in_one_program(trainer: Trainer, typed: tuple[str, ...]) -> None:
    ran = trainer("train", "-m", *DIGITS, *typed, "sweep=batched", "model.dropout=0.2,0.6", "precision=float64")
    assert ran.code == 0, ran.err
    assert "2 jobs as one program" in " ".join(ran.out.split())
    for number, rate in enumerate((0.2, 0.6)):
        alone = train(trainer, *DIGITS, *typed, f"model.dropout={rate}", "precision=float64", f"output=alone{number}")
        (job,) = Path("runs/sweeps").glob(f"*/*/{number}")
        for name, value in weights(alone).items():
            assert value.sub(weights(job)[name]).abs().max() < 1e-9


def test_norms_by_batch_are_tried_one_by_one(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *DIGITS, "sweep=batched", "model.norm=batch", "model.dropout=0.2,0.6")
    assert ran.code == 0, ran.err
    alone = train(trainer, *DIGITS, "model.norm=batch", "model.dropout=0.6", "output=alone")
    (job,) = Path("runs/sweeps").glob("*/*/1")
    assert same(weights(job), weights(alone))


def test_widths_are_tried_in_a_sweep(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *DIGITS, "model.hidden=5,[5],[7,3]")
    assert ran.code == 0, ran.err
    jobs = sorted(path.parent for path in Path("runs/sweeps").glob("*/*/*/config.yaml"))
    assert same(weights(jobs[0]), weights(jobs[1]))
    assert weights(jobs[2])["fc3.weight"].shape == (10, 3)
