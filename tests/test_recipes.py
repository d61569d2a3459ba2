"""The recipes that take seconds, against what mathematics says of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Trainer
from running import SILENT, checkpoint, evaluate, reported, result, same, train, weights

from trainer import data, models
from trainer.config.data import Data
from trainer.data.sets.line import Line
from trainer.data.sets.regression import Regression

FOLDER = ("experiment=finetune_folder", "data.size=32", "data.resize=36", "epochs=1", *SILENT)


@pytest.mark.parametrize(("experiment", "section"), [("linear_regression", Regression()), ("line", Line())])
def test_gradient_descent_finds_the_least_squares_line(trainer: Trainer, experiment: str, section: Data) -> None:
    section.val_fraction = 0
    points = data.load(section).train
    design = np.column_stack([points.inputs.numpy(), np.ones(len(points))])
    (slope, intercept), *_ = np.linalg.lstsq(design, points.targets.numpy()[:, 0], rcond=None)
    run = train(trainer, f"experiment={experiment}", *SILENT)
    found = weights(run)
    assert float(found["linear.weight"]) == pytest.approx(slope, rel=0.01)
    assert float(found["linear.bias"]) == pytest.approx(intercept, rel=0.01)


def test_two_hidden_units_bend_to_a_parabola(trainer: Trainer) -> None:
    run = train(trainer, "experiment=quadratic", *SILENT)
    assert evaluate(trainer, f"ckpt={run}", "split=train")["train/mse"] <= 1e-4
    assert evaluate(trainer, f"ckpt={run}") == reported(run)
    x = torch.linspace(0, 1, 10, dtype=torch.float64)[:, None].float()
    predictions = []
    for _ in range(2):  # saved, and loaded into a new model each time
        network = models.make("mlp", in_features=1, out_features=1, hidden=2, activation="sigmoid")
        network.load_state_dict(weights(run))
        predictions.append(network(x).detach())
    assert torch.equal(*predictions)
    assert float((predictions[0] - (x**2 - 0.5 * x + 1.5625)).square().mean()) <= 1e-4


def test_a_resnet_is_fine_tuned_on_a_folder_of_images(trainer: Trainer, images: Path) -> None:
    run = train(trainer, *FOLDER, f"data.path={images}")
    assert result(run)["status"] == "completed"
    assert weights(run)["fc.weight"].shape == (2, 512)
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


def test_a_small_folder_is_learnt_from_scratch_and_its_average_is_what_is_kept(trainer: Trainer, images: Path) -> None:
    asked = ("experiment=small_folder", f"data.path={images}", "data.size=32", "data.batch_size=8", "epochs=2", *SILENT)
    run = train(trainer, *asked)
    assert result(run)["status"] == "completed"
    assert not same(weights(run), checkpoint(run)["average"]["trained"])
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


@pytest.mark.parametrize("freeze", [True, False])
def test_freezing_trains_the_last_layer_alone(trainer: Trainer, images: Path, freeze: bool) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(7)
    pretrained = resnet18()
    torch.save(pretrained.state_dict(), "pretrained.pth")
    weighted = ("model.weights=pretrained.pth", f"model.freeze={freeze}")
    run = train(trainer, *FOLDER, f"data.path={images}", *weighted, "data.batch_size=8")
    after = weights(run)
    names = [name for name, _ in pretrained.named_parameters() if not name.startswith("fc.")]
    untouched = [torch.equal(after[name], pretrained.get_parameter(name)) for name in names]
    assert len(untouched) == 60
    assert all(untouched) if freeze else not any(untouched)
    assert after["fc.weight"].shape == (2, 512)
    assert evaluate(trainer, f"ckpt={run}") == reported(run)  # needs neither the file nor the flag
