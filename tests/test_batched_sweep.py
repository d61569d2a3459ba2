"""Whole commands of batched sweeps: what is not batched, what fails, what is stopped and gone on with."""

import gc
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pretending
import pytest
import resuming
import torch
from batching import (
    LINEAR,
    QUICK,
    both,
    directory,
    once,
    runs_of,
    same,
    statuses,
    swept,
    twice,
    users_parts,
)
from conftest import Ran, Trainer
from running import SILENT, evaluate, reported, result, weights
from test_sweep_resume import lines
from torch import Tensor

from trainer.config.sweep import Auto as AutoSettings
from trainer.sweeps import auto, parallel
from trainer.sweeps.batched.stack import Stack
from trainer.sweeps.batched.team import Team
from trainer.sweeps.serial import Serial


@pytest.fixture(autouse=True)
def own(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users_parts(monkeypatch)


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
    monkeypatch.setattr(torch, "compile", lambda model, **options: model)  # compiling is slow
    jobs = 1 if "seed=0" in args else 2
    found, ran = twice(trainer, *QUICK, *args)
    assert ran.code == 0, ran.err
    assert "as one program" not in ran.out
    assert len(reasons(ran.out)) == jobs
    assert all(reason in found for found in reasons(ran.out))
    assert statuses(found) == ["completed"] * jobs
    for one, other in zip(found, runs_of(Path("alone")), strict=True):
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
    jobs, ran = twice(trainer, *quick, "model=linear", "precision=bfloat16", "optim=sgd", "optim.lr=0.01,0.1")
    assert "as one program" in ran.out
    for one, other in zip(jobs, runs_of(Path("alone")), strict=True):
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
    jobs = both(trainer, *LINEAR, "optim.lr=0.01,0.1", f"from={first[0]}")
    assert [Path(result(job)["parent"]["path"]).parts[:5] for job in jobs] == [first[0].parts] * 2


@pytest.mark.slow
def test_many_jobs_at_once_need_few_files_and_leave_no_threads(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = [0]
    if Path("/proc/self/fd").exists():
        pretending.watching(monkeypatch, lambda path: opened.append(len(os.listdir("/proc/self/fd"))))
    before = threading.active_count()
    rates = ",".join(str(n / 1000) for n in range(1, 25))
    args = ("model=linear", "data=line", "epochs=2", "plots=false", f"optim.lr={rates}")
    jobs = swept(trainer, "batched", *args)
    assert len(jobs) == 24
    assert max(opened) < 5 * 24 + 50  # so 64 jobs have less than 400, of the 1024 that systems allow
    assert threading.active_count() <= before + 1


@pytest.mark.slow
def test_a_team_that_is_stacked_anew_keeps_nothing_of_the_one_before(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs leave one after the other, as each has its own patience."""
    stacks: list[list[weakref.ref[Tensor]]] = []
    alive: list[int] = []
    make = Stack.__init__

    def watched(stack: Stack, *args: Any) -> None:
        gc.collect()
        alive.append(sum(ref() is not None for before in stacks for ref in before))
        make(stack, *args)
        stacks.append([weakref.ref(values) for values in stack.parameters.values()])

    monkeypatch.setattr(Stack, "__init__", watched)
    args = (*LINEAR, "epochs=9", "optim.lr=1e-9", "early_stopping.patience=1,2,3,4", "early_stopping.min_delta=9")
    jobs = swept(trainer, "batched", *args)
    assert [result(job)["epochs"] for job in jobs] == [2, 3, 4, 5]
    assert len(stacks) == 5  # one to try, and one for each number of jobs
    assert alive == [0] * 5


# --- what a job leaves --------------------------------------------------------------------------------


def test_a_job_leaves_what_a_run_alone_leaves(trainer: Trainer) -> None:
    args = ("model=linear", "data.limit=100", "precision=float64", "epochs=1", "tensorboard.histograms=true")
    began = time.perf_counter()
    jobs = both(trainer, *args, "optim.lr=0.01,0.1")
    took = time.perf_counter() - began
    for job in jobs:
        other = Path("alone", job.name)
        written = [sorted(_name(path, run) for path in run.rglob("*") if path.is_file()) for run in (job, other)]
        assert written[0] == written[1]
        points = [[(s, t) for s, t, _ in resuming.scalars(run)] for run in (job, other)]
        assert points[0] == points[1]
        assert _histograms(job) == _histograms(other) != set()
        assert 0 < result(job)["seconds"] < took
        assert evaluate(trainer, f"ckpt={job}") == pytest.approx(reported(job), rel=1e-6)  # in float32
        for run in (job, other):
            ran = trainer("resume", str(run), "epochs=2", "plots=false")
            assert ran.code == 0, ran.err
    same(jobs, runs_of(Path("alone")))


def _name(path: Path, run: Path) -> str:
    """A file of TensorBoard has the time in its name."""
    return "events" if "tfevents" in path.name else str(path.relative_to(run))


def _histograms(run: Path) -> set[tuple[int, str]]:
    from test_events import records

    found = (event for path in run.rglob("events.out.tfevents.*") for event in records(path))
    return {(event.step, value.tag) for event in found for value in event.summary.value if value.HasField("histo")}


# --- what goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("out of memory\nmore of it"), NotImplementedError()])
@pytest.mark.parametrize("method", ["on_step", "evaluate", "__init__"])
def test_an_error_of_the_program_itself_fails_its_jobs_and_no_others(
    trainer: Trainer, method: str, error: Exception
) -> None:
    own = getattr(Team, method)

    def failing(team: Team, *args: Any) -> Any:
        members = args[0] if method == "__init__" else team.members
        if members[0].parts.config.accumulate == 2:
            raise error
        return own(team, *args)

    threads = threading.active_count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Team, method, failing)
        ran = trainer("train", "-m", *LINEAR, "accumulate=2,1", "seed=0,1", "sweep=batched", "name=sick")
    assert ran.code == 1
    assert ran.err.count("Traceback") == 1
    reason = "RuntimeError: out of memory" if str(error) else "NotImplementedError"
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
    written: list[Path] = []

    def failing(path: Path) -> bool:
        if path.parent.parent.name == "1" and path.name != "previous.pt":
            written.append(path)
        return path == written[-1] and len(written) > 2 if written else False

    args = (*LINEAR, "epochs=3", "seed=0,1,2", "checkpoint.every_steps=4")
    with pytest.MonkeyPatch.context() as patch:
        pretending.full_disk(patch, failing)
        ran = trainer("train", "-m", *args, "sweep=batched", "name=sick")
    assert ran.code == 1
    jobs = runs_of(directory("sick"))
    assert statuses(jobs) == ["completed", "failed", "completed"]
    assert "disk full" in result(jobs[1])["error"]
    assert trainer("resume", str(directory("sick"))).code == 0
    same(jobs, swept(trainer, "serial", *args))


def test_a_result_that_cannot_be_written_ends_no_other_job(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.full_disk(monkeypatch, lambda path: (path.parent.name, path.name) == ("1", "result.json"))
    ran = trainer("train", "-m", *LINEAR, "seed=0,1,2", "sweep=batched", "name=sick")
    assert ran.code == 1
    assert {line["job"]: line["status"] for line in lines(directory("sick"))} == {
        0: "completed",
        1: "failed",
        2: "completed",
    }


# --- sweep=auto ---------------------------------------------------------------------------------------


class Quiet(Serial):
    """In the place of processes side by side."""


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "Parallel", Quiet)


def auto_sweep(trainer: Trainer, *args: str) -> Ran:
    return trainer("train", "-m", *args, "sweep=auto", "name=auto")


def test_auto_batches_small_models_and_runs_the_rest_side_by_side(trainer: Trainer, quiet: None) -> None:
    args = ("model=linear,small", "seed=0,1", *QUICK, "device=cpu")
    ran = auto_sweep(trainer, *args)
    assert ran.code == 0, ran.err
    assert ran.out.count("as one program") == 1
    same(runs_of(directory("auto")), swept(trainer, "serial", *args))


@pytest.mark.parametrize(
    ("args", "batched"),
    [
        (("model=linear",), True),
        (("model=mlp", "model.hidden=128"), True),
        (("model=mlp", "model.hidden=[64,32]"), True),
        (("model=mlp", "model.hidden=129"), False),
        (("model=linear", "on_nan=skip"), False),
        (("model=linear", "data.placement=stream", "data.workers=0"), False),
    ],
)
def test_auto_knows_what_pays(trainer: Trainer, quiet: None, args: tuple[str, ...], batched: bool) -> None:
    ran = auto_sweep(trainer, *args, "optim.lr=0.01,0.1", *QUICK, "device=cpu")
    assert ran.code == 0, ran.err
    assert ("as one program" in ran.out) == batched
    assert reasons(ran.out) == []


def test_auto_fails_where_a_job_does_and_goes_on_after_a_signal(trainer: Trainer, quiet: None) -> None:
    args = ("model=linear,small", "optim=sgd", "optim.lr=0.01,0.1,-1", *QUICK, "device=cpu")
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
@pytest.mark.parametrize(("model", "dropout"), [("mlp", "0.3"), ("lenet", "0.5")])
def test_dropout_of_a_batched_sweep_is_captured(trainer: Trainer, model: str, dropout: str) -> None:
    asked = (f"model={model}", f"model.dropout={dropout},0.1", "device=cuda", "compile=cudagraph", *SILENT)
    ran = trainer("train", "-m", *asked, "sweep=batched", "data.limit=300", "epochs=3", "data.batch_size=32")
    assert ran.code == 0
    assert "2 jobs as one program" in ran.out
    assert "compile:" not in ran.out + ran.err


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
