"""The model of a checkpoint with its own preprocessing: of each kind of data it says what an evaluation says."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from composing import composed
from conftest import Trainer
from PIL import Image
from running import QUICK, SILENT, train, weights

from trainer.engine import device
from trainer.predict.predictor import Predictor, load
from trainer.run.evaluating import Evaluated
from trainer.show.report import Report
from trainer.system.errors import CheckpointError

PARTS = {
    "configs/data/shapes.yaml": "# Images of somebody's own.\n_target_: own_data.Shapes\nbatch_size: 10\n",
    "configs/data/waves.yaml": "# Three values of four numbers.\n_target_: own_data.Waves\nbatch_size: 10\n",
    "own_data.py": """
import torch


class Shapes:
    classes, mean, std = ("round", "square"), (0.4,), (0.3,)

    def __init__(self):
        draw = torch.Generator().manual_seed(0)
        self.train = torch.randint(0, 256, (40, 3, 8, 8), generator=draw).to(torch.uint8), torch.arange(40) % 2
        self.test = self.train


class Waves:
    def __init__(self):
        inputs = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)).double()
        self.train = self.test = inputs, torch.stack([inputs.sum(1) * 5 + 100, inputs[:, 0], -inputs[:, 1]], 1)
""",
}
CPU = device.choose("cpu", "float32")


@pytest.fixture(autouse=True)
def parts(empty: Path) -> Iterator[None]:
    for name, text in PARTS.items():
        path = empty / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.strip() + "\n")
    path, modules = [*sys.path], {*sys.modules}
    yield
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if name.startswith("own_"):
            del sys.modules[name]


def predictor(ckpt: str | Path, *words: str) -> Predictor:
    return load(composed("predict", "ckpt=[x]", "input=[x]", *words), str(ckpt), CPU, Report(quiet=True))


def evaluated(ckpt: str | Path, *words: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The raw samples of the test split, and what an evaluation says of them: probabilities, or values."""
    config = composed("eval", f"ckpt='{ckpt}'", *words)
    model = Evaluated(config, str(ckpt), "test", CPU, Report(quiet=True), False)
    outcome = model.evaluator.outcome("test")
    return model.samples.inputs, outcome.probabilities if outcome.classes else outcome.outputs


def test_images_of_a_users_own_class_need_no_code_of_theirs(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data=shapes", "epochs=1", *SILENT)
    samples, expected = evaluated(run, "data=shapes")
    Path("own_data.py").unlink()
    model = predictor(run)
    assert torch.equal(model.images(samples.permute(0, 2, 3, 1)).likely, expected)
    assert model.classes == ("round", "square")
    Image.fromarray(samples[3].permute(1, 2, 0).numpy()).save("one.png")
    ran = trainer("predict", str(run), "input=one.png")
    assert ran.code == 0, ran.err
    best = float(expected[3].max())
    assert pl.read_csv("predictions.csv")["probability"].to_list() == pytest.approx([best])


def test_each_of_several_targets_has_a_column_in_its_own_units(trainer: Trainer) -> None:
    run = train(trainer, "model=mlp", "data=waves", "epochs=2", *SILENT)
    samples, expected = evaluated(run, "data=waves")
    assert torch.equal(predictor(run).rows(samples).likely, expected)
    with open("waves.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "c", "d"], *samples.tolist()])
    for members in ([str(run)], [str(run), str(run)]):
        ran = trainer("predict", *members, "input=waves.csv")
        assert ran.code == 0, ran.err
        found = pl.read_csv("predictions.csv")
        values = found[["predicted_1", "predicted_2", "predicted_3"]].to_numpy()
        assert np.allclose(values, expected, atol=1e-5)
    assert found.columns[4:] == ["spread_1", "spread_2", "spread_3", "error"]
    assert found["spread_1"].to_list() == [0.0] * 60


@pytest.mark.slow
def test_a_bare_state_dict_takes_model_and_data_from_the_command_line(trainer: Trainer) -> None:
    run = train(trainer, *QUICK)
    torch.save(weights(run, "best"), "bare.pt")
    words = ("model=linear", "data=digits", "data.limit=100")
    samples, expected = evaluated("bare.pt", *words)
    assert torch.equal(predictor("bare.pt", *words).images(samples.permute(0, 2, 3, 1)).likely, expected)
    Image.fromarray(samples[0, 0].numpy()).save("digit.png")
    assert trainer("predict", "bare.pt", "input=digit.png", *words).code == 0
    found = pl.read_csv("predictions.csv")
    assert found["probability"].to_list() == pytest.approx([float(expected[0].max())])
    ran = trainer("predict", "bare.pt", "input=digit.png")
    assert (ran.code, "does not say its model" in ran.err) == (2, True)


def test_what_a_strangers_file_says_of_its_data_has_to_go_together(trainer: Trainer) -> None:
    run = train(trainer, *QUICK)
    found: dict[str, Any] = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    facts = json.loads(found["description"])
    for change in (
        {"classes": ["a", "b"]},
        {"mean": [0.1, 0.2]},
        {"outputs": 3},
        {"shape": [784]},
        {"columns": ["a"], "shape": [784], "mean": None, "std": None},
        {"shape": [2, 28, 28]},
    ):
        found["description"] = json.dumps(facts | change)
        torch.save(found, "other.pt")
        with pytest.raises(Exception) as error:  # noqa: PT011
            predictor("other.pt").way  # noqa: B018
        assert isinstance(error.value, CheckpointError) or type(error.value).__name__ == "ConfigError", change
        ran = trainer("predict", "other.pt", "input=own_data.py")
        assert ran.code == 2, (change, ran.err)
        assert len(ran.err.splitlines()) <= 2


@pytest.mark.slow
def test_checkpoints_of_other_classes_do_not_answer_together(trainer: Trainer) -> None:
    one = train(trainer, *QUICK)
    other = train(trainer, "model=linear", "data=shapes", "epochs=1", *SILENT)
    values = train(trainer, "model=linear", "data=waves", "epochs=1", *SILENT)
    Image.new("RGB", (8, 8)).save("black.png")
    for members, said in (((one, other), "different classes"), ((one, values), "one is of images")):
        ran = trainer("predict", *map(str, members), "input=black.png")
        assert ran.code == 2
        assert said in ran.err


def test_classes_in_another_order_are_matched_by_their_names(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data=shapes", "epochs=1", *SILENT)
    found: dict[str, Any] = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    facts = json.loads(found["description"])
    found["description"] = json.dumps(facts | {"classes": facts["classes"][::-1]})
    found["model"] = {name: values.flip(0) for name, values in found["model"].items()}
    torch.save(found, "turned.pt")
    Image.new("RGB", (8, 8), "red").save("red.png")
    assert trainer("predict", str(run), "input=red.png", "out=one.csv").code == 0
    assert trainer("predict", str(run), "turned.pt", "input=red.png").code == 0
    one, both = pl.read_csv("one.csv"), pl.read_csv("predictions.csv")
    assert both["predicted"].equals(one["predicted"])
    assert both["probability"].to_list() == pytest.approx(one["probability"].to_list())
    assert both["agreement"].to_list() == [1.0]


@pytest.mark.slow
def test_a_sweeps_best_jobs_answer_together(trainer: Trainer) -> None:
    assert trainer("train", "-m", *QUICK, "optim.lr=0.001,0.1,0.01", "name=three").code == 0
    (sweep,) = Path("runs", "sweeps", "three").iterdir()
    jobs = sorted(path for path in sweep.iterdir() if path.name.isdecimal())
    Image.new("L", (8, 8), 200).save("grey.png")
    every = []
    for job in jobs:
        assert trainer("predict", str(job), "input=grey.png", "predict.all=true").code == 0
        every.append(pl.read_csv("predictions.csv").select(pl.selectors.starts_with("p_")).to_numpy()[0])
    assert trainer("predict", str(sweep), "input=grey.png", "predict.all=true").code == 0
    found = pl.read_csv("predictions.csv").select(pl.selectors.starts_with("p_")).to_numpy()[0]
    assert np.allclose(found, np.mean(every, 0))
    ran = trainer("predict", str(sweep), "input=grey.png", "predict.best=1")
    assert ran.code == 0
    assert "agreement" not in pl.read_csv("predictions.csv").columns


def test_a_calibrated_checkpoint_predicts_by_its_temperature_and_threshold(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data=shapes", "epochs=1", *SILENT)
    path = run / "checkpoints" / "best.pt"
    found: dict[str, Any] = torch.load(path, weights_only=True)
    Image.new("RGB", (8, 8), "red").save("red.png")
    assert trainer("predict", str(run), "input=red.png", "predict.all=true").code == 0
    plain = pl.read_csv("predictions.csv")
    logit = np.log(plain["p_square"][0] / plain["p_round"][0])
    expected = 1 / (1 + np.exp(-logit / 3))
    for threshold, name in ((expected - 0.01, "square"), (expected + 0.01, "round")):
        facts = json.loads(found["description"]) | {"temperature": 3.0, "threshold": threshold}
        torch.save(found | {"description": json.dumps(facts)}, "calibrated.pt")
        assert trainer("predict", "calibrated.pt", "input=red.png", "predict.all=true").code == 0
        warm = pl.read_csv("predictions.csv")
        assert warm["p_square"].to_list() == pytest.approx([expected], abs=1e-6)
        assert warm["predicted"].to_list() == [name]
        assert warm["probability"].to_list() == pytest.approx(
            [expected if name == "square" else 1 - expected], abs=1e-6
        )
