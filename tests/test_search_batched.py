"""A search in batched form that is interrupted anywhere comes to the trials, values and ends of an undisturbed one."""

import shutil
import signal
from pathlib import Path

import pytest
import resuming
from conftest import Trainer
from processes import Machine
from running import SILENT
from test_search_resume import check, searched, swept, trials
from traps import Trap

SPACE = ("optim.lr=tag(log,interval(1e-3,1))", "optim.weight_decay=interval(0,0.1)")
RUN = (*SILENT, "model=linear", "data.limit=100", "data.batch_size=10", "epochs=4", "checkpoint.every_steps=5")
FEW = ("search.trials=7", "search.startup=2", "search.at_once=3", "objective=val/loss")  # rounds of 3, 3 and 1
ASKED = ("-m", "search=optuna", *FEW, *SPACE, *RUN, "sweep=batched")
COUNT = 7


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched(tmp_path_factory.mktemp("undisturbed"), ASKED)


@pytest.fixture
def whole(empty: Path, undisturbed: Path) -> Path:
    return Path(shutil.copytree(undisturbed, Path("runs/sweeps/whole/then")))


def test_some_are_pruned_and_some_are_not(whole: Path) -> None:
    """Else the tests below would show less."""
    assert {trial.state.name for trial in trials(whole)} == {"COMPLETE", "PRUNED"}


@pytest.mark.parametrize(
    "steps", [7, 50, pytest.param(25, marks=pytest.mark.slow), pytest.param(85, marks=pytest.mark.slow)]
)
def test_an_interrupted_search_comes_to_the_same(trainer: Trainer, whole: Path, steps: int) -> None:
    taken: list[int] = []
    with resuming.interrupting(lambda state: bool(taken.append(1)) or len(taken) == steps):
        assert trainer("train", *ASKED, "name=parts").code == 130
    assert trainer("resume", str(swept("parts"))).code == 0
    check(whole, swept("parts"), COUNT)


LAST = r"/last\.pt$"
RESULT = r"/result\.json$"
MOMENTS = {
    "as the first member has its first checkpoint": ("replace", LAST, 1),
    "as one of three is saved": ("replace", LAST, 7),
    "as two of three are saved": ("replace", LAST, 11),
    "as a member that is over says so": ("replace", RESULT, 2),
    "in the second round": ("replace", LAST, 45),
    "as one of the second round says so": ("replace", RESULT, 5),
}
QUICK = ("as two of three are saved", "as a member that is over says so")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("call", "path", "at"),
    [pytest.param(*facts, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, facts in MOMENTS.items()],
)
def test_a_search_that_is_killed_comes_to_the_same(
    trainer: Trainer, machine: Machine, whole: Path, call: str, path: str, at: int, after: bool
) -> None:
    ended = machine.run("train", *ASKED, "name=parts", traps=(Trap((call,), "kill", at, path, after=after),))
    assert ended.code == -signal.SIGKILL, ended.err
    ran = trainer("resume", str(swept("parts")))
    assert ran.code == 0, ran.err
    check(whole, swept("parts"), COUNT)
