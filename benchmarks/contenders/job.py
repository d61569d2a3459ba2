"""What every contender is asked to do, and how it says how long that took.

Nothing here imports torch: a contender's own imports are part of what is measured.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EVAL_BATCH = 1000


@dataclass(frozen=True)
class Recipe:
    """A model and its optimizer (SGD), the same for every contender."""

    model: str  # trainer's registry name
    shape: dict[str, int]
    lr: float
    momentum: float
    mean: float
    std: float


RECIPES = {
    "mnist": Recipe("lenet", {"in_channels": 1, "image_size": 28, "num_classes": 10}, 0.005, 0.9, 0.1307, 0.3081),
    "cifar": Recipe("lenet5", {"in_channels": 3, "image_size": 32, "num_classes": 10}, 0.001, 0.9, 0.5, 0.5),
}


@dataclass(frozen=True)
class Job:
    """The command line of a contender."""

    work: str
    data: Path
    device: str
    batch: int
    epochs: int
    limit: int | None  # of each split: for trials
    workers: int  # of a DataLoader

    @classmethod
    def parse(cls) -> "Job":
        parser = argparse.ArgumentParser()
        parser.add_argument("--work", choices=sorted(RECIPES), default="mnist")
        parser.add_argument("--data", type=Path, required=True)
        parser.add_argument("--device", default="cpu")
        parser.add_argument("--batch", type=int, default=64)
        parser.add_argument("--epochs", type=int, default=1)
        parser.add_argument("--limit", type=int)
        parser.add_argument("--workers", type=int, default=0)
        return cls(**vars(parser.parse_args()))

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.work]


@dataclass
class Watch:
    """Notes when epochs start; `write` hands everything to the process that waits for this one."""

    laps: list[float] = field(default_factory=list)

    def lap(self) -> None:
        """An epoch starts here, or the last one has ended: evaluation, logging and checkpoint belong to it."""
        self.laps.append(time.monotonic())

    def write(self, **more: Any) -> None:
        """One line of JSON where the environment says; nothing where it does not."""
        path = os.environ.get("BENCHMARK_REPORT")
        if path:
            Path(path).write_text(json.dumps({"laps": self.laps, **more}) + "\n", encoding="utf-8")
