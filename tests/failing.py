"""Jobs that go wrong on a cluster: a model of the user's own that ends its process, waits, raises, or learns."""

from pathlib import Path

import pytest
from running import SILENT

MODEL = '''
import os, signal, time
from torch import nn

class Net(nn.Module):
    """Ends its process, waits, hangs, raises, or learns; as a file `cure` says, it does nothing but learn."""

    def __init__(self, does):
        super().__init__()
        self.linear, self.does = nn.Linear(784, 10), does
        with open("pids", "a") as file:
            file.write(f"{os.getpid()}\\n")

    def forward(self, inputs):
        if self.training and not os.path.exists("cure"):
            if self.does == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.does == "wait":
                time.sleep(0.05)
            if self.does == "hang":
                open("0/hangs", "w").close()
                time.sleep(60)
            if self.does == "raise":
                raise ValueError("not today")
        return self.linear(inputs.flatten(1))
'''


@pytest.fixture
def sick(empty: Path) -> Path:
    Path("sick_on_a_cluster.py").write_text(MODEL)
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/sick.yaml").write_text("_target_: sick_on_a_cluster.Net\ndoes: learn\n")
    return empty


def trains(job: int) -> bool:
    """Whether the job of a sweep has finished an epoch."""
    return any(path.stat().st_size for path in Path("runs/sweeps").glob(f"*/*/{job}/metrics.jsonl"))


JOBS = ("model=sick", "data.limit=100", *SILENT)
