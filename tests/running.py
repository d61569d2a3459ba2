"""What the end-to-end tests share: quick trainings, and reading what they leave behind."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Trainer
from torch import Tensor

from trainer.commands import eval as eval_command
from trainer.config.base import Config

SILENT = ("plots=false", "tables=false", "tensorboard.enabled=false")
QUICK = (*SILENT, "model=linear", "data.limit=100", "epochs=1")  # digits: 90 to train, 10 to validate, 100 to test


def runs() -> set[Path]:
    """Every directory below the current one that says how it ended."""
    return {path.parent for path in Path().rglob("result.json")}


def train(trainer: Trainer, *args: str) -> Path:
    """`trainer train ARGS...`, which must succeed; its run directory."""
    before = runs()
    ran = trainer("train", *args)
    assert ran.code == 0, ran.err
    (made,) = runs() - before
    return made


def evaluate(trainer: Trainer, *args: str) -> dict[str, float]:
    """`trainer eval ARGS...`, which must succeed; the metrics it shows, unrounded."""
    found: list[dict[str, float]] = []
    command = eval_command.run

    def spy(config: Config) -> dict[str, Any]:
        result = command(config)
        found.append(result["metrics"])
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eval_command, "run", spy)
        ran = trainer("eval", *args)
    assert ran.code == 0, ran.err
    (metrics,) = found
    return metrics


def result(run: Path) -> dict[str, Any]:
    """The content of result.json."""
    return json.loads((run / "result.json").read_text())


def reported(run: Path) -> dict[str, float]:
    """The metrics of the test split in result.json."""
    return {name: value for name, value in result(run)["metrics"].items() if name.startswith("test/")}


def rows(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def checkpoint(run: Path, name: str = "last") -> dict[str, Any]:
    """A checkpoint as anybody reads it."""
    return torch.load(run / "checkpoints" / f"{name}.pt", weights_only=True)


def weights(run: Path, name: str = "last") -> dict[str, Tensor]:
    """The model's tensors in a checkpoint."""
    return checkpoint(run, name)["model"]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two models are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
