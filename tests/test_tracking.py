"""`tracking=mlflow`: what MLflow is told, that nothing waits for it, and that a training survives the lack of it."""

import json
import re
import socket
import sys
import threading
import types
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer
from running import QUICK, SILENT, result, rows, train

from trainer import load
from trainer.config import registry
from trainer.config import tracking as config
from trainer.config.keys import key
from trainer.engine.state import Row, State
from trainer.run.hooks import tracking
from trainer.run.hooks.tracking import Tracking

if find_spec("mlflow") is None or find_spec("sqlalchemy") is None:
    pytest.skip("MLflow is not installed", allow_module_level=True)
# MLflow's own code is not free of warnings.
pytestmark = pytest.mark.filterwarnings("ignore")

FAST = (*SILENT, "model=linear", "data.limit=100", "tracking=mlflow")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of MLflow: to make one takes two seconds."""
    return f"tracking.uri=sqlite:///{tmp_path_factory.mktemp('mlflow')}/t.db"


@pytest.fixture
def client(empty: Path, uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri.partition("=")[2])


def told(client: Any, experiment: str) -> list[Any]:
    """All runs that MLflow has in an experiment."""
    found: list[Any] = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return found


def histories(client: Any, run: Any) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each metric."""
    found = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return {name: sorted((metric.step, metric.value) for metric in metrics) for name, metrics in found.items()}


def expected(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The same by the files in the run directory."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows(run):
        for name, value in row.items():
            if name != "step":
                found.setdefault(name, []).append((int(row["step"]), value))
    ended = result(run)
    last = {name: value for name, value in ended["metrics"].items() if name.startswith("test/")}
    last["seconds in all"] = ended["seconds"]
    return found | {name: [(ended["steps"], value)] for name, value in last.items()}


@pytest.mark.slow
def test_mlflow_has_parameters_metrics_files_and_the_end_of_a_run(trainer: Trainer, client: Any, uri: str) -> None:
    assert trainer("train", *FAST, uri, "plots=true", "epochs=3", "optim.lr=0.05", "seed=7").code == 0
    (run,) = Path("runs/linear_digits").iterdir()
    (found,) = told(client, "linear_digits")  # the run's name, where no experiment is given
    assert histories(client, found) == expected(run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == run.name
    assert {"optim.lr": "0.05", "seed": "7", "epochs": "3", "model": "linear"}.items() <= found.data.params.items()
    assert found.data.tags["trainer.directory"] == str(run.absolute())
    stored = Path(found.info.artifact_uri.removeprefix("file://"))
    kept = {path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file()}
    assert {"config.yaml", "result.json", "metrics.jsonl", "train.log", "model/best.pt"} <= kept
    assert {f"plots/{path.name}" for path in (run / "plots").iterdir()} <= kept
    assert not any("tfevents" in name or "last.pt" in name for name in kept)
    for name in kept - {"train.log", "model/MLmodel"}:  # to the log a line or two are added then
        place = run / name.replace("model/", "checkpoints/")
        assert (stored / name).read_bytes() == place.read_bytes(), name


@pytest.mark.slow
def test_the_model_in_mlflow_answers_as_that_of_the_run(
    trainer: Trainer, client: Any, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pyfunc
    import numpy as np

    run = train(trainer, *FAST, uri, "tracking.experiment=model", "epochs=2")
    (found,) = told(client, "model")
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.partition("=")[2])
    answers = mlflow.pyfunc.load_model(f"runs:/{found.info.run_id}/model").predict(images)
    expected = load(run, device="cpu")(images)
    assert list(answers["predicted"]) == list(expected.predicted)
    assert np.array_equal(answers["probability"], expected.probability)


@pytest.mark.slow
def test_a_resumed_training_goes_on_in_its_run_of_mlflow(trainer: Trainer, client: Any, uri: str) -> None:
    run = train(trainer, *FAST, uri, "tracking.experiment=resumed", "epochs=2")
    (before,) = told(client, "resumed")
    assert trainer("resume", str(run), "epochs=4", uri).code == 0
    (after,) = told(client, "resumed")
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "FINISHED"
    wanted, found = expected(run), histories(client, after)
    for name in ("epoch", "lr", "train/loss", "val/loss"):
        assert found[name] == wanted[name], name


@pytest.mark.slow
def test_what_mlflow_has_already_is_not_told_twice(trainer: Trainer, client: Any, uri: str) -> None:
    """As after a run was killed: its log is cut back to its checkpoint, and MLflow has had more of it."""
    run = train(trainer, *FAST, uri, "tracking.experiment=killed", "epochs=2")
    kept = (run / "checkpoints" / "last.pt").read_bytes()
    assert trainer("resume", str(run), "epochs=4", uri).code == 0
    (run / "checkpoints" / "last.pt").write_bytes(kept)
    assert trainer("resume", str(run), "epochs=5", uri).code == 0
    (found,) = told(client, "killed")
    wanted = expected(run)
    for name in ("epoch", "train/loss", "val/loss"):
        assert histories(client, found)[name] == wanted[name], name


@pytest.mark.slow
def test_a_training_that_fails_is_one_that_failed(trainer: Trainer, client: Any, uri: str) -> None:
    ran = trainer(
        "train", *FAST, uri, "tracking.experiment=failed", "loss=mse", "data=diabetes", "optim=sgd", "optim.lr=1e30"
    )
    assert ran.code == 1
    (found,) = told(client, "failed")
    assert found.info.status == "FAILED"


@pytest.mark.slow
def test_the_jobs_of_a_sweep_say_which_it_is(trainer: Trainer, client: Any, uri: str) -> None:
    words = ("tracking.experiment=swept", "epochs=1", "sweep=batched", "optim.lr=0.1,0.01")
    assert trainer("train", "-m", *FAST, uri, *words).code == 0
    found = told(client, "swept")
    (sweep,) = Path("runs/sweeps/sweep").iterdir()
    assert {run.data.tags["trainer.sweep"] for run in found} == {str(sweep.absolute())}
    assert {run.info.run_name for run in found} == {f"{sweep.name}/0", f"{sweep.name}/1"}
    assert {run.data.params["optim.lr"] for run in found} == {"0.1", "0.01"}


@pytest.mark.slow
def test_a_server_that_is_down_loses_nothing_but_what_it_would_have(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        ran = trainer("train", *QUICK, "tracking=mlflow", f"tracking.uri=http://127.0.0.1:{port}")
    assert ran.code == 0
    assert (ran.out + ran.err).count(
        "tracking=mlflow does not have all of this run: API request to http://127.0.0.1:"
    ) == 1
    (run,) = Path("runs/linear_digits").iterdir()
    assert result(run)["status"] == "completed"


@pytest.mark.slow
def test_a_run_of_mlflow_that_is_not_there_or_that_a_file_makes_up_is_not_taken(
    trainer: Trainer, client: Any, uri: str
) -> None:
    run = train(trainer, *FAST, uri, "tracking.experiment=made up", "epochs=1")
    (before,) = told(client, "made up")
    other = client.create_run("0", run_name="not of trainer")
    ids = (3, "../../x", "a" * 32, other.info.run_id)
    for number, written in enumerate(("no JSON", *(json.dumps({"run_id": found}) for found in ids)), start=2):
        (run / "mlflow.json").write_text(written)
        ran = trainer("resume", str(run), f"epochs={number}", uri)
        assert ran.code == 0, ran.err
        assert "warning" not in ran.out + ran.err
        assert len(told(client, "made up")) == number
    assert client.get_run(other.info.run_id).data.metrics == {}
    assert client.get_run(before.info.run_id).data.metrics["epoch"] == 1


def test_a_runs_file_does_not_say_where_to_send_anything(trainer: Trainer) -> None:
    run = train(trainer, *QUICK)
    written = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(
        written.replace("tracking:\n  name: none\n", "tracking:\n  name: mlflow\n  uri: http://x\n  experiment: null\n")
    )
    ran = trainer("resume", str(run), "epochs=2")
    assert ran.code == 2
    assert "tracking.uri=..." in ran.err
    assert len(ran.err.splitlines()) == 2


def test_a_program_that_is_not_installed_is_told_before_anything_begins(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ran = trainer("train", *QUICK, "tracking=mlflow")
    assert ran.code == 2
    assert "pip install 'trainer-cli[mlflow]'" in ran.err
    assert not Path("runs").exists()


def test_no_result_depends_on_who_is_told() -> None:
    from test_configs import compose

    assert compose("train").digest() == compose("train", "tracking=mlflow", "tracking.experiment=mine").digest()


class Other:
    """A program that takes as long as it is let, and fails the first `failures` times that it is told anything."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.free, self.had = failures, threading.Event(), []

    def _told(self, *what: Any) -> None:
        self.free.wait(60)
        if self.failures:
            self.failures -= 1
            raise OSError("nobody is there")
        self.had += what

    def begin(self) -> None:
        self._told("begin")

    def log(self, rows: list[Row]) -> None:
        self._told(*(row["epoch"] for row in rows))

    def end(self, result: dict[str, Any]) -> None:
        self._told(result["status"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds is tried again at once."""
    monkeypatch.setattr(tracking, "PAUSE", 0.001)
    monkeypatch.setattr(tracking, "_late", set())


@pytest.mark.usefixtures("quick")
def test_a_training_never_waits_for_a_program_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "BRIEFLY", 0.01)
    said: list[str] = []
    for status in ("interrupted", "completed"):  # another run has waited in vain before the second
        slow = Other()
        hook = Tracking("slow", slow, said.append)
        hook.on_start(State())
        for number in range(1000):
            hook.on_epoch(State(), {"epoch": float(number)})
        hook.finish({"status": status})  # would wait for a minute if it waited
        assert slow.had == []
        slow.free.set()
        hook._thread.join(60)
        assert slow.had == ["begin", *range(1000), status]
    assert said == ["tracking=slow takes too long, and does not have all of this run"] * 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("failures", range(5))
def test_all_rows_come_in_order_and_before_the_end_however_often_it_failed(failures: int) -> None:
    said: list[str] = []
    other = Other(failures)
    hook = Tracking("other", other, said.append)
    hook.on_start(State())
    other.free.set()
    for number in range(200):
        hook.on_epoch(State(), {"epoch": float(number)})
    while other.failures or len(other.had) < 201:  # the end is tried once
        hook._thread.join(0.001)
    hook.finish({"status": "completed"})
    assert other.had == ["begin", *range(200), "completed"]
    assert len(said) <= 1


@pytest.mark.usefixtures("quick")
def test_a_program_that_is_not_there_is_spoken_of_once_on_the_way_and_at_the_end() -> None:
    said: list[str] = []
    other = Other(failures=10**9)
    other.free.set()
    hook = Tracking("gone", other, said.append)
    hook.on_start(State())
    while hook._failure is None:
        hook._thread.join(0.001)
    for _ in range(3):
        hook.on_epoch(State(), {"epoch": 1.0})
    hook.finish({"status": "completed"})
    assert said == [
        "tracking=gone: nobody is there; it is tried again, and the training goes on",
        "tracking=gone does not have all of this run: nobody is there",
    ]


def test_the_example_of_another_program_is_told(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code on the page, in place of a file in the package."""
    page = (Path(__file__).parents[1] / "docs" / "tracking.md").read_text()
    keys, hook = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    declared = {"dataclass": dataclass, "key": key, "Program": config.Program, "__name__": "trainer.config.tracking"}
    exec(keys, declared)
    monkeypatch.setattr(config, "Socket", declared["Socket"], raising=False)
    module = types.ModuleType("trainer.run.hooks.socket")
    exec(hook, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    registry._sections.cache_clear()
    registry.declared.cache_clear()
    (Path("configs") / "tracking").mkdir(parents=True)
    (Path("configs") / "tracking" / "socket.yaml").write_text(
        re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        ran = trainer("train", *QUICK, "tracking=socket", f"tracking.port={server.getsockname()[1]}")
        assert ran.code == 0, ran.err
        with server.accept()[0] as connection, connection.makefile() as lines:
            first, row, last = map(json.loads, lines)
    registry._sections.cache_clear()
    registry.declared.cache_clear()
    (run,) = Path("runs/linear_digits").iterdir()
    assert first["run"] == "linear_digits"
    assert first["parameters"]["seed"] == 0
    assert [row] == rows(run)
    assert last == {"status": "completed"}
