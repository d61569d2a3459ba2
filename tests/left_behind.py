"""Run directories that are written, not trained: what a training or a sweep would leave behind."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CONFIG = """\
name: null
output: runs
from: {parent}
seed: {seed}
device: auto
precision: float32
epochs: {epochs}
clip_norm: null
objective: auto
early_stopping:
  patience: null
  min_delta: 0.0
model:
  name: {model}
  num_classes: ${{data.num_classes}}
  dropout: 0.5
data:
  name: digits
  batch_size: 64
  num_classes: 10
  cache: ${{oc.env:TRAINER_CACHE,'~/.cache/trainer'}}
optim:
  name: adam
  lr: {lr}
  betas:
  - 0.9
  - 0.999
  eps: 1.0e-08
  amsgrad: false
scheduler:
  name: constant
loss:
  name: auto
sweep:
  name: serial
search:
  name: none
"""
ENVIRONMENT = {"trainer": "0.1.0", "torch": "2.14.1", "device": "cpu, 1 thread, float32"}


def result(accuracy: float | None = 0.9, status: str = "completed", **more: Any) -> dict[str, Any]:
    """The content of a result.json."""
    return {
        "name": "run",
        "status": status,
        "metrics": {"test/accuracy": accuracy, "test/loss": 0.5, "train/loss": 0.4},
        "objective": {"name": "val/accuracy", "direction": "max", "value": accuracy},
        "best_epoch": 2,
        "seconds": 12.5,
        "epochs": 3,
        "steps": 30,
        "stopped": None,
        "environment": ENVIRONMENT,
        **more,
    }


def leave(
    directory: Path,
    told: dict[str, Any] | None = None,
    typed: Sequence[str] = (),
    losses: Sequence[float] = (1.0, 0.5, 0.4),
    origin: dict[str, Any] | None = None,
    **config: Any,
) -> Path:
    """A run directory; without `told` it was killed before it could say how it ended."""
    directory.mkdir(parents=True)
    values = {"seed": 0, "epochs": 3, "model": "lenet", "lr": 0.001, "parent": "null"} | config
    (directory / "config.yaml").write_text(CONFIG.format(**values))
    (directory / "overrides.yaml").write_text("".join(f"- '{word}'\n" for word in typed))
    rows = [
        {"epoch": e, "step": 10 * e, "lr": 0.001, "train/loss": loss, "val/accuracy": 1 - loss / 2, "seconds": 1.0}
        for e, loss in enumerate(losses, start=1)
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if told is not None:
        (directory / "result.json").write_text(json.dumps(told))
    if origin is not None:
        (directory / "origin.json").write_text(json.dumps(origin))
    return directory


def sweep(directory: Path, values: dict[tuple[float, int], float | None], statuses: Sequence[str] = ()) -> Path:
    """The directory of a sweep over learning rates and seeds, with the objective of each job."""
    directory.mkdir(parents=True)
    lines = []
    for number, ((lr, seed), value) in enumerate(values.items()):
        status = statuses[number] if statuses else "completed"
        leave(directory / str(number), result(value, status), [f"optim.lr={lr}", f"seed={seed}"], lr=lr, seed=seed)
        line = {
            "job": number,
            "overrides": {"optim.lr": str(lr), "seed": str(seed)},
            "status": status,
            "seconds": 2.0,
            "objective": "val/accuracy",
            "direction": "max",
            "value": value,
            "best_epoch": 2,
            "metrics": {"test/accuracy": value},
        }
        lines.append(json.dumps(line) + "\n")
    (directory / "sweep.jsonl").write_text("".join(lines))
    (directory / "plan.json").write_text(json.dumps({str(n): "digest" for n in range(len(values))}))
    (directory / "overrides.yaml").write_text("- '-m'\n- 'optim.lr=0.1,0.01'\n- 'seed=0,1'\n")
    return directory
