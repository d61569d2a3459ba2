"""What a command does not import: that is how it starts quickly."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Trainer
from running import SILENT

SLOW = ("torchvision", "torch._dynamo", "torch.distributed.tensor", "sklearn", "matplotlib", "sympy")

# Ends at the first step, and prints which of the modules named have been imported by then.
_UNTIL_THE_FIRST_STEP = """
import os, sys
from trainer.engine.steps.eager import EagerStep
def stop(self, batches):
    print("imported:", *(name for name in sys.argv[1].split(",") if name in sys.modules), flush=True)
    os._exit(0)
EagerStep.__call__ = stop
from trainer.cli.main import main
main(sys.argv[2:])
"""


def imported(*args: str) -> set[str]:
    command = [sys.executable, "-c", _UNTIL_THE_FIRST_STEP, ",".join(SLOW), *args]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith("imported:"))
    return set(line.split()[1:])


@pytest.mark.parametrize("args", [("optim=adam",), ("optim=sgd", "scheduler=onecycle", "data.augment.crop=2")])
def test_a_repeated_training_reaches_its_first_step_without_slow_imports(
    trainer: Trainer, args: tuple[str, ...]
) -> None:
    """The data are in the cache, pictures come last, and nothing is compiled."""
    assert trainer("train", *args, "max_steps=20", *SILENT).code == 0  # fills the cache
    assert imported("train", *args) == set()


def test_a_whole_training_never_imports_torchs_compiler(empty: Path) -> None:
    code = (
        "import sys; from trainer.cli.main import main; main(sys.argv[1:]); assert 'torch._dynamo' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "train", "epochs=1", "data.limit=200"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr


def test_processes_side_by_side_need_not_wait_for_torch_in_the_one_that_starts_them() -> None:
    """Where no GPU can be."""
    code = """
import sys
from trainer.system import machine
from trainer.sweeps import parallel
machine._driver = lambda: False
assert machine.gpus() == []
assert parallel._slots(None)
assert "torch" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
