"""`trainer runs A B` and `trainer runs RUN`: what differs, whether by more than chance, and the way back to one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Trainer
from left_behind import ENVIRONMENT, leave, result, sweep
from PIL import Image
from scipy import stats

from trainer.show import curves
from trainer.show.figures.style import SPLITS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def compared(trainer: Trainer, *words: str) -> dict[str, Any]:
    ran = trainer("runs", *words, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


# --- two ------------------------------------------------------------------------------------------------


def test_two_runs_are_told_apart_by_their_keys_environments_and_metrics(trainer: Trainer) -> None:
    project = {"when": "", "environment": {}, "project": {"commit": COMMIT, "changed": True}}
    a = leave(Path("runs/a"), result(0.5), lr=0.1, origin=project)
    b = leave(Path("runs/b"), result(0.75, environment=ENVIRONMENT | {"torch": "2.15"}), lr=0.01, seed=3)
    found = compared(trainer, str(a), str(b))
    assert found["differing"] == {"optim.lr": [0.1, 0.01], "seed": [0, 3]}
    assert found["environment"]["torch"] == ["2.14.1", "2.15"]
    assert found["environment"]["commit"] == [f"{COMMIT[:12]}, changed", "-"]
    assert found["metrics"]["test/accuracy"]["mean"] == [0.5, 0.75]
    assert found["metrics"]["test/accuracy"]["difference"] == 0.25
    ran = trainer("runs", str(a), str(b))
    assert "+25.00 points" in ran.out
    assert "B is ahead of A by 25.00 points; several seeds each would tell whether that is chance" in ran.out


@pytest.mark.parametrize("sizes", [(2, 2), (5, 3), (8, 8)])
def test_seeds_are_compared_by_scipys_welch_test(trainer: Trainer, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(sizes))
    values = [rng.normal(0.8, 0.01, sizes[0]).tolist(), rng.normal(0.82, 0.02, sizes[1]).tolist()]
    for name, found in zip("ab", values, strict=True):
        sweep(Path(f"runs/{name}"), {(0.1, seed): value for seed, value in enumerate(found)})
    found = compared(trainer, "runs/a", "runs/b")["metrics"]["test/accuracy"]
    wanted = stats.ttest_ind(values[1], values[0], equal_var=False)
    assert found["p"] == pytest.approx(wanted.pvalue)
    assert found["interval"] == pytest.approx(list(wanted.confidence_interval(0.95)))
    assert found["mean"] == pytest.approx([np.mean(v) for v in values])
    assert found["std"] == pytest.approx([np.std(v, ddof=1) for v in values])
    assert found["n"] == list(sizes)
    ran = trainer("runs", "runs/a", "runs/b")
    assert "Welch's t-test" in ran.out
    assert ("seeds are few" in ran.out) == (min(sizes) < 5)


def test_of_a_sweep_the_best_settings_are_compared_and_named(trainer: Trainer) -> None:
    a = sweep(Path("runs/a"), {(lr, seed): lr + seed / 100 for lr in (0.1, 0.2) for seed in (0, 1)})
    b = leave(Path("runs/b"), result(0.9), lr=0.2)
    found = compared(trainer, str(a), str(b))
    assert found["sides"][0]["runs"] == [str(a / "2"), str(a / "3")]
    assert found["sides"][0]["note"] == "its best settings, optim.lr=0.2"
    one = sweep(Path("runs/one"), {(0.2, seed): seed / 100 for seed in (0, 1)})
    assert compared(trainer, str(one), str(b))["sides"][0]["note"] == ""
    assert found["differing"] == {}


def test_folders_of_seeds_are_compared_and_other_folders_listed(trainer: Trainer) -> None:
    for name, accuracy in (("a", 0.5), ("b", 0.6)):
        for seed in (0, 1, 2):
            leave(Path(f"runs/{name}/{seed}"), result(accuracy + seed / 1000), seed=seed)
    found = compared(trainer, "runs/a", "runs/b")
    assert found["metrics"]["test/accuracy"]["n"] == [3, 3]
    assert "p < 0.001" in found["verdict"]
    leave(Path("runs/b/4"), result(), lr=0.5)
    assert len(compared(trainer, "runs/a", "runs/b")) == 7


def test_seeds_that_make_no_difference_have_no_p_value(trainer: Trainer) -> None:
    for name, accuracy in (("a", 0.5), ("b", 0.75)):
        sweep(Path(f"runs/{name}"), {(0.1, seed): accuracy for seed in (0, 1, 2)})
    found = compared(trainer, "runs/a", "runs/b")
    assert "p" not in found["metrics"]["test/accuracy"]
    assert "seeds make no difference" in found["verdict"]


def test_runs_of_other_objectives_are_not_ranked(trainer: Trainer) -> None:
    a = leave(Path("runs/a"), result())
    b = leave(Path("runs/b"), result(objective={"name": "val/loss", "direction": "min", "value": 0.1}))
    assert "objectives differ" in compared(trainer, str(a), str(b))["verdict"]


# --- curves ---------------------------------------------------------------------------------------------


def test_the_curves_of_both_are_drawn_into_one_picture(trainer: Trainer) -> None:
    a, b = leave(Path("runs/a"), result(), losses=(3, 2, 1)), leave(Path("runs/b"), result(), losses=(2, 1))
    ran = trainer("runs", str(a), str(b), "runs.out=both.png")
    assert ran.code == 0, ran.err
    with Image.open("both.png") as image:
        assert np.asarray(image.convert("L")).std() > 0
    ran = trainer("runs", str(a), str(b), "runs.out=both.csv")
    assert ran.code == 2
    assert ".png" in ran.err
    for run in (a, b):
        (run / "metrics.jsonl").unlink()
    assert "neither has a curve" in trainer("runs", str(a), str(b), "runs.out=none.png").err
    assert not Path("none.png").exists()


def test_each_side_has_a_colour_and_each_split_a_kind_of_line() -> None:
    def rows(*losses: float) -> list[dict[str, float]]:
        return [
            {"epoch": e, "step": e, "lr": 0.1, "seconds": 1.0, "train/loss": loss, "val/loss": loss + 1, "val/f1": 0.5}
            for e, loss in enumerate(losses, start=1)
        ]

    figure = curves.side_by_side({"A x": [rows(3, 2)], "B y": [rows(1, 2), rows(4, 5)]})
    loss, f1 = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "f1"]
    drawn = [(line.get_color(), line.get_linestyle(), list(line.get_ydata())) for line in loss.get_lines()]
    assert drawn == [
        (curves.COLOURS[0], ":", [3, 2]),
        (curves.COLOURS[0], "-", [4, 3]),
        (curves.COLOURS[1], ":", [1, 2]),
        (curves.COLOURS[1], "-", [2, 3]),
        (curves.COLOURS[1], ":", [4, 5]),
        (curves.COLOURS[1], "-", [5, 6]),
    ]
    assert not {*curves.COLOURS} & {*SPLITS.values()}
    legend = loss.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["A x train", "A x val", "B y train", "B y val"]
    assert len(f1.get_lines()) == 3


# --- one ------------------------------------------------------------------------------------------------


def test_one_run_is_shown_with_the_way_back(trainer: Trainer) -> None:
    began = {
        "when": "2026-01-31T12:00:00+00:00",
        "environment": ENVIRONMENT,
        "project": {"commit": COMMIT, "changed": False},
        "parent": None,
        "reproduces": "runs/first",
        "resumed": [{"when": "2026-02-01", "environment": ENVIRONMENT, "project": None, "epoch": 2, "step": 20}],
    }
    run = leave(Path("runs/a"), result(), ["optim.lr=0.1", "name=my run", "optim.lr=0.2"], origin=began)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.pt").write_bytes(b"x" * 1234)
    ran = trainer("runs", str(run))
    assert ran.code == 0, ran.err
    for words in (
        "completed, 3 epochs, 30 steps",
        "trainer train optim.lr=0.2 'name=my run'",
        f"trainer reproduce {run}",
        f"commit {COMMIT}, clean",
        "after 2 epochs, 20 steps, on cpu, 1 thread, float32",
        "reproduces   runs/first",
        "checkpoints/last.pt  1.23 kB",
        "lr=0.001",
        "torch 2.14.1",
    ):
        assert words in ran.out, words
    found = compared(trainer, str(run))
    assert found["project"] == {"commit": COMMIT, "changed": False}
    assert found["files"]["checkpoints/last.pt"] == 1234
    assert found["command"] == "trainer train optim.lr=0.2 'name=my run'"


def test_lineage_leads_back_as_far_as_runs_are_there(trainer: Trainer) -> None:
    def began(path: str) -> dict[str, Any]:
        return {"parent": {"path": path, "epoch": 3, "step": 30}}

    old = leave(Path("runs/old"), result(), origin=began("gone/checkpoints/best.pt"))
    middle = leave(Path("runs/middle"), result(**began(f"{old}/checkpoints/best.pt")))
    new = leave(Path("runs/new"), result(), origin=began(f"{middle}/checkpoints/last.pt"))
    for run in (old, middle):
        (run / "checkpoints").mkdir()
        for name in ("best.pt", "last.pt"):
            (run / "checkpoints" / name).touch()
    paths = [step["path"] for step in compared(trainer, str(new))["lineage"]]
    assert paths == [f"{middle}/checkpoints/last.pt", f"{old}/checkpoints/best.pt", "gone/checkpoints/best.pt"]
    assert "of gone/checkpoints/best.pt (epoch 3, step 30, no longer there)" in trainer("runs", str(new)).out
    (old / "origin.json").write_text(json.dumps(began(f"{new}/checkpoints/last.pt")))  # in a circle
    (new / "checkpoints").mkdir()
    (new / "checkpoints" / "last.pt").touch()
    assert len(compared(trainer, str(new))["lineage"]) == 3


def test_a_word_that_a_file_may_not_say_is_in_no_command(trainer: Trainer) -> None:
    words = ["optim.lr=0.1", "model.weights=/etc/passwd", "sweep.setup=[rm]", "data.root=${oc.env:HOME}", "seed=1"]
    run = leave(Path("runs/a"), result(), words)
    assert compared(trainer, str(run))["command"] == "trainer train optim.lr=0.1 ... seed=1"
