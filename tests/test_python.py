"""`import trainer`: a dozen names that stay as they are, and what they do."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from processes import Machine
from running import QUICK, SILENT, checkpoint, same, weights
from two_runs import only, with_runs

import trainer
from trainer.cli.main import main

ROOT = Path(__file__).parents[1]

NAMES = {
    "Answers": "(predicted: 'np.ndarray', probability: 'np.ndarray | None', probabilities: 'np.ndarray | None', "
    "classes: tuple[str, ...] | None) -> None",
    "Predictor": "(model: 'predictor.Predictor') -> None",
    "Run": "(path: pathlib.Path) -> None",
    "TrainerError": "(message: str, hint: str = '') -> None",
    "TrainingFailedError": "(message: str, hint: str = '') -> None",
    "UserError": "(message: str, hint: str = '') -> None",
    "__version__": None,
    "evaluate": "(run: 'str | os.PathLike[str]', *overrides: str, **keys: Any) -> dict[str, float]",
    "load": "(run: 'str | os.PathLike[str]', *overrides: str, **keys: Any) -> trainer.face.predicting.Predictor",
    "resume": "(run: 'str | os.PathLike[str]', *overrides: str, **keys: Any) -> trainer.face.run.Run",
    "runs": "(path: 'str | os.PathLike[str]' = 'runs') -> list[trainer.face.run.Run]",
    "train": "(*overrides: str, **keys: Any) -> trainer.face.run.Run",
}
MEMBERS = {
    "Run": {"path", "status", "metrics", "history", "config", "report", "predictor"},
    "Predictor": {"classes", "columns"},
    "Answers": {"predicted", "probability", "probabilities", "classes"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of digits and one of a table."""
    return with_runs(tmp_path_factory.mktemp("python"))


@pytest.fixture
def digits(place: Path) -> Path:
    return only(place / "runs" / "digits")


@pytest.fixture
def table(place: Path) -> Path:
    return only(place / "runs" / "table")


# --- the names ----------------------------------------------------------------------------------------


def test_the_dozen_names_are_those_and_their_signatures_stay() -> None:
    assert sorted(NAMES) == sorted(trainer.__all__)
    for name, signature in NAMES.items():
        if signature is not None:
            assert str(inspect.signature(getattr(trainer, name))) == signature, name
    for name, members in MEMBERS.items():
        cls = getattr(trainer, name)
        found = {member for member in (*dir(cls), *inspect.get_annotations(cls)) if member[0] != "_"}
        assert found == members, name


def test_every_name_says_what_it_is_for_and_the_page_has_it() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    for name in trainer.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(trainer, name)), name
        assert f"`{name}" in page, name


def test_importing_it_imports_nothing_that_takes_long() -> None:
    heavy = ("torch", "numpy", "hydra", "omegaconf", "rich", "PIL", "polars", "trainer.cli", "trainer.run")
    code = f"import sys, trainer; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.slow
def test_the_code_on_the_page_runs(empty: Path) -> None:
    """One block after the other, as in a notebook."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 7
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)  # what the page says is what is tested
    assert len(trainer.runs()) == 4
    assert names["answers"].probabilities.shape == (1, 10)


# --- train, resume, evaluate --------------------------------------------------------------------------


def test_training_from_python_is_the_training_of_the_command(empty: Path) -> None:
    words = (*SILENT, "model=mlp", "epochs=2", "data.limit=200", "optim=sgd", "seed=3")
    assert main(["train", *words, "optim.lr=0.1", "name=typed", "model.hidden=[8,8]"]) == 0
    run = trainer.train(*words, **{"optim.lr": np.float64(0.1), "model.hidden": (8, 8)}, name="called")
    typed = only(Path("runs/typed"))
    assert same(weights(run.path), weights(typed))
    assert checkpoint(run.path)["step"] == checkpoint(typed)["step"]
    assert run.path.parent == Path("runs/called")
    assert run.status == "completed"
    assert run.metrics == json.loads((typed / "result.json").read_text())["metrics"]


def test_random_generators_are_left_as_they_stood(empty: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3), np.random.default_rng(0)
    torch.manual_seed(5)
    np.random.seed(5)
    number = np.random.random()
    np.random.seed(5)
    trainer.train(*QUICK)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.random.random() == number


def test_values_of_python_mean_what_they_are(empty: Path) -> None:
    """Whatever letters are in a text."""
    name = "it's [a], {b}: c=1, \\ #2"
    run = trainer.train(*QUICK, name="x/y [z], it's", max_steps=1, clip_norm=None, deterministic=False)
    assert (run.config["name"], run.config["clip_norm"], run.config["deterministic"]) == ("x/y [z], it's", None, False)
    with pytest.raises(trainer.UserError, match=re.escape(name)):
        trainer.train(*QUICK, **{"data": "table", "data.path": name, "data.target": "x"})
    with pytest.raises(trainer.UserError, match="no key takes the type object"):
        trainer.train(epochs=object())
    with pytest.raises(trainer.UserError, match="not an override"):
        trainer.train({"epochs": 3})  # type: ignore[arg-type]
    with pytest.raises(trainer.UserError, match="is a flag"):
        trainer.train("-m", "seed=1,2")


def test_history_has_columns_of_one_length(empty: Path) -> None:
    run = trainer.train(*SILENT, "model=linear", "epochs=2", "data.limit=200", "evaluate.every_steps=2")
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    history = run.history
    assert {len(column) for column in history.values()} == {len(rows)}
    for number, row in enumerate(rows):
        assert {name: column[number] for name, column in history.items() if column[number] is not None} == row
    assert any(None in column for column in history.values())
    frame = pandas.DataFrame(history)
    assert list(frame["epoch"].dropna()) == [row["epoch"] for row in rows]


def test_a_run_that_has_not_begun_says_so(empty: Path) -> None:
    (empty / "run").mkdir()
    run = trainer.Run(empty / "run")
    assert (run.status, run.metrics) == ("unfinished", {})
    with pytest.raises(trainer.UserError):
        _ = run.config


def test_a_mistake_is_raised_with_what_to_do_and_leaves_nothing(empty: Path) -> None:
    with pytest.raises(trainer.UserError) as caught:
        trainer.train("model=lenett")
    assert str(caught.value).splitlines() == ["model=lenett: no such config", "  did you mean 'lenet'?"]
    assert len(caught.traceback) == 2  # the call, and the one place that raises: no way through the inside
    assert not Path("runs").exists()
    with pytest.raises(trainer.UserError, match="no such file"):
        trainer.load("nowhere")
    with pytest.raises(trainer.UserError, match="no such file or directory"):
        trainer.runs("nowhere")


def test_a_training_that_fails_raises_and_can_be_read(empty: Path) -> None:
    with pytest.raises(trainer.TrainingFailedError, match=r"the loss is inf(.|\n)*trainer resume"):
        trainer.train(*SILENT, "model=linear", "data=line", "epochs=3", "optim=sgd", "optim.lr=1e38")
    (run,) = trainer.runs()
    assert run.status == "failed"


def test_runs_are_found_however_deep_and_through_no_link(place: Path, digits: Path, table: Path, empty: Path) -> None:
    found = [run.path for run in trainer.runs(place / "runs")]
    assert set(found) == {digits, table}
    assert [path.name[:19] for path in found] == sorted((path.name[:19] for path in found), reverse=True)
    (empty / "runs").mkdir()
    (empty / "runs" / "link").symlink_to(place / "runs")
    assert trainer.runs() == []
    assert trainer.runs(trainer.Run(digits)) == [trainer.Run(digits)]


def test_a_run_may_stand_where_a_path_may(digits: Path) -> None:
    run = trainer.Run(digits)
    assert "config.yaml" in os.listdir(run)
    assert trainer.evaluate(run) == trainer.evaluate(str(digits))


def test_a_sweep_is_evaluated_and_not_resumed(empty: Path) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0
    sweep = only(Path("runs/sweeps/sweep"))
    assert 0 <= trainer.evaluate(sweep)["test/accuracy"] <= 1
    assert len(trainer.runs("runs/sweeps")) == 2
    with pytest.raises(trainer.UserError, match="the command line resumes it"):
        trainer.resume(sweep)


def test_trainings_in_threads_take_turns_and_are_those_of_the_command(place: Path, digits: Path, empty: Path) -> None:
    found: list[trainer.Run] = []
    threads = [threading.Thread(target=lambda: found.append(trainer.train(*QUICK, name="threads"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(found) == 2
    assert all(same(weights(run.path), weights(digits)) for run in found)


def test_a_program_that_uses_hydra_itself_keeps_its_config(empty: Path) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    (empty / "own").mkdir()
    (empty / "own" / "mine.yaml").write_text("value: 3\n")
    with initialize_config_dir(str(empty / "own"), version_base="1.3"):
        whole = compose("mine", return_hydra_config=True)
        HydraConfig.instance().set_config(whole)
        before = HydraConfig.get()
        trainer.train(*QUICK)
        assert HydraConfig.get() is before
        assert compose("mine").value == 3
    HydraConfig.instance().cfg = None
    assert not GlobalHydra.instance().is_initialized()
    trainer.train(*QUICK)
    assert not GlobalHydra.instance().is_initialized()
    assert HydraConfig.instance().cfg is None


INTERRUPTED = """
import signal, sys, trainer
word = sys.argv[1]
try:
    trainer.train(*sys.argv[2:])
except KeyboardInterrupt as error:
    print("raised:", type(error).__name__, error, flush=True)
run, = trainer.runs()
print("status:", run.status, len(run.history["epoch"]), flush=True)
run = trainer.resume(run, epochs=len(run.history["epoch"]) + 1)
print("then:", run.status, flush=True)
"""
LONG = (*SILENT, "model=linear", "epochs=100000", "data.limit=200")


def test_an_interrupted_training_is_checkpointed_raises_and_is_resumed(machine: Machine) -> None:
    started = machine.start("word", *LONG, code=INTERRUPTED)
    started.until_said(r" +\d+ +\d+ ")
    started.send(signal.SIGINT)
    ended = started.wait()
    assert ended.code == 0, ended.err
    assert "raised: KeyboardInterrupt interrupted in epoch" in ended.out
    assert "status: interrupted" in ended.out
    assert "then: completed" in ended.out


def test_sigterm_ends_the_process_after_the_checkpoint(machine: Machine) -> None:
    started = machine.start("word", *LONG, code=INTERRUPTED)
    started.until_said(r" +\d+ +\d+ ")
    started.send(signal.SIGTERM)
    ended = started.wait()
    assert ended.code == -signal.SIGTERM
    assert "raised" not in ended.out
    (run,) = Path("runs/linear_digits").iterdir()
    assert trainer.Run(run).status == "interrupted"
    assert trainer.resume(run, epochs=checkpoint(run)["epoch"] + 1).status == "completed"
