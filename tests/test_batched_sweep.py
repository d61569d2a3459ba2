"""Whole commands of batched sweeps: what is not batched, what fails, what is stopped and gone on with."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import resuming
import torch
from batching import both, contents, differences, directory, ended, process, runs_of, same, statuses, swept
from conftest import Ran, Trainer
from running import SILENT, checkpoint, evaluate, reported, result, weights
from test_sweep_resume import lines
from torch import Tensor

from trainer import checkpoint as files
from trainer.batched.team import Team
from trainer.errors import StorageError
from trainer.loop import State
from trainer.schema import Auto as AutoSettings
from trainer.sweeps import auto
from trainer.sweeps import batched as module
from trainer.sweeps.serial import Serial
from trainer.training import Training

OWN = '''
import random

import torch
import torch.nn.functional as F
from torch import nn


class Small(nn.Module):
    """784 -> 8 -> 10."""

    def __init__(self, dropout=0.0, kind=""):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(784, 8), nn.Dropout(dropout), nn.Linear(8, 10)
        self.prepare(dropout)

    def prepare(self, dropout):
        pass

    def between(self, x):
        return x.relu()

    def forward(self, x):
        return self.last(self.drop(self.between(self.first(x.flatten(1)))))


class Normed(Small):
    def prepare(self, dropout):
        self.norm = nn.BatchNorm1d(8)

    def between(self, x):
        return self.norm(x)


class Branching(Small):
    def between(self, x):
        return x.relu() if x.sum() > 0 else x


class Evaluated(Small):
    """Branches in evaluation alone."""

    def between(self, x):
        return x.relu() if self.training or x.sum() > 0 else x


class Functional(Small):
    def prepare(self, dropout):
        self.rate, self.drop = dropout, nn.Identity()

    def between(self, x):
        return F.dropout(x, self.rate, self.training)


class Frozen(Small):
    def prepare(self, dropout):
        self.first.requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(()))
        self.unused = nn.Parameter(torch.ones(3))

    def between(self, x):
        return x.tanh() * self.scale


class Counting(Small):
    """Its buffers change as it is trained."""

    def prepare(self, dropout):
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("calls", torch.tensor(0))

    def between(self, x):
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
            self.calls += 1
        return x - self.mean


class Replacing(Counting):
    def between(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean


class Drawn(Small):
    """Computes with a number that it draws, and which no config tells."""

    def prepare(self, dropout):
        self.factor = 1.0 + int(torch.rand(()) * 1000)

    def between(self, x):
        return x.relu() / self.factor


class Masked(Small):
    def prepare(self, dropout):
        self.mask = (torch.rand(8) > 0.5).double()

    def between(self, x):
        return x * self.mask


class Signed(torch.optim.Optimizer):
    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad.sign()


def two_rates(parameters, lr):
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": lr / 2}, {"params": others}], lr=lr)


class Columns:
    """Three values to predict."""

    def __init__(self):
        draw = torch.Generator().manual_seed(0)
        inputs = torch.randn(60, 4, generator=draw)
        targets = inputs @ torch.randn(4, 3, generator=draw)
        self.train, self.test = (inputs[:40], targets[:40]), (inputs[40:], targets[40:])
'''
NETS = ("small", "normed", "branching", "evaluated", "functional", "frozen", "counting", "replacing", "drawn", "masked")
QUICK = (*SILENT, "precision=float64", "data.limit=100", "data.batch_size=10", "epochs=1")  # nine steps
LINEAR = ("model=linear", *QUICK)
ADAM = ("model=small", *QUICK, "epochs=3", "optim=adam", "seed=0,1,2,3", "model.dropout=0.3")


@pytest.fixture(autouse=True)
def own(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user's parts in the current directory."""
    Path("own_parts.py").write_text(OWN)
    for group in ("model", "optim", "data"):
        Path("configs", group).mkdir(parents=True)
    for name in NETS:
        Path(f"configs/model/{name}.yaml").write_text(f"_target_: own_parts.{name.title()}\ndropout: 0.0\nkind: ''\n")
    Path("configs/optim/signed.yaml").write_text("_target_: own_parts.Signed\nlr: 0.01\n")
    Path("configs/optim/two_rates.yaml").write_text("_target_: own_parts.two_rates\nlr: 0.01\n")
    Path("configs/data/columns.yaml").write_text("_target_: own_parts.Columns\nbatch_size: 8\n")
    monkeypatch.syspath_prepend(str(empty))
    yield
    import sys

    sys.modules.pop("own_parts", None)


def reasons(out: str) -> list[str]:
    return [line.split("runs by itself: ")[1] for line in out.splitlines() if "runs by itself" in line]


# --- what is batched ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("model=linear", "seed=0"), "no other job is like it"),
        (("model=linear", "data.batch_size=10,20"), "no other job is like it"),
        (("model=linear", "optim=signed", "optim.lr=0.1,0.2"), "its optimizer is none of torch's"),
        (("model=linear", "optim=two_rates", "optim.lr=0.1,0.2"), "its optimizer has groups of parameters"),
        (("model=linear", "on_nan=skip", "seed=0,1"), "on_nan=skip looks at each step by itself"),
        (("model=linear", "compile=inductor", "seed=0,1"), "compile=inductor compiles one model"),
        (("model=linear", "data.placement=stream", "data.workers=0", "seed=0,1"), "its samples are streamed"),
        (("model=normed", "seed=0,1"), "batch normalisation"),
        (("model=branching", "seed=0,1"), "vmap"),
        (("model=evaluated", "seed=0,1"), "vmap"),
        (("model=replacing", "seed=0,1"), "it puts new tensors in the place of its buffers"),
        (("model=masked", "seed=0,1"), "it has tensors that are neither parameters nor buffers"),
        (("model=drawn", "seed=0,1"), "its model is unlike the others'"),
        (("model=functional", "model.dropout=0.1,0.9"), "its model is unlike the others'"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_jobs_that_cannot_be_batched_run_by_themselves_and_say_why(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setattr("trainer.steps.Compiled", lambda model, say: model)  # compiling is slow
    jobs = 1 if "seed=0" in args else 2
    ran = trainer("train", "-m", *QUICK, *args, "sweep=batched", "name=batched")
    assert ran.code == 0, ran.err
    assert "as one program" not in ran.out
    assert len(reasons(ran.out)) == jobs
    assert all(reason in found for found in reasons(ran.out))
    found = runs_of(directory("batched"))
    assert statuses(found) == ["completed"] * jobs
    if jobs == 2 and "compile=inductor" not in args:
        alone = swept(trainer, "serial", *QUICK, *args)
        for one, other in zip(found, alone, strict=True):
            assert resuming.differences(one, other) == []


@pytest.mark.parametrize(
    "args",
    [
        ("model=frozen", "optim.lr=0.01,0.1", "clip_norm=null,0.1"),
        ("model=frozen", "optim=adam", "seed=0,1"),
        ("model=counting", "seed=0,1"),
        ("model=small", "model.dropout=0,0.5", "seed=0,1", "epochs=2"),
        ("model=linear", "data.limit=112", "seed=0,1"),  # 101 to train: the last batch has one sample
        ("model=linear", "data.batch_size=1000", "seed=0,1"),
        ("model=linear", "max_steps=5", "epochs=2", "seed=0,1"),
        ("model=linear", "label_smoothing=0.2", "clip_norm=0.1", "seed=0,1"),
        ("model=linear", "deterministic=true", "seed=0,1"),
        ("model=linear", "data=columns", "seed=0,1", "loss=mse,half_sse"),
    ],
    ids=lambda args: "-".join(args[:2]),
)
def test_batched_is_as_alone(trainer: Trainer, args: tuple[str, ...]) -> None:
    quick = [key for key in QUICK if "data=columns" not in args or not key.startswith("data.")]
    both(trainer, *quick, "optim=sgd", *args)


def test_bfloat16_is_close(trainer: Trainer) -> None:
    quick = [key for key in QUICK if not key.startswith("precision")]
    jobs = swept(trainer, "batched", *quick, "model=linear", "precision=bfloat16", "optim=sgd", "optim.lr=0.01,0.1")
    alone = swept(trainer, "serial", *quick, "model=linear", "precision=bfloat16", "optim=sgd", "optim.lr=0.01,0.1")
    for one, other in zip(jobs, alone, strict=True):
        for values, expected in zip(weights(one).values(), weights(other).values(), strict=True):
            torch.testing.assert_close(values, expected, rtol=0, atol=0.01)


def test_functional_dropout_is_batched(trainer: Trainer) -> None:
    """With random numbers that are not those of a job alone."""
    jobs = swept(trainer, "batched", *QUICK, "model=functional", "model.dropout=0.5", "seed=0,1")
    assert statuses(jobs) == ["completed"] * 2


def test_one_seed_or_several_make_the_same_of_a_job(trainer: Trainer) -> None:
    """Batches that all share, and such that each has for itself."""
    shared = swept(trainer, "batched", *LINEAR, "optim.lr=0.01,0.1", "seed=1", name="shared")
    each = swept(trainer, "batched", *LINEAR, "optim.lr=0.01,0.1", "seed=0,1", name="each")
    same(shared, [each[1], each[3]])


def test_models_are_groups_and_a_mistake_or_a_loss_that_is_not_finite_is_one_jobs_own(trainer: Trainer) -> None:
    args = ("model=mlp,small", "optim=sgd", "optim.lr=0.01,0.02,0.05,0.1,-1,1e300", *QUICK, "epochs=2")
    ran = trainer("train", "-m", *args, "sweep=batched", "name=mixed")
    assert ran.code == 1
    assert ran.out.count("5 jobs as one program") == 2
    assert "4 of the sweep's jobs failed" in ran.err
    found = {line["job"]: line for line in lines(directory("mixed"))}
    assert sorted(found) == list(range(12))
    failed = sorted(job for job, line in found.items() if line["status"] == "failed")
    assert failed == [4, 5, 10, 11]
    assert all("lr" in found[job]["error"] for job in (4, 10))
    assert all("nan" in found[job]["error"] or "not finite" in found[job]["error"] for job in (5, 11))
    assert reasons(ran.out) == []
    assert "Traceback" not in ran.err


def test_a_team_that_shrinks_keeps_the_momentum_of_the_others(trainer: Trainer) -> None:
    """Also beside jobs without any."""
    args = ("model=small", *QUICK, "epochs=4", "data.val_fraction=0.3", "optim=sgd", "optim.momentum=0,0.9")
    jobs = both(trainer, *args, "optim.lr=0.01,1e300", "early_stopping.patience=1,5", code=1)
    assert sorted(statuses(jobs)) == ["completed"] * 4 + ["failed"] * 4


def test_more_jobs_than_fit_take_turns(trainer: Trainer) -> None:
    args = (*LINEAR, "optim.lr=0.01,0.02,0.03,0.04,0.05")
    jobs = swept(trainer, "batched", *args, "sweep.jobs=2")
    same(jobs, swept(trainer, "batched", *args, name="at_once"))


def test_jobs_that_start_from_another_runs_weights(trainer: Trainer) -> None:
    first = swept(trainer, "serial", *LINEAR, "seed=5", name="first")
    jobs = both(trainer, *LINEAR, "optim.lr=0,0.1", f"from={first[0]}")
    assert weights(jobs[0])["linear.weight"].equal(weights(first[0], "best")["linear.weight"])


def test_many_jobs_at_once_need_few_files_and_leave_no_threads(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    step = Team.step

    def counting(team: Team, numbers: Any) -> None:
        opened.append(len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0)
        step(team, numbers)

    monkeypatch.setattr(Team, "step", counting)
    before = threading.active_count()
    rates = ",".join(str(n / 1000) for n in range(1, 25))
    args = ("model=linear", "data=line", "epochs=2", "plots=false", f"optim.lr={rates}")
    jobs = swept(trainer, "batched", *args)
    assert len(jobs) == 24
    assert opened[-1] - opened[0] == 0
    assert max(opened) < 5 * 24 + 50  # so 64 jobs have less than 400, of the 1024 that systems allow
    assert threading.active_count() <= before + 1


# --- what a job leaves --------------------------------------------------------------------------------


def test_a_job_leaves_what_a_run_alone_leaves(trainer: Trainer) -> None:
    args = ("model=linear", "data.limit=100", "precision=float64", "epochs=1", "tensorboard.histograms=true")
    began = time.perf_counter()
    jobs = both(trainer, *args, "optim.lr=0.01,0.1")
    took = time.perf_counter() - began
    for job in jobs:
        other = Path("alone", job.name)
        written = [sorted(_name(path, run) for path in run.rglob("*")) for run in (job, other)]
        assert written[0] == written[1]
        points = [[(s, t) for s, t, _ in resuming.scalars(run)] for run in (job, other)]
        assert points[0] == points[1]
        assert _histograms(job) == _histograms(other) != set()
        assert 0 < result(job)["seconds"] < took
        assert evaluate(trainer, f"ckpt={job}") == pytest.approx(reported(job), rel=1e-6)  # in float32
        for run in (job, other):
            ran = trainer("resume", str(run), "epochs=2")
            assert ran.code == 0, ran.err
    same(jobs, runs_of(Path("alone")))


def _name(path: Path, run: Path) -> str:
    """A file of TensorBoard has the time in its name."""
    return "events" if "tfevents" in path.name else str(path.relative_to(run))


def _histograms(run: Path) -> set[tuple[int, str]]:
    from test_events import records

    found = (event for path in run.glob("events.out.tfevents.*") for event in records(path))
    return {(event.step, value.tag) for event in found for value in event.summary.value if value.HasField("histo")}


# --- what goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("out of memory\nmore of it"), NotImplementedError()])
@pytest.mark.parametrize("method", ["step", "evaluate", "__init__"])
def test_an_error_of_the_program_itself_fails_its_jobs_and_no_others(
    trainer: Trainer, method: str, error: Exception
) -> None:
    own = getattr(Team, method)

    def failing(team: Team, *args: Any) -> Any:
        members = args[0] if method == "__init__" else team.members
        if members[0].parts.config.settings.accumulate == 2:
            raise error
        return own(team, *args)

    threads = threading.active_count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Team, method, failing)
        ran = trainer("train", "-m", *LINEAR, "accumulate=2,1", "seed=0,1", "sweep=batched", "name=sick")
    assert ran.code == 1
    assert ran.err.count("Traceback") == 1
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    assert [(line["job"], line["status"]) for line in lines(directory("sick"))] == [
        (0, "failed"),
        (1, "failed"),
        (2, "completed"),
        (3, "completed"),
    ]
    jobs = runs_of(directory("sick"))
    assert [result(job)["error"] for job in jobs[:2]] == [reason] * 2
    assert threading.active_count() <= threads
    assert trainer("resume", str(directory("sick"))).code == 0
    assert statuses(jobs) == ["completed"] * 4


def test_a_disk_that_fails_one_job_takes_no_other_down(trainer: Trainer) -> None:
    write = files.write
    written: list[Path] = []

    def failing(path: Path, *args: Any, **content: Any) -> None:
        if path.parent.parent.name == "1":
            written.append(path)
            if len(written) > 2:
                raise StorageError(f"cannot write {path}: disk full", "make room")
        write(path, *args, **content)

    args = (*LINEAR, "epochs=3", "seed=0,1,2", "checkpoint.every_steps=4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write", failing)
        ran = trainer("train", "-m", *args, "sweep=batched", "name=sick")
    assert ran.code == 1
    jobs = runs_of(directory("sick"))
    assert statuses(jobs) == ["completed", "failed", "completed"]
    assert "disk full" in result(jobs[1])["error"]
    assert trainer("resume", str(directory("sick"))).code == 0
    same(jobs, swept(trainer, "serial", *args))


def test_a_result_that_cannot_be_written_ends_no_other_job(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer import runs

    write = runs.write_result

    def failing(run: Path, content: dict[str, Any]) -> None:
        if run.name == "1":
            raise StorageError(f"cannot write {run / 'result.json'}")
        write(run, content)

    monkeypatch.setattr(runs, "write_result", failing)
    ran = trainer("train", "-m", *LINEAR, "seed=0,1,2", "sweep=batched", "name=sick")
    assert ran.code == 1
    assert {line["job"]: line["status"] for line in lines(directory("sick"))} == {
        0: "completed",
        1: "failed",
        2: "completed",
    }


# --- stopped, and gone on with ------------------------------------------------------------------------


def once(number: int) -> Callable[[State], bool]:
    """Due when so many steps of all jobs together have been taken."""
    taken: list[int] = []
    return lambda state: bool(taken.append(1)) or len(taken) == number


_WHOLE: list[dict[str, Any]] = []


@pytest.fixture
def whole(trainer: Trainer) -> list[dict[str, Any]]:
    """What jobs come to that nobody interrupts, batched as alone; found once for all tests."""
    if not _WHOLE:
        _WHOLE.extend(contents(job) for job in both(trainer, *ADAM))
    return _WHOLE


def undisturbed(jobs: list[Path], whole: list[dict[str, Any]]) -> None:
    """The jobs have come to the same, in spite of all."""
    for job, expected in zip(jobs, whole, strict=True):
        assert differences(contents(job), expected) == []


@pytest.mark.parametrize(("first", "then"), [("batched", "batched"), ("batched", "serial"), ("serial", "batched")])
def test_an_interrupted_sweep_is_gone_on_with_in_any_way(
    trainer: Trainer, whole: list[dict[str, Any]], first: str, then: str
) -> None:
    with resuming.interrupting(once(4 * 14 + 2)):
        assert trainer("train", "-m", *ADAM, f"sweep={first}", "name=parts").code == 130
    stopped = [line["status"] for line in lines(directory("parts"))]
    assert stopped == (["interrupted"] * 4 if first == "batched" else ["completed"] * 2 + ["interrupted"])
    ran = trainer("resume", str(directory("parts")), f"sweep={then}")
    assert ran.code == 0, ran.err
    done = [line["job"] for line in lines(directory("parts")) if line["status"] == "completed"]
    assert sorted(done) == [0, 1, 2, 3]
    undisturbed(runs_of(directory("parts")), whole)


def test_jobs_that_stand_at_other_steps_go_on_in_teams(trainer: Trainer, whole: list[dict[str, Any]]) -> None:
    with resuming.interrupting(once(4 * 14 + 2)):
        assert trainer("train", "-m", *ADAM, "sweep=batched", "name=parts").code == 130
    jobs = runs_of(directory("parts"))
    for job in jobs[:2]:
        with resuming.interrupting(lambda state: state.step == 20):
            assert trainer("resume", str(job)).code == 130
    assert [checkpoint(job)["step"] for job in jobs] == [20, 20, 15, 15]
    ran = trainer("resume", str(directory("parts")))
    assert ran.code == 0, ran.err
    assert ran.out.count("2 jobs as one program") == 2
    undisturbed(jobs, whole)


def test_a_second_signal_ends_at_once_and_what_is_on_the_disk_is_gone_on_with(
    trainer: Trainer, whole: list[dict[str, Any]]
) -> None:
    step, calls = Team.step, []

    def twice(team: Team, numbers: Any) -> None:
        calls.append(1)
        if len(calls) == 14:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        step(team, numbers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Team, "step", twice)
        assert trainer("train", "-m", *ADAM, "sweep=batched", "name=parts").code == 130
    jobs = runs_of(directory("parts"))
    assert statuses(jobs) == ["interrupted"] * 4
    assert trainer("resume", str(directory("parts"))).code == 0
    undisturbed(jobs, whole)


def test_a_signal_in_an_evaluation(trainer: Trainer, whole: list[dict[str, Any]]) -> None:
    evaluate_all, calls = Team.evaluate, []

    def signalled(team: Team) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate_all(team)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Team, "evaluate", signalled)
        assert trainer("train", "-m", *ADAM, "sweep=batched", "name=parts").code == 130
    jobs = runs_of(directory("parts"))
    assert [(checkpoint(job)["epoch"], checkpoint(job)["batch"]) for job in jobs] == [(1, 9)] * 4
    assert trainer("resume", str(directory("parts"))).code == 0
    undisturbed(jobs, whole)


@pytest.mark.parametrize("method", ["_test", "_draw"])
def test_a_signal_after_the_training_stops_what_is_still_to_come(trainer: Trainer, method: str) -> None:
    """Of this program and of the next."""
    args = (*ADAM, "accumulate=1,2")
    own, calls = getattr(Training, method), []

    def signalled(training: Training, *facts: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return own(training, *facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, method, signalled)
        assert trainer("train", "-m", *args, "sweep=batched", "name=parts").code == 143
    found = [line["status"] for line in lines(directory("parts"))]
    assert found == ["completed"] * 3 + ["interrupted" if method == "_test" else "completed"]
    assert trainer("resume", str(directory("parts"))).code == 0
    assert statuses(runs_of(directory("parts"))) == ["completed"] * 8


@pytest.mark.parametrize("where", ["opened", "reason_against"])
def test_a_signal_as_jobs_are_set_up(trainer: Trainer, where: str) -> None:
    calls: list[int] = []

    def signalled(*args: Any) -> None:
        calls.append(1)
        if len(calls) == (3 if where == "opened" else 1):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        if where == "opened":
            own = Training.__init__

            def init(training: Training, *args: Any, **facts: Any) -> None:
                own(training, *args, **facts)
                signalled()

            patch.setattr(Training, "__init__", init)
        else:
            patch.setattr(module, "reason_against", signalled)
        ran = trainer("train", "-m", *LINEAR, "seed=0,1,2,3", "sweep=batched", "name=parts", "tensorboard.enabled=true")
    assert ran.code == 130
    begun = 3 if where == "opened" else 1
    assert [line["status"] for line in lines(directory("parts"))] == ["interrupted"] * begun
    assert statuses(runs_of(directory("parts"))[:begun]) == ["interrupted"] * begun
    assert trainer("resume", str(directory("parts"))).code == 0
    assert statuses(runs_of(directory("parts"))) == ["completed"] * 4


@pytest.mark.timeout(240)
def test_killed_and_signalled_processes_go_on(trainer: Trainer) -> None:
    """SIGKILL, then SIGTERM to the process that goes on, then to the end: every job is done once."""
    args = ("-m", *ADAM, "epochs=20", "checkpoint.every_steps=10", "sweep=batched", "name=parts")
    words: tuple[str, ...] = ("train", *args)
    for signum, code, least in ((signal.SIGKILL, -9, 0), (signal.SIGTERM, 143, 40)):
        running = process(*words)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _past(least):
            time.sleep(0.05)
        running.send_signal(signum)
        ended(running, code)
        words = ("resume", str(directory("parts")))
    stopped = {line["job"] for line in lines(directory("parts")) if line["status"] == "interrupted"}
    assert stopped == {0, 1, 2, 3}
    ran = trainer(*words)
    assert ran.code == 0, ran.err
    done = [line["job"] for line in lines(directory("parts")) if line["status"] == "completed"]
    assert sorted(done) == [0, 1, 2, 3]
    same(runs_of(directory("parts")), both(trainer, *ADAM, "epochs=20"), 1e-8)


def _past(step: int) -> bool:
    """Whether all jobs have a checkpoint of a later step."""
    found = list(Path("runs/sweeps").glob("parts/*/[0-3]/checkpoints/last.pt"))
    try:
        return len(found) == 4 and all(checkpoint(path.parent.parent)["step"] > step for path in found)
    except FileNotFoundError:
        return False


# --- sweep=auto ---------------------------------------------------------------------------------------


class Quiet(Serial):
    """In the place of processes side by side."""


def auto_sweep(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, *args: str) -> Ran:
    monkeypatch.setattr(auto, "Parallel", Quiet)
    return trainer("train", "-m", *args, "sweep=auto", "name=auto")


def test_auto_batches_small_models_and_runs_the_rest_side_by_side(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("model=linear,small", "seed=0,1", *QUICK, "device=cpu")
    ran = auto_sweep(trainer, monkeypatch, *args)
    assert ran.code == 0, ran.err
    assert ran.out.count("as one program") == 1
    same(runs_of(directory("auto")), swept(trainer, "serial", *args))


@pytest.mark.parametrize(
    ("args", "batched"),
    [
        (("model=linear",), True),
        (("model=mlp", "model.hidden=128"), True),
        (("model=mlp", "model.hidden=129"), False),
        (("model=linear", "on_nan=skip"), False),
        (("model=linear", "data.placement=stream", "data.workers=0"), False),
    ],
)
def test_auto_knows_what_pays(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], batched: bool
) -> None:
    ran = auto_sweep(trainer, monkeypatch, *args, "optim.lr=0.01,0.1", *QUICK, "device=cpu")
    assert ran.code == 0, ran.err
    assert ("as one program" in ran.out) == batched
    assert reasons(ran.out) == []


def test_auto_fails_where_a_job_does_and_goes_on_after_a_signal(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("model=linear,small", "optim=sgd", "optim.lr=0.01,0.1,-1", *QUICK, "device=cpu")
    monkeypatch.setattr(auto, "Parallel", Quiet)
    with resuming.interrupting(once(7)):
        assert trainer("train", "-m", *args, "sweep=auto", "name=auto").code == 130
    ran = trainer("resume", str(directory("auto")))
    assert ran.code == 1
    found = {line["job"]: line["status"] for line in lines(directory("auto"))}
    assert [found[job] for job in range(6)] == ["completed", "completed", "failed"] * 2


def test_auto_takes_no_more_jobs_at_a_time_than_it_may() -> None:
    made = auto.Auto(AutoSettings(jobs=3), None, lambda job: None)  # type: ignore[arg-type]
    assert (made.batched.jobs, made.parallel.jobs) == (3, 3)
    assert auto.Auto(AutoSettings(), None, lambda job: None).batched.jobs == 64  # type: ignore[arg-type]


# --- on a GPU -----------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_captured_batched_sweep_is_the_eager_one(trainer: Trainer, optimizer: str) -> None:
    args = (
        "model=lenet",
        "model.dropout=0",
        "device=cuda",
        *SILENT,
        "data.limit=300",
        "epochs=3",
        "data.batch_size=32",
    )
    found: list[list[dict[str, Tensor]]] = []
    for how in ("cudagraph", "off"):
        asked = (f"optim={optimizer}", "optim.lr=1e-3,1e-4", "scheduler=cosine", f"compile={how}")
        jobs = swept(trainer, "batched", *args, *asked, name=how)
        found.append([weights(job) for job in jobs])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)
