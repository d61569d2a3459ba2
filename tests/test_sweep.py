"""Multirun: all jobs run, whatever happens to one, and the table ranks them."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Ran, Trainer
from running import QUICK, SILENT, evaluate, reported, result

REGRESSION = (*SILENT, "model=linear", "data=diabetes", "data.limit=64", "optim=sgd", "epochs=2", "data.batch_size=16")


def swept(name: str = "sweep") -> Path:
    (directory,) = Path("runs/sweeps", name).iterdir()
    return directory


def table(directory: Path) -> list[dict[str, str]]:
    with (directory / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "sweep.jsonl").read_text().splitlines()]


def on_screen(ran: Ran) -> list[list[str]]:
    """The rows of the table on the screen, under its header."""
    shown = ran.out.splitlines()
    start = next(i for i, line in enumerate(shown) if line.startswith("rank "))
    stop = next(i for i, line in enumerate(shown) if i > start and line.startswith("sweep"))
    return [line.split() for line in shown[start:stop]]


def test_a_sweep_runs_every_combination_in_a_directory_of_its_own(trainer: Trainer) -> None:
    ran = trainer("train", "-m", "optim.lr=0.001,0.1", "seed=0,1", *QUICK)
    assert ran.code == 0, ran.err
    directory = swept()
    jobs = sorted(path for path in directory.iterdir() if path.is_dir())
    assert [job.name for job in jobs] == ["0", "1", "2", "3"]
    for job, (rate, seed) in zip(jobs, [("0.001", "0"), ("0.001", "1"), ("0.1", "0"), ("0.1", "1")], strict=True):
        files = {path.name for path in job.iterdir() if path.is_file()}
        assert files == {"config.yaml", "overrides.yaml", "origin.json", "metrics.jsonl", "result.json"} | {
            "train.log",
            "README.md",
            "report.html",
        }
        assert result(job)["status"] == "completed"
        assert f"- 'optim.lr={rate}'\n- 'seed={seed}'\n" in (job / "overrides.yaml").read_text()
    assert evaluate(trainer, f"ckpt={jobs[2]}") == reported(jobs[2])
    assert {path.name for path in directory.iterdir() if path.is_file()} == {
        *("overrides.yaml", "plan.json", "report.html", "results.csv", "sweep.jsonl")
    }
    assert [path.name for path in Path().iterdir()] == ["runs"]  # nothing of Hydra's


@pytest.mark.parametrize(
    ("objective", "best"), [("val/loss", min), ("val/accuracy", max), ("test/accuracy", max), ("train/loss", min)]
)
def test_a_sweep_ranks_by_its_objective(trainer: Trainer, objective: str, best: Any) -> None:
    # The order of the results is neither that of the jobs nor its reverse.
    args = (*QUICK, "data.limit=600", "data.val_fraction=0.5", f"objective={objective}")
    ran = trainer("train", "-m", "optim.lr=0.00001,0.003,0.0003", *args)
    assert ran.code == 0, ran.err
    rows = table(swept())
    values = [result(swept() / row["job"])["objective"]["value"] for row in rows]
    assert len(set(values)) == 3
    assert values == sorted(values, reverse=best is max)
    assert values[0] == best(values)
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert [float(row["value"]) for row in rows] == values
    assert {row["objective"] for row in rows} == {objective}
    assert [row[:2] for row in on_screen(ran)[1:]] == [[row["rank"], row["job"]] for row in rows]
    assert f"trainer eval {swept() / rows[0]['job']}" in ran.out


def test_direction_may_be_turned_round(trainer: Trainer) -> None:
    args = (*QUICK, "objective=val/loss", "direction=max")
    assert trainer("train", "-m", "optim.lr=0.00001,0.01", *args).code == 0
    values = [float(row["value"]) for row in table(swept())]
    assert values[0] > values[1]


def test_the_tables_show_what_differs_and_the_results(trainer: Trainer) -> None:
    ran = trainer("train", "-m", "model=linear,mlp", "seed=0", "name=kinds", *(a for a in QUICK if "model" not in a))
    directory = swept("kinds")
    header = on_screen(ran)[0]
    assert "model" in header
    assert "seed" not in header
    for row in table(directory):
        run = directory / row["job"]
        said = result(run)
        assert row["status"] == "completed"
        assert row["model"] == ("linear", "mlp")[int(row["job"])]
        assert {k: float(row[k]) for k in said["metrics"]} == said["metrics"]
    for line in lines(directory):
        said = result(directory / str(line["job"]))
        assert line["metrics"] == said["metrics"]
        assert line["value"] == said["objective"]["value"]
        assert line["overrides"]["seed"] == "0"
        assert line["overrides"]["model"] == ("linear", "mlp")[line["job"]]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("optim.lr=-1,0.01", "optim.lr=-1.0: out of range"),
        ("optim.lr=1e9,0.01", "the loss is"),
        ("loss=cross_entropy,mse", "loss=cross_entropy does not fit"),
        ("model=lenet,linear", "model=lenet needs images"),
        ("device=cuda:99,cpu", "device=cuda:99"),
    ],
)
def test_a_failing_job_stops_no_other(trainer: Trainer, typed: str, reason: str) -> None:
    ran = trainer("train", "-m", *REGRESSION, "epochs=30", typed)
    assert ran.code == 1
    assert "Traceback" not in ran.out + ran.err
    good, bad = table(swept())
    assert (good["job"], good["status"], good["rank"]) == ("1", "completed", "1")
    assert (bad["job"], bad["status"], bad["rank"]) == ("0", "failed", "")
    assert reason in bad["error"]
    assert reason in " ".join(on_screen(ran)[2])
    assert "1 of the sweep's jobs failed" in ran.err
    said = result(swept() / "0")
    assert said["status"] == "failed"
    assert reason in said["error"]
    assert [line["status"] for line in lines(swept())] == ["failed", "completed"]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("optim.lr=range(0.01,0.05,0.01)", ["0.01", "0.02", "0.03", "0.04"]),
        ("optim.lr=range(0.009,0.014,0.001)", ["0.009", "0.01", "0.011", "0.012", "0.013"]),
        ("optim.lr=range(0.05,0.01,-0.01)", ["0.05", "0.04", "0.03", "0.02"]),
        ("seed=range(3)", ["0", "1", "2"]),
        ("optim.lr=1e-3,0.0030,1", ["1e-3", "0.0030", "1"]),
        ("optim.lr=choice(1e-3,1e-2)", ["1e-3", "1e-2"]),
        ("optim.nesterov=true,false", ["true", "false"]),
        ("model.hidden=[64,32],[128]", ["[64,32]", "[128]"]),
    ],
)
def test_a_value_is_written_as_it_was_typed_and_a_range_ends_before_its_end(
    trainer: Trainer, word: str, values: list[str]
) -> None:
    ran = trainer("train", "-m", "model=mlp", "optim=sgd", "plots=false", word, "sweep.dry_run=true")
    key = word.partition("=")[0]
    assert re.findall(rf"{re.escape(key)}=(\S+)", ran.out) == values


def test_the_command_that_trains_the_best_again_is_what_was_typed(trainer: Trainer) -> None:
    ran = trainer("train", "-m", *REGRESSION, "epochs=2", "optim.lr=range(0.01,0.012,0.001)")
    (best,) = re.findall("trainer train .*", ran.out)
    assert best.startswith(f"trainer train {' '.join(SILENT)} model=linear")
    assert re.search(r" optim\.lr=0\.01(1)? ", best)
    assert {line["overrides"]["optim.lr"] for line in lines(swept())} == {"0.01", "0.011"}


def test_a_bug_in_one_job_is_shown_and_stops_no_other(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    make = torch.optim.Adam.__init__
    calls: list[int] = []

    def bug_at_first(*args: Any, **keys: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("ours")
        make(*args, **keys)

    monkeypatch.setattr(torch.optim.Adam, "__init__", bug_at_first)
    ran = trainer("train", "-m", "seed=0,1", *QUICK)
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert [row["status"] for row in table(swept())] == ["completed", "failed"]
    assert "ZeroDivisionError: ours" in table(swept())[1]["error"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("optim.lrr=0.1,1",), ("optim.lrr", "did you mean 'lr'?")),
        (("epoch=3", "seed=0,1"), ("epoch:", "did you mean 'epochs'?")),
        (("model=linear,lenett",), ("model=lenett", "did you mean 'lenet'?")),
        (("modle=linear,mlp",), ("modle", "did you mean 'model'?")),
    ],
)
def test_a_misspelt_name_stops_a_sweep_before_it_starts(
    trainer: Trainer, typed: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ran = trainer("train", "-m", *QUICK, *typed)
    assert ran.code == 2
    assert len(ran.err.splitlines()) <= 2
    assert all(word in ran.err for word in words)
    assert not Path("runs").exists()


def test_a_key_that_only_a_later_job_lacks_fails_that_job(trainer: Trainer) -> None:
    line = (*SILENT, "data=line", "epochs=1")
    ran = trainer("train", "-m", *line, "model=mlp,linear,mlp", "model.hidden=8")
    assert ran.code == 1
    assert [row["status"] for row in sorted(table(swept()), key=lambda row: row["job"])] == [
        "completed",
        "failed",
        "completed",
    ]
    assert "model.hidden" in table(swept())[-1]["error"]


def test_eval_of_several_checkpoints_in_one_multirun(trainer: Trainer) -> None:
    assert trainer("train", *QUICK).code == 0
    (run,) = Path("runs/linear_digits").iterdir()
    ran = trainer("eval", "-m", f"ckpt={run}", "split=test,val")
    assert ran.code == 0, ran.err
    assert "digits, test split, 100 samples" in ran.out
    assert "digits, val split, 10 samples" in ran.out
    assert not Path("runs/sweeps").exists()


def test_jobs_of_different_objectives_are_not_compared(trainer: Trainer) -> None:
    ran = trainer(
        "train", "-m", "data=diabetes,digits", *SILENT, "model=linear", "data.limit=64", "epochs=1", "name=two"
    )
    assert ran.code == 0, ran.err
    rows = table(swept("two"))
    assert [row["objective"] for row in rows] == ["val/loss", "val/accuracy"]
    losses = [line for line in ran.out.splitlines() if "diabetes" in line and "completed" in line]
    assert losses
    assert not any(re.search(r"\d{4,}\.\d+%", line) for line in losses)


def test_jobs_draw_their_own_pictures_only_where_that_is_asked_for(trainer: Trainer) -> None:
    line = ("model=linear", "data=line", "epochs=2", "tensorboard.enabled=false", "optim.lr=0.1,0.2")
    assert trainer("train", "-m", *line, "name=without").code == 0
    assert trainer("train", "-m", *line, "name=with", "sweep.plots=true").code == 0
    assert [path.name for path in swept("without").rglob("*.png")] == ["optim.lr.png"]
    assert len([*swept("with").glob("[01]/plots/*.png")]) == 4
    for name, said in (("without", "plots: false"), ("with", "plots: true")):
        assert all(said in (job / "config.yaml").read_text().splitlines() for job in swept(name).glob("[01]"))


def test_a_sweep_that_ranks_by_the_test_split_says_so_before_and_after(trainer: Trainer) -> None:
    words = ("-m", *SILENT, "model=linear", "data=diabetes", "data.limit=64", "epochs=1", "evaluate.split=test")
    ran = trainer("train", *words, "optim.lr=0.1,0.01", "name=settings")
    assert "warning: the test split picks the best here" in ran.out.partition("1 of 2")[0]
    assert re.search(r"note +test/loss picks the best here", ran.out)
    ran = trainer("train", *words, "seed=0,1", "name=seeds")  # nothing is picked
    assert "picks the best" not in ran.out
