"""What a command does not import: that is how it starts quickly."""

import subprocess
import sys

from conftest import Trainer
from processes import Machine
from running import SILENT

SLOW = ("torchvision", "torch._dynamo", "torch.distributed.tensor", "sklearn", "matplotlib", "sympy")

# Each command ends at its first step, and prints which of the modules named have been imported by then.
_UNTIL_THE_FIRST_STEP = """
import gc, os, sys
from trainer.system.torch_first import import_torch
import_torch()
from trainer.engine.steps.eager import EagerStep
def stop(self, batches):
    assert gc.isenabled() and gc.get_freeze_count() > 100_000  # torch's own are set aside
    print("imported:", *(name for name in sys.argv[1].split(",") if name in sys.modules), flush=True)
    os._exit(0)
EagerStep.__call__ = stop
from trainer.cli.main import main
for command in sys.argv[2:]:
    if os.fork() == 0:
        main(command.split())
        os._exit(1)
    assert os.wait()[1] == 0
"""


def imported(*commands: str) -> list[set[str]]:
    words = [sys.executable, "-c", _UNTIL_THE_FIRST_STEP, ",".join(SLOW), *commands]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=100, check=True)
    return [set(line.split()[1:]) for line in ran.stdout.splitlines() if line.startswith("imported:")]


def test_a_repeated_training_reaches_its_first_step_without_slow_imports(trainer: Trainer) -> None:
    """The data are in the cache, pictures come last, and nothing is compiled."""
    asked = ("train optim=adam", "train optim=sgd scheduler=onecycle data.augment.crop=2")
    for command in asked:
        assert trainer(*command.split(), "max_steps=20", *SILENT).code == 0  # fills the cache
    assert imported(*asked) == [set(), set()]


def test_a_whole_training_and_its_resume_never_import_torchs_compiler(machine: Machine) -> None:
    code = """
import sys
from pathlib import Path
slow = {"torch._dynamo", "sympy"}
assert not slow & sys.modules.keys()
from trainer.cli.main import main
assert main(sys.argv[1:]) == 0
assert not slow & sys.modules.keys()
(run,) = Path("runs").glob("*/*")
assert main(["resume", str(run), "epochs=2"]) == 0
assert not slow & sys.modules.keys()
"""
    ended = machine.run("train", "epochs=1", "data.limit=200", "optim=adam", code=code)
    assert ended.code == 0, ended.err


def test_processes_side_by_side_need_not_wait_for_torch_in_the_one_that_starts_them() -> None:
    """Where no GPU can be."""
    code = """
import sys
from trainer.system import machine
from trainer.config.sweep import Parallel
from trainer.show.report import Report
from trainer.sweeps import engine, parallel
from trainer.sweeps.monitor import Monitor
machine._driver = lambda: False
assert machine.gpus() == []
assert parallel.Parallel(Parallel(), Monitor(Report(quiet=True)), print).shares
assert "torch" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
