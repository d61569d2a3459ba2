"""Files of the user's that are called like modules of Python's own library: no process takes one for the other."""

import sys
from pathlib import Path

import pytest
from processes import Machine
from running import SILENT
from test_sweep_resume import lines, swept

from trainer.config import custom

NAMES = ("signal", "types", "socket", "pickle", "random", "json", "timeit", "copy", "string")
OWN = """
import torch, sibling

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(784, 10)

    def forward(self, inputs):
        return super().forward(inputs.flatten(1))
"""
QUICK = (*SILENT, "model=own", "data.limit=100", "epochs=1")
SWEPT = ("train", "-m", *QUICK, "seed=0,1")


@pytest.fixture
def modules(empty: Path) -> Path:
    """A model of the user's own among files that say so, and fail, if anything imports them."""
    for name in NAMES:
        Path(f"{name}.py").write_text(f"open('imported-{name}', 'w').close()\nraise RuntimeError('{name}')\n")
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/own.yaml").write_text("_target_: own.Net\n")
    Path("own.py").write_text(OWN)
    Path("sibling.py").touch()
    return empty


def imported() -> list[str]:
    return [path.name for path in Path().glob("imported-*")]


HOW = [
    ("sweep=serial",),
    ("sweep=batched",),
    ("sweep=parallel", "sweep.jobs=2"),
    pytest.param(("sweep=slurm", "sweep.cluster=local"), marks=pytest.mark.slow),
    pytest.param(("sweep=ray",), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_a_sweep_among_such_files_runs_none_of_them(machine: Machine, modules: Path, how: tuple[str, ...]) -> None:
    if how == ("sweep=ray",):
        pytest.importorskip("ray")
    ended = machine.run(*SWEPT, *how)
    assert ended.code == 0, ended.err
    assert [line["status"] for line in lines(swept())] == ["completed"] * 2
    assert imported() == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_among_such_files_runs_none_of_them(machine: Machine, modules: Path, workers: int) -> None:
    ended = machine.run("train", *QUICK, "plots=true", "data.placement=stream", f"data.workers={workers}")
    assert ended.code == 0, ended.err
    assert imported() == []


@pytest.mark.slow
def test_a_process_that_is_started_anew_runs_none_that_python_has_not_run_before(
    machine: Machine, modules: Path
) -> None:
    """`python -m` itself imports some before it comes to trainer."""
    for name in ("types", "copy", "json", "random", "string"):
        Path(f"{name}.py").unlink()
    ended = machine.run(*SWEPT, "sweep=parallel", "sweep.jobs=2", fresh=True)
    assert ended.code == 0, ended.err
    assert imported() == []


def test_a_module_of_the_users_comes_before_an_installed_one_and_then_after_all(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as what a config names is imported."""
    other = empty / "installed"
    for folder in (other, empty):
        folder.mkdir(exist_ok=True)
        (folder / "twice.py").write_text(f"import sys\nplace = {str(folder)!r}\ndef path():\n    return [*sys.path]\n")
    monkeypatch.setattr(sys, "path", [str(other), *sys.path])
    monkeypatch.delitem(sys.modules, "twice", raising=False)
    found = custom._imported("model", "twice.path")
    assert sys.modules["twice"].place == str(empty)
    assert found()[-1] == str(empty)
    assert found()[0] == str(other)
    monkeypatch.delitem(sys.modules, "twice")
