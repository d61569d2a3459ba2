"""What a config leaves to be chosen by the data: it is chosen once, shown, and kept in the run's config."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import Trainer
from running import SILENT, checkpoint, result, rows, same, train, weights

from trainer.config.data import Data
from trainer.run.choosing import FEWEST, MOST, STEPS

TABLE = (*SILENT, "model=mlp", "data=table", "data.path=table.csv", "data.target=y")


@pytest.fixture
def table(empty: Path) -> None:
    """120 rows of three columns, and a quantity that is nearly linear in them, far from zero."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(120, 3)) * (1, 100, 0.01)
    values = 5000 + inputs @ (300, 2, 10000) + generator.normal(size=120) * 30
    lines = [",".join(f"{v:.6g}" for v in (*row, value)) for row, value in zip(inputs, values, strict=True)]
    Path("table.csv").write_text("a,b,c,y\n" + "\n".join(lines) + "\n")


def config(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "config.yaml").read_text())


def test_a_table_gets_its_recipe_and_learns(trainer: Trainer, table: None) -> None:
    ran = trainer("train", *TABLE)
    assert ran.code == 0, ran.err
    (run,) = Path("runs").glob("*/*")
    made = config(run)
    assert (made["optim"]["name"], made["optim"]["lr"], made["optim"]["weight_decay"]) == ("adamw", 3e-3, 2.0)
    assert made["scheduler"] == {"name": "cosine", "warmup_steps": 0, "min_lr": 0.0}
    assert (made["epochs"], made["model"]["dropout"], made["model"]["skip"]) == (MOST, 0.3, True)
    assert "auto: 2 steps in an epoch of 96 rows" in ran.out
    assert "adamw lr 0.003, cosine schedule" in ran.out
    assert checkpoint(run)["description"].count('"adamw"') == 1
    assert result(run)["metrics"]["test/r2"] > 0.9
    assert rows(run)[-1]["lr"] < 1e-6  # the schedule ends with the training


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["optim.lr=0.01"], ("adamw", 0.01, 2.0, "cosine")),
        (["optim.weight_decay=0"], ("adamw", 3e-3, 0.0, "cosine")),
        (["optim=adam"], ("adam", 1e-3, 0.0, "cosine")),
        (["scheduler=constant"], ("adamw", 3e-3, 2.0, "constant")),
        (["epochs=7"], ("adamw", 3e-3, 2.0, "constant")),
    ],
)
def test_what_is_typed_goes_first(trainer: Trainer, table: None, words: list[str], found: tuple[Any, ...]) -> None:
    made = config(train(trainer, *TABLE, *words, "max_steps=1"))
    assert (made["optim"]["name"], made["optim"]["lr"], made["optim"]["weight_decay"]) == found[:3]
    assert made["scheduler"]["name"] == found[3]
    assert made["epochs"] == (7 if words == ["epochs=7"] else MOST)


def test_images_keep_adam_and_small_sets_stop_early(trainer: Trainer) -> None:
    ran = trainer("train", *SILENT, "model=linear", "data.limit=300", "max_steps=1")
    (run,) = Path("runs").glob("*/*")
    made = config(run)
    assert (made["optim"]["name"], made["optim"]["lr"], made["optim"]["weight_decay"]) == ("adam", 1e-3, 0.0)
    assert made["scheduler"]["name"] == "constant"
    assert made["early_stopping"]["patience"] == 20
    assert "at most 300 (auto: 5 steps in an epoch of 270 images); stops after 20 without improvement" in ran.out


def test_a_chosen_length_is_resumed_as_it_was_chosen(trainer: Trainer, table: None) -> None:
    whole = train(trainer, *TABLE, "epochs=auto", "data.batch_size=8")
    part = train(trainer, *TABLE, "checkpoint.every_steps=50", "data.batch_size=8", "until=train/loss<0.2")
    assert config(part)["epochs"] == config(whole)["epochs"] == max(FEWEST, round(STEPS / 12))
    assert result(part)["steps"] < result(whole)["steps"]
    assert trainer("resume", str(part), "until=null").code == 0
    assert same(weights(part), weights(whole))


@pytest.mark.parametrize(("total", "fraction"), [(10, 0.0), (999, 0.0), (1000, 0.1), (10**6, 0.1)])
def test_few_samples_are_all_trained_on(total: int, fraction: float) -> None:
    assert Data("x", val_fraction="auto").held_out(total) == fraction
    assert Data("x", val_fraction=0.3).held_out(total) == 0.3


def test_the_jobs_of_a_sweep_hold_rows_out_that_rank_them(trainer: Trainer, table: None) -> None:
    """Each job says so, and is what its own words give alone."""
    ran = trainer("train", "-m", "sweep=batched", "seed=0,1", *TABLE, "epochs=3", "precision=float64")
    assert ran.code == 0, ran.err
    assert "2 jobs as one program" in ran.out
    (sweep,) = Path("runs/sweeps").glob("*/*")
    words = yaml.safe_load((sweep / "1" / "overrides.yaml").read_text())
    assert "data.val_fraction=0.1" in words
    assert result(sweep / "1")["objective"]["name"] == "val/loss"
    alone = train(trainer, *words)
    for one, other in zip(rows(sweep / "1"), rows(alone), strict=True):
        assert one["val/loss"] == pytest.approx(other["val/loss"], rel=1e-9)
    assert torch.allclose(weights(alone)["fc1.weight"], weights(sweep / "1")["fc1.weight"], rtol=1e-9)
