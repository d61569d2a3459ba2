"""`format=pt2`: an exported program as torch keeps it, which `torch.export.load` reads."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.export.columns import inputs_of
from trainer.export.columns_module import ByName
from trainer.export.program import exported, silent
from trainer.export.proof import Runner
from trainer.export.served import served
from trainer.predict.predictor import Predictor
from trainer.system.errors import ConfigError

NEEDED = ()
_MOST = 1000  # columns: torch compares the lengths of all, which takes 6 s for so many, and 30 s for 3,000
METADATA = "metadata.json"  # the name of what is said of the file, among its extra files


def content(predictor: Predictor, facts: Mapping[str, str]) -> bytes:
    """The bytes of a file that answers as `predictor` does, with `facts` as one of its extra files, in JSON.

    Raises:
        ConfigError: The model cannot be exported.
    """
    width = len(inputs_of(predictor.plan or ()))
    if width > _MOST:
        raise ConfigError(
            f"format=pt2 takes at most {_MOST:,} columns, and the table has {width:,}", "take format=onnx"
        )
    program = exported(served(predictor, ByName), predictor.config.called("model"))
    file = io.BytesIO()
    with silent():
        torch.export.save(program, file, extra_files={METADATA: json.dumps(facts)})
    return file.getvalue()


def runner(path: Path, predictor: Predictor) -> Runner:
    """The file at `path`, as torch loads it."""
    with silent(), open(path, "rb") as file:
        module = torch.export.load(io.BytesIO(file.read())).module()

    def run(samples: Any) -> dict[str, Any]:
        with torch.inference_mode():
            found = module(samples if isinstance(samples, dict) else torch.from_numpy(samples))
        return {name: values.numpy() for name, values in found.items()}

    return run
