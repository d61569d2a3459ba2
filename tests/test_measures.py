"""What each measure is like, for whoever ranks, draws or prints it."""

import pytest
import torch

from trainer.engine.measures import MEASURES, direction, label, measure
from trainer.engine.metrics import Classification, Metric, Regression

CPU = torch.device("cpu")


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("name", "way", "percent", "log"),
    [
        ("loss", "min", False, True),
        ("accuracy", "max", True, False),
        ("top5", "max", True, False),
        ("mse", "min", False, True),
        ("mae", "min", False, True),
        ("r2", "max", False, False),
        ("lr", "min", False, False),  # none of the table's
    ],
)
def test_a_figure_is_known_by_the_last_part_of_its_name(
    split: str, name: str, way: str, percent: bool, log: bool
) -> None:
    for full in (name, f"{split}/{name}"):
        found = measure(full)
        assert (direction(full), found.percent, found.log) == (way, percent, log)


@pytest.mark.parametrize(
    ("metric", "targets"),
    [(Classification(10, CPU), torch.zeros(4).long()), (Regression(10, CPU), torch.rand(4, 10))],
    ids=["classes", "values"],
)
def test_every_metric_of_an_evaluation_is_in_the_table(metric: Metric, targets: torch.Tensor) -> None:
    metric.update(torch.rand(4, 10), targets)
    assert {*metric.compute()[0].metrics, "loss"} <= MEASURES.keys()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("val/accuracy", "validation accuracy (%)"),
        ("test/top5", "test top-5 accuracy (%)"),
        ("train/loss", "training loss"),
        ("val/r2", "validation R²"),
        ("mse", "MSE"),
        ("own/thing", "own thing"),
    ],
)
def test_labels_are_words(name: str, text: str) -> None:
    assert label(name) == text
