"""What an evaluation and a training leave behind: tables, figures, and a checkpoint with what was fitted."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from batching import directory
from conftest import Trainer
from pretending import full_disk
from running import SILENT, checkpoint, evaluate, reported, result, same, train, weights
from sklearn.metrics import average_precision_score, log_loss, precision_recall_fscore_support, roc_auc_score
from tables import write

from trainer.data.splits import Dataset, Split
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.run.outcome import predictions, table

DIGITS = ("model=linear", "data.limit=300", "epochs=2", "tensorboard.enabled=false", "plots=false")
ROWS = [[round(float(a), 3), round(float(b), 3), "yes" if a + b + c > 0.8 else "no"]
        for a, b, c in np.random.default_rng(0).normal(size=(400, 3))]  # fmt: skip
TWO = (*SILENT, "data=csv", "data.path=two.csv", "data.target=y", "model=linear", "epochs=10",
       "optim.lr=0.1", "data.val_fraction=0.2", "precision=float64")  # fmt: skip


@pytest.fixture
def two(trainer: Trainer) -> Path:
    """A run of a table with two classes."""
    write(Path("two.csv"), ["a", "b", "y"], ROWS)
    return train(trainer, *TWO)


def csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema_length=None)


# --- tables -------------------------------------------------------------------------------------------


def test_a_training_and_an_evaluation_leave_the_same_tables(trainer: Trainer) -> None:
    run = train(trainer, *DIGITS)
    ran = trainer("eval", str(run), "out=made/here")
    assert ran.code == 0, ran.err
    here = Path("made/here")
    for name in ("predictions.csv", "per_class.csv", "suspects.csv"):
        assert (here / name).read_bytes() == (run / "test" / name).read_bytes()
        assert name in ran.out
    assert not [*(run / "test").glob("*.png")]
    found = json.loads((here / "result.json").read_text())
    assert found["metrics"] == reported(run)
    assert found["calibration_error"] == result(run)["calibration_error"]
    assert (found["split"], found["samples"], found["temperature"]) == ("test", 300, 1.0)
    assert found["checkpoint"] == str(run / "checkpoints" / "best.pt")
    assert sorted([*found["files"], "result.json"]) == sorted(os.listdir(here))

    made = csv(here / "predictions.csv")
    assert sorted(made["input"].to_list()) == [*range(300)]
    likely = made.select(pl.col("^p\\(.*\\)$")).to_numpy()
    np.testing.assert_allclose(likely.sum(1), 1, atol=1e-4)
    assert (likely.argmax(1) == made["predicted"].to_numpy()).all()
    np.testing.assert_allclose(likely.max(1), made["probability"])
    assert (made["correct"] == (made["label"] == made["predicted"])).all()
    assert made["correct"].mean() == found["metrics"]["test/accuracy"]
    loss = log_loss(made["label"], likely / likely.sum(1, keepdims=True), labels=range(10))
    assert loss == pytest.approx(found["metrics"]["test/loss"], rel=1e-4)
    wrong = made.filter(~pl.col("correct"))
    assert made[: len(wrong)].equals(wrong)
    assert wrong["probability"].is_sorted(descending=True)
    right = made[len(wrong) :]
    assert right["input"].is_sorted()

    classes = csv(here / "per_class.csv")
    precision, recall, f1, counts = precision_recall_fscore_support(
        made["label"], made["predicted"], zero_division=np.nan
    )
    np.testing.assert_allclose(classes["precision"].to_numpy(), precision)
    np.testing.assert_allclose(classes["recall"].to_numpy(), recall)
    np.testing.assert_allclose(classes["f1"].to_numpy(), f1)
    assert (classes["samples"].to_numpy() == counts).all()
    truth = made["label"].to_numpy()[:, None] == np.arange(10)
    areas = [roc_auc_score(truth[:, one], likely[:, one]) for one in range(10)]
    np.testing.assert_allclose(classes["auc"].to_numpy(), areas, atol=1e-4)  # of rounded probabilities
    assert classes["auc"].mean() == pytest.approx(found["metrics"]["test/auc"])
    found_precision = [average_precision_score(truth[:, one], likely[:, one]) for one in range(10)]
    np.testing.assert_allclose(classes["average_precision"].to_numpy(), found_precision, atol=1e-3)


def test_errors_of_a_quantity_are_listed_by_size_in_its_own_units(trainer: Trainer) -> None:
    run = train(trainer, *SILENT, "tables=true", "data=diabetes", "model=linear", "epochs=2")
    assert sorted(os.listdir(run / "test")) == ["predictions.csv"]
    made = csv(run / "test" / "predictions.csv")
    assert made.columns == ["input", "target", "predicted", "error"]
    np.testing.assert_allclose(made["error"], made["predicted"] - made["target"])
    assert made["error"].abs().is_sorted(descending=True)
    assert made["error"].abs().mean() == pytest.approx(reported(run)["test/mae"], rel=1e-5)
    assert "calibration_error" not in result(run)


def test_names_of_strangers_are_no_formulas_and_columns_do_not_collide(tmp_path: Path) -> None:
    classes = ("=1+1", "probability", "a,b\n\x1b[31m", "é\udcff")
    outputs = torch.eye(4, dtype=torch.float64)
    names = ["=cmd()", "plain", "-5", "wörd\udcfe"]
    samples = Split(torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]), names=names)
    data = Dataset("odd", samples, samples, classes=classes)
    outcome = Outcome("test", data, samples, outputs, Evaluation({"accuracy": 0.75}))
    table.write(tmp_path / "odd.csv", predictions.frame(outcome))
    made = csv(tmp_path / "odd.csv")
    assert made["input"].to_list() == ["wörd\\udcfe", "'=cmd()", "plain", "-5"]
    assert made["predicted"].to_list() == ["é\\udcff", "'=1+1", "probability", "a,b\\n\\x1b[31m"]
    assert [*made.columns[-4:]] == ["p(=1+1)", "p(probability)", "p(a,b\n\\x1b[31m)", "p(é\\udcff)"]


def test_samples_are_called_by_their_files_or_rows(trainer: Trainer, images: Path, two: Path) -> None:
    run = train(
        trainer, *SILENT, "tables=true", "data=folder", f"data.path={images}", "model=linear", "data.size=8", "epochs=1"
    )
    assert {Path(name) for name in csv(run / "test" / "predictions.csv")["input"]} == {*images.glob("test/*/*.png")}
    trainer("eval", str(two), "out=rows")
    made = csv(Path("rows/predictions.csv"))
    lines = Path("two.csv").read_text().splitlines()
    assert [lines[row - 1].rsplit(",")[-1] for row in made["input"]] == made["label"].to_list()
    assert {*csv(Path("rows/suspects.csv"))["split"]} <= {"val", "test"}


# --- the folder ---------------------------------------------------------------------------------------


def test_a_folder_of_others_is_left_alone_and_an_earlier_evaluation_is_replaced(trainer: Trainer, two: Path) -> None:
    other = train(trainer, *SILENT, "data=diabetes", "model=linear", "epochs=1")
    Path("theirs").mkdir()
    Path("theirs/predictions.csv").write_text("mine")
    for out in ("theirs", str(two), "two.csv", "two.csv/below"):
        ran = trainer("eval", str(two), f"out={out}")
        assert ran.code == 2
        assert f"out={out}: " in ran.err
        assert len(ran.err.splitlines()) <= 2
    assert Path("theirs/predictions.csv").read_text() == "mine"

    Path("empty").mkdir()
    Path("link").symlink_to("empty")
    assert trainer("eval", str(two), "out=link").code == 0
    Path("empty/notes.txt").write_text("mine")
    assert (Path("empty/confusion.png").is_file(), Path("empty/suspects.csv").is_file()) == (True, True)
    assert trainer("eval", str(other), "out=empty").code == 0
    left = {*os.listdir("empty")}
    assert left >= {"predictions.csv", "result.json", "notes.txt"}
    assert not left & {"confusion.png", "suspects.csv", "per_class.csv"}


def test_a_result_of_a_stranger_removes_nothing_outside(trainer: Trainer, two: Path) -> None:
    Path("theirs").mkdir()
    Path("kept.csv").write_text("mine")
    Path("theirs/.hidden.csv").write_text("mine")
    content = {
        "kind": "evaluation",
        "files": ["../kept.csv", ".hidden.csv", "notes.txt", str(Path("kept.csv").absolute())],
    }
    Path("theirs/result.json").write_text(json.dumps(content))
    Path("theirs/notes.txt").write_text("mine")
    Path("theirs/predictions.csv").symlink_to(Path("kept.csv").absolute())
    assert trainer("eval", str(two), "out=theirs").code == 0
    for path in ("kept.csv", "theirs/.hidden.csv", "theirs/notes.txt"):
        assert Path(path).read_text() == "mine"
    assert not Path("theirs/predictions.csv").is_symlink()


def test_a_full_disk_ends_a_training_with_a_line_and_it_can_be_resumed(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        full_disk(patch, lambda path: "predictions.csv" in path.name)
        ran = trainer("train", *DIGITS)
    assert ran.code == 1
    assert "disk full" in ran.err
    (run,) = (path.parent for path in Path("runs").rglob("result.json"))
    assert result(run)["status"] == "failed"
    assert trainer("resume", str(run)).code == 0
    assert (run / "test" / "predictions.csv").is_file()


def test_a_test_folder_that_is_a_link_is_not_followed(trainer: Trainer) -> None:
    run = train(trainer, *DIGITS, "tables=false")
    Path("outside").mkdir()
    (run / "test").symlink_to(Path("outside").absolute())
    ran = trainer("resume", str(run), "epochs=3", "tables=true")
    assert ran.code == 2
    assert "is a link" in ran.err
    assert not os.listdir("outside")


@pytest.mark.slow
def test_jobs_of_a_sweep_leave_tables_where_that_is_asked_for(trainer: Trainer) -> None:
    jobs = ("-m", *DIGITS, "optim.lr=0.1,0.01")
    assert trainer("train", *jobs, "name=without").code == 0
    assert not [*Path("runs").rglob("test")]
    for how in ("serial", "batched"):
        assert trainer("train", *jobs, "sweep.tables=true", f"sweep={how}", f"name={how}").code == 0
        assert len([*directory(how).glob("[01]/test/predictions.csv")]) == 2
    one, other = (csv(directory(how) / "1/test/predictions.csv") for how in ("serial", "batched"))
    assert one["input"].to_list() == other["input"].to_list()


# --- calibration --------------------------------------------------------------------------------------


def test_what_is_fitted_is_kept_and_used_from_then_on(trainer: Trainer, two: Path) -> None:
    plain = evaluate(trainer, str(two), "precision=float64")
    ran = trainer("eval", str(two), "eval.calibrate=both", "precision=float64")
    assert ran.code == 0, ran.err
    kept = checkpoint(two, "calibrated")
    said = json.loads(kept["description"])
    assert same(kept["model"], weights(two, "best"))
    assert kept["known"]["samples"] == checkpoint(two, "best")["known"]["samples"]
    assert f"temperature {said['temperature']:.4g}, threshold {said['threshold']:.4g}" in ran.out

    ran = trainer("eval", str(two), "out=after", "precision=float64")
    assert "checkpoints/calibrated.pt" in ran.out
    found, made = json.loads(Path("after/result.json").read_text()), csv(Path("after/predictions.csv"))
    assert (found["temperature"], found["threshold"]) == (said["temperature"], said["threshold"])
    assert (made["predicted"] == "yes").to_list() == (made["p(yes)"] >= said["threshold"]).to_list()
    assert made["correct"].mean() == found["metrics"]["test/accuracy"]
    assert log_loss(made["label"], made["p(yes)"]) == pytest.approx(found["metrics"]["test/loss"], rel=1e-4)
    assert found["metrics"]["test/loss"] != plain["test/loss"]
    assert found["metrics"]["test/auc"] == pytest.approx(plain["test/auc"])

    assert trainer("predict", str(two), "input=two.csv", "out=new.csv", "precision=float64").code == 0
    new = made.join(csv(Path("new.csv")), on="input", suffix="_new")
    assert len(new) == len(made)
    assert (new["predicted"] == new["predicted_new"]).all()
    np.testing.assert_allclose(new["probability"], new["probability_new"], rtol=1e-5)

    before = (two / "checkpoints/calibrated.pt").read_bytes()
    ran = trainer("eval", str(two), "eval.calibrate=both", "precision=float64")
    assert (two / "checkpoints/calibrated.pt").read_bytes() == before
    assert trainer("eval", str(two), "eval.calibrate=temperature").code == 0
    assert "threshold" not in json.loads(checkpoint(two, "calibrated")["description"])


def test_a_training_that_goes_on_drops_what_was_fitted(trainer: Trainer, two: Path) -> None:
    assert trainer("eval", str(two), "eval.calibrate=temperature").code == 0
    assert trainer("resume", str(two)).code == 0  # it is finished, and nothing changes
    assert (two / "checkpoints/calibrated.pt").is_file()
    assert trainer("resume", str(two), "epochs=11").code == 0
    assert not (two / "checkpoints/calibrated.pt").exists()


def test_a_file_is_calibrated_beside_itself(trainer: Trainer, two: Path) -> None:
    os.link(two / "checkpoints" / "best.pt", "mine.pt")
    assert trainer("eval", "mine.pt", "eval.calibrate=temperature").code == 0
    assert trainer("eval", "mine.calibrated.pt", "eval.calibrate=temperature").code == 0
    assert {path.name for path in Path().glob("*.pt")} == {"mine.pt", "mine.calibrated.pt"}
    assert not (two / "checkpoints/calibrated.pt").exists()


def test_what_cannot_be_calibrated_is_refused_in_a_line(trainer: Trainer, two: Path) -> None:
    many = train(trainer, *DIGITS, "tables=false")
    without = train(trainer, *DIGITS, "tables=false", "data.val_fraction=0")
    number = train(trainer, *SILENT, "data=diabetes", "model=linear", "epochs=1")
    torch.save(weights(many), "bare.pt")
    trainer("train", "-m", *DIGITS, "seed=0,1", "name=s")
    for words, reason in (
        ((str(many), "eval.calibrate=threshold"), "a threshold is of two classes, and there are 10"),
        ((str(without), "eval.calibrate=temperature"), "no validation split to fit it on"),
        ((str(number), "eval.calibrate=temperature"), "a quantity"),
        (("bare.pt", "model=linear", "data=digits", "eval.calibrate=temperature"), "a bare state_dict"),
        ((str(directory("s")), "eval.calibrate=temperature"), "one by one"),
        ((str(two), "eval.calibrate=isotonic"), "temperature, threshold"),
    ):
        ran = trainer("eval", *words)
        assert ran.code == 2, words
        assert reason in ran.err
        assert len(ran.err.splitlines()) <= 2


def test_other_samples_can_be_fitted_on(trainer: Trainer, two: Path) -> None:
    write(Path("others.csv"), ["a", "b", "y"], ROWS[100:200])
    ran = trainer("eval", str(two), "data.path=others.csv", "eval.calibrate=threshold")
    assert ran.code == 0, ran.err
    assert "fitted on 100 samples of the all split" in ran.out
