"""A search that is interrupted, or killed at any moment, goes on as if nobody had: no trial is lost, none is twice."""

import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
import resuming
import running
import torch
from conftest import Trainer
from optuna.trial import TrialState
from processes import Machine
from running import SILENT

from trainer.cli.main import main

WORDS = (*SILENT, "experiment=line", "epochs=3", "data.val_fraction=0.25", "evaluate.split=val", "data.batch_size=5")
SPACE = ("optim.lr=tag(log,interval(1e-4,1))", "optim.momentum=interval(0,0.9)")
ASKED = ("-m", "search=optuna", "search.trials=4", "search.startup=2", *SPACE, *WORDS)


def swept(name: str) -> Path:
    (directory,) = Path("runs/sweeps", name).iterdir()
    return directory


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "sweep.jsonl").read_text().splitlines()]


def trials(directory: Path) -> list[optuna.trial.FrozenTrial]:
    backend = optuna.storages.journal.JournalFileBackend(str(directory / "study.journal"))
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)).trials


def written(directory: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


def check(whole: Path, parts: Path, count: int = 4) -> None:
    """`parts` has come to the trials and the results, to the bit, of a search that nobody interrupted."""
    one, other = trials(whole), trials(parts)
    facts = [[(t.number, t.params, t.state, t.value, t.intermediate_values) for t in found] for found in (one, other)]
    assert facts[0] == facts[1]
    assert len(one) == count
    for number in range(count):
        assert resuming.differences(whole / str(number), parts / str(number)) == []
    over = [line["job"] for line in lines(parts) if line["status"] != "interrupted"]
    assert sorted(over) == list(range(count))
    assert {path.name for path in parts.iterdir() if path.name.isdecimal()} == set(map(str, range(count)))


def searched(directory: Path, asked: Sequence[str]) -> Path:
    """The search that was asked for, called `whole`, below `directory`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        assert main(["train", *asked, "name=whole"]) == 0
    torch.set_num_threads(threads)
    (found,) = (directory / "runs/sweeps/whole").iterdir()
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of four trials that nobody interrupted."""
    return searched(tmp_path_factory.mktemp("undisturbed"), ASKED)


@pytest.fixture
def whole(empty: Path, undisturbed: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(undisturbed, Path("runs/sweeps/whole/then")))


def test_an_interrupted_trial_goes_on_first(trainer: Trainer, whole: Path) -> None:
    taken: list[int] = []
    with resuming.interrupting(lambda state: bool(taken.append(1)) or len(taken) == 20):  # in the first or second trial
        ran = trainer("train", *ASKED, "name=parts")
    assert ran.code == 130
    assert "trainer resume" in ran.out
    parts = swept("parts")
    assert trials(parts)[-1].state == TrialState.RUNNING
    assert lines(parts)[-1]["status"] == "interrupted"
    before = written(parts)
    ran = trainer("resume", str(parts), "sweep.dry_run=true")
    assert ran.out.splitlines()[-2].endswith("go on")
    assert ran.out.splitlines()[-1].startswith(f"{4 - len(trials(parts))} new trials")
    assert written(parts) == before
    assert trainer("resume", str(parts)).code == 0
    check(whole, parts)


class Killed(BaseException):
    """Ends everything at once, like SIGKILL: nothing of ours is called any more."""


MOMENTS = {
    "before there is a trial": ("optuna.storages.JournalStorage.create_new_trial", 1),
    "before the last trial is kept": ("optuna.storages.JournalStorage.create_new_trial", 4),
    "before the first trial has a directory": ("trainer.sweeps.search.trials.claim", 1),
    "before the second trial has one": ("trainer.sweeps.search.trials.claim", 2),
    "before the study hears of a result": ("trainer.sweeps.search.trials.Search.done", 2),
    "before a result is noted": ("trainer.sweeps.engine.append", 2),
}


OFTEN = ("before the first trial has a directory", "before the study hears of a result")


@pytest.mark.parametrize(
    ("function", "count"),
    [pytest.param(*facts, id=name, marks=() if name in OFTEN else pytest.mark.slow) for name, facts in MOMENTS.items()],
)
def test_killed_between_two_steps_of_a_search(
    trainer: Trainer, whole: Path, monkeypatch: pytest.MonkeyPatch, function: str, count: int
) -> None:
    from _pytest.monkeypatch import derive_importpath

    name, owner = derive_importpath(function, raising=True)
    original, calls = getattr(owner, name), []

    def dying(*args: Any, **keys: Any) -> Any:
        calls.append(1)
        if len(calls) >= count:
            raise Killed
        return original(*args, **keys)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying)
        with pytest.raises(Killed):
            trainer("train", *ASKED, "name=parts", "plots=false")
    parts = swept("parts")
    ran = trainer("resume", str(parts))
    assert ran.code == 0, ran.err
    check(whole, parts)


def test_a_last_line_that_was_cut_off_is_mended(trainer: Trainer, whole: Path) -> None:
    with (whole / "study.journal").open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    ran = trainer("resume", str(whole), "search.trials=5")
    assert ran.code == 0, ran.err
    assert len(trials(whole)) == 5


def test_a_damaged_journal_is_said_in_one_line(trainer: Trainer, whole: Path) -> None:
    content = (whole / "study.journal").read_bytes()
    (whole / "study.journal").write_bytes(b"nonsense\n" + content)
    ran = trainer("resume", str(whole))
    assert ran.code == 2
    assert ran.err.splitlines()[0] == f"error: {whole / 'study.journal'} is damaged"


def test_more_trials_leave_those_of_before_as_they_are(trainer: Trainer, whole: Path) -> None:
    before = {path: at for path, at in written(whole).items() if Path(path).relative_to(whole).parts[0].isdecimal()}
    first = trials(whole)
    ran = trainer("resume", str(whole), "search.trials=6")
    assert ran.code == 0, ran.err
    assert "4 of 6 jobs are done and kept" in ran.out
    after = written(whole)
    assert {path: after[path] for path in before} == before
    assert trials(whole)[:4] == first
    assert sorted(line["job"] for line in lines(whole)) == list(range(6))
    assert "search.trials=6" in (whole / "overrides.yaml").read_text()
    assert len({str(trial.params) for trial in trials(whole)}) == 6
    ran = trainer("train", *ASKED, "search.trials=6", "name=six")
    check(swept("six"), whole, 6)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epochs=4", "trained with other settings"),
        ("objective=val/r2", "is to minimize something else"),
        ("optim.momentum=0.5", "that search is over optim.lr, optim.momentum"),
        ("optim.momentum=0.5,0.9", "the choices of a search cannot change"),
    ],
)
def test_a_search_is_not_gone_on_with_as_another(trainer: Trainer, whole: Path, word: str, message: str) -> None:
    before = written(whole)
    ran = trainer("resume", str(whole), word)
    assert ran.code == 2
    assert message in ran.err.splitlines()[0]
    assert "begin another search" in ran.err.splitlines()[1]
    assert written(whole) == before


def test_a_range_may_be_narrowed(trainer: Trainer, whole: Path) -> None:
    ran = trainer("resume", str(whole), "optim.lr=tag(log,interval(0.01,0.02))", "search.trials=6")
    assert ran.code == 0, ran.err
    assert all(0.01 <= trial.params["optim.lr"] <= 0.02 for trial in trials(whole)[4:])


# --- processes ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_with_several_at_once_and_resumed_every_trial_is_there_once(trainer: Trainer, machine: Machine) -> None:
    asked = ("-m", "search=optuna", "search.trials=7", "search.startup=3", *SPACE, *WORDS, "name=parts")
    ran = machine.start("train", *asked, "sweep=parallel", "sweep.jobs=2")
    ran.until(lambda: sum(len(path.read_text().splitlines()) for path in Path("runs").rglob("sweep.jsonl")) >= 3)
    ran.kill()
    assert ran.wait().code == -signal.SIGKILL
    parts = swept("parts")
    done = [t for t in trials(parts) if t.state.is_finished()]
    assert 3 <= len(done) < 7
    kept = {str(t.number): running.result(parts / str(t.number)) for t in done}
    again = trainer("resume", str(parts))
    assert again.code == 0, again.err
    assert "Warning" not in again.out + again.err
    found = trials(parts)
    assert [trial.number for trial in found] == list(range(7))
    assert all(trial.state.is_finished() for trial in found)
    assert {name: running.result(parts / name) for name in kept} == kept
    assert sorted(line["job"] for line in lines(parts)) == list(range(7))


@pytest.mark.parametrize("how", ["batched", pytest.param("auto", marks=pytest.mark.slow)])
def test_trials_that_are_taken_together_are_not_all_chosen_at_once(trainer: Trainer, how: str) -> None:
    asked = (*ASKED, "search.trials=7", "search.at_once=3", "data.batch_size=null", "name=parts", f"sweep={how}")
    ran = trainer("train", *asked)
    assert ran.code == 0, ran.err
    found = trials(swept("parts"))
    assert [trial.number for trial in found] == list(range(7))
    assert all(trial.state.is_finished() for trial in found)
    begun = [trial.datetime_start for trial in found]
    ended = [trial.datetime_complete for trial in found]
    assert all(begun[n + 3] > min(ended[n : n + 3]) for n in range(4))  # type: ignore[operator, type-var]
    assert begun[2] < min(ended)  # type: ignore[operator, type-var]
    assert sorted(line["job"] for line in lines(swept("parts"))) == list(range(7))
