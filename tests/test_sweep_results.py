"""A sweep's table, its results.csv, its closing lines, and what TensorBoard makes of its jobs."""

import csv
import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Trainer
from rich.console import Console
from running import QUICK
from scipy import stats
from sweeping import crossed, grid, job

from trainer.compare.ranking import ranked
from trainer.run.sweep_log import Outcome
from trainer.show.grid import laid_out
from trainer.show.report import Report
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Asked, Planned
from trainer.sweeps.results import table as results
from trainer.sweeps.results.fitted import fitted


def table(jobs: list[Outcome]) -> list[dict[str, str]]:
    """The table's rows by the names of the columns."""
    header, rows = results.table(jobs)
    assert len(set(header)) == len(header)
    return [dict(zip(header, row, strict=True)) for row in rows]


def written(tmp_path: Path, jobs: list[Outcome]) -> list[dict[str, str]]:
    results.write_csv(tmp_path / "results.csv", jobs)
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- the table ------------------------------------------------------------------------------------------


def test_without_seeds_each_job_has_a_row() -> None:
    jobs = [
        job(0, 0.5, optim__lr=0.1, epochs=3, best_epoch=2, metrics={"test/loss": 1.0, "test/accuracy": 0.25}),
        job(1, 0.75, optim__lr=1, epochs=3, best_epoch=3, metrics={"test/accuracy": 0.5}),
    ]
    assert table(jobs) == [
        {"rank": "1", "job": "1", "optim.lr": "1", "val/accuracy": "75.00%", "best epoch": "3", "test": "50.00%",
         "seconds": "2.0", "status": "completed"},
        {"rank": "2", "job": "0", "optim.lr": "0.1", "val/accuracy": "50.00%", "best epoch": "2", "test": "25.00%",
         "seconds": "1.0", "status": "completed"},
    ]  # fmt: skip


def test_seeds_share_a_row_with_mean_and_deviation() -> None:
    jobs = grid({"0.1": [0.5, 0.6, 0.7], "1": [0.1, 0.1, 0.1]})
    for one, epoch in zip(jobs, (4, 2, 3, 5, 5, 5), strict=True):
        one.best_epoch, one.metrics = epoch, {"test/accuracy": one.value or 0.0}
    first, second = table(jobs)
    assert first == {"rank": "1", "job": "0-2", "optim.lr": "0.1", "seeds": "0-2", "val/accuracy": "60.00% ± 10.00%",
                     "best epoch": "2-4", "test": "60.00%", "seconds": "2.0", "status": "completed"}  # fmt: skip
    assert (second["job"], second["val/accuracy"], second["best epoch"]) == ("3-5", "10.00% ± 0.00%", "5")
    ascii_only = results.table(jobs, ascii_only=True)[1]
    assert ascii_only[0][4] == "60.00% +- 10.00%"
    assert all(cell.isascii() for row in ascii_only for cell in row)


def test_folds_share_a_row_and_the_best_is_trained_on_all_of_them(tmp_path: Path) -> None:
    jobs = [job(k, 0.5 + k / 10, data__fold=k, data__folds=3, optim__lr=0.1) for k in range(3)]
    (row,) = table(jobs)
    assert (row["job"], row["folds"], row["val/accuracy"]) == ("0-2", "0-2", "60.00% ± 10.00%")
    assert results.following(jobs, tmp_path) == ["trainer train optim.lr=0.1", f"trainer eval {tmp_path}"]
    (first, *_) = written(tmp_path, jobs)
    assert (first["data.fold"], first["group_n"], first["group_mean"]) == ("2", "3", "0.6")


def test_folds_and_seeds_have_a_column_each_and_failures_name_both() -> None:
    jobs = [job(3 * k + s, 0.5, data__fold=k, data__folds=2, seed=s) for k in range(2) for s in range(3)]
    jobs[4] = job(4, None, data__fold=1, data__folds=2, seed=1, error="no")
    (row,) = table(jobs)
    assert (row["folds"], row["seeds"]) == ("0,1", "0-2")
    assert row["status"] == "5 of 6 completed; fold 1 seed 1 failed: no"


def test_a_loss_has_no_per_cent() -> None:
    (row,) = table(grid({"0.1": [1.5, 2.5]}, objective="val/loss", direction="min", metrics={"test/mse": 0.12345}))
    assert (row["val/loss"], row["test"]) == ("2 ± 0.71", "0.1235")


def test_job_numbers_and_seeds_are_written_short() -> None:
    jobs = [job(n, 0.5, x="a", seed=s) for n, s in ((0, 7), (4, 1), (2, 2), (5, 3), (6, 40))]
    (row,) = table(jobs)
    assert (row["job"], row["seeds"]) == ("0,2,4-6", "1-3,7,40")


@pytest.mark.parametrize(
    ("jobs", "status"),
    [
        ([job(0, None, x=1, seed=0, error="the loss is nan")], "failed: the loss is nan"),
        ([job(0, None, x=1, status="not run")], "not run"),
        ([job(0, None, x=1, status="interrupted", error="in epoch 2")], "interrupted: in epoch 2"),
        ([job(0, float("nan"), x=1)], "completed without a finite objective"),
        (
            [job(0, 0.5, seed=0), job(1, None, seed=1, error="it burst"), job(2, 0.6, seed=2)],
            "2 of 3 completed; seed 1 failed: it burst",
        ),
        (
            [
                *(job(0, 0.5, seed=0), job(1, None, seed=1, status="interrupted")),
                *(job(n, None, seed=n, status="not run") for n in (2, 3, 4)),
            ],
            "1 of 5 completed; seed 1 interrupted; seed 2-4 not run",
        ),
        ([job(n, None, seed=n, error="no such device") for n in (0, 1)], "failed: no such device"),
        (
            [job(0, None, seed=0, error="a"), job(1, None, seed=1, error="b")],
            "0 of 2 completed; seed 0 failed: a; seed 1 failed: b",
        ),
    ],
)  # fmt: skip
def test_the_status_says_how_the_jobs_ended(jobs: list[Outcome], status: str) -> None:
    (row,) = table(jobs)
    assert row["status"] == status


def test_jobs_without_a_result_are_last_and_have_no_figures() -> None:
    rows = table(grid({"a": [None, None], "b": [None, 0.5], "c": [0.4, 0.4]}))
    assert [(row["rank"], row["optim.lr"]) for row in rows] == [("1", "b"), ("2", "c"), ("-", "a")]
    assert [rows[-1][name] for name in ("val/accuracy", "best epoch", "test")] == ["-", "-", "-"]


@pytest.mark.parametrize("jobs", [[], [job(0, None)], [job(0, None, status="not run", x=1), job(1, None, x=2)]])
def test_a_sweep_without_any_result_has_its_table_all_the_same(tmp_path: Path, jobs: list[Outcome]) -> None:
    header, rows = results.table(jobs)
    assert header[:2] == ["rank", "job"]
    assert len(rows) == len(jobs)
    assert len(written(tmp_path, jobs)) == len(jobs)
    assert results.facts(jobs) == []


NUMBER = r"(?<![\w.])-?\d[\d.]*(?:e[-+]?\d+)?%?(?![\w.])"


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
def test_a_row_is_one_line_of_the_terminal_and_no_number_is_broken(width: int) -> None:
    settings = crossed(optim__lr=["0.0001", "0.001"], model__hidden=["[64,32]", "[128]"], seed=[0, 1])
    metrics = {"test/accuracy": 0.98765}
    jobs = [job(n, 0.9 + n / 100, metrics=metrics, best_epoch=n, **facts) for n, facts in enumerate(settings)]
    jobs += [job(8, None, optim__lr="1e9", model__hidden="[1]", seed=0, error="the loss is nan " * 20)]
    header, rows = results.table(jobs)
    head, body, left_out = fitted(header, rows, width, 20)
    lines = laid_out(head, body)
    assert max(map(len, lines)) <= width
    whole = {number for row in rows for cell in row[:-1] for number in re.findall(NUMBER, cell)}
    assert {number for row in body for cell in row for number in re.findall(NUMBER, cell)} <= whole
    assert head[0] == "rank"
    assert "val/accuracy" in head or width == 30
    assert body[-1][-1].startswith("failed: the") or width == 30
    short = width < sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True)) - 2
    missing = [name for name in header if name not in head and not (short and name.rpartition(".")[2] in head)]
    assert all(name in left_out for name in missing[:4])
    assert bool(missing) == bool(left_out)


def test_of_many_rows_the_best_and_some_that_failed_are_shown() -> None:
    jobs = [job(n, n / 200, optim__lr=n) for n in range(100)] + [job(n, None, optim__lr=n) for n in range(100, 150)]
    _, body, left_out = fitted(*results.table(jobs), 80, 12)
    assert [row[0] for row in body] == [*map(str, range(1, 9)), "-", "-", "-", "-"]
    assert left_out == "138 rows more"


def test_a_monitor_counts_says_what_differs_and_how_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor(Report())
    monitor.begin(9, [(job(0, 0.5), "x=1")])
    for number in (1, 2):
        ended = job(number, 0.6)
        ended.seconds = 10.0
        monitor.ended(ended, f"x={number + 1}")
    monitor.ended(job(3, None, error="the loss is nan"), "x=4")
    assert capsys.readouterr().out.splitlines() == [
        "2 of 9  job 1  x=2  val/accuracy 60.00%  10.0 s, about 1:10 left",
        "3 of 9  job 2  x=3  val/accuracy 60.00%  10.0 s, about 1:00 left",
        "4 of 9  job 3  x=4  failed: the loss is nan  4.0 s, about 50 s left",
    ]


@pytest.mark.parametrize(("width", "height"), [(60, 12), (80, 24), (120, 40)])
def test_a_monitor_on_a_terminal_shows_the_jobs_that_matter(tmp_path: Path, width: int, height: int) -> None:
    screen = Report()
    screen.console = Console(width=width, height=height)
    monitor = Monitor(screen)
    monitor.begin(100, [(job(n, n / 100), f"optim.lr={n / 1000} seed={n}") for n in range(60)])
    monitor.ended(job(60, None, error="the loss is nan"), "optim.lr=1e9 seed=0")
    monitor._running = [(Planned(61, tmp_path, Asked([], None), "optim.lr=0.5"), time.monotonic())]
    first, *lines = [line.plain for line in monitor.lines()]
    assert first == "61 of 100 done, 1 failed, 1 running"
    assert len(lines) < height
    assert all(len(line) < width for line in lines)
    assert lines[0].split()[:3] == ["running", "job", "61"]
    best = [line for line in lines if "val/accuracy" in line]
    assert best[0].split()[:5] == ["best", "job", "59", "val/accuracy", "59.00%"]
    assert len(best) >= height // 2
    assert lines[-1].startswith("failed   job 60  failed: the loss is nan")


def test_different_objectives_stand_beside_their_values() -> None:
    rows = table([job(0, 3000.0, data="a", objective="val/loss", direction="min"), job(1, 0.7, data="b")])
    assert [(row["rank"], row["objective"]) for row in rows] == [("1", "val/loss 3000"), ("1", "val/accuracy 70.00%")]


def test_the_table_fits_the_screen_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    header, rows = results.table(grid({"0.1": [0.5, 0.6], "0.01": [0.05, 0.06]}))
    Report().table(header, rows, "4 jobs")
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "4 jobs"
    ends = [len(line.partition(" ± ")[0]) for line in shown[2:]]
    assert len(ends) == 2
    assert ends[0] == ends[1]  # figures are flush right


# --- results.csv ----------------------------------------------------------------------------------------


def test_the_file_has_a_line_per_job_and_what_its_seeds_say(tmp_path: Path) -> None:
    values = {"0.1": [0.5, 0.6, 0.85], "1": [0.7, 0.72, 0.69]}
    jobs = grid({**values, "9": [None, 0.3, None], "7": [None]}, best_epoch=2, metrics={"test/accuracy": 0.25})
    rows = written(tmp_path, jobs)
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5", "6", "7", "", "", ""]
    assert [float(row["value"]) for row in rows[:7]] == sorted(
        (v for v in (*values["0.1"], *values["1"], 0.3)), reverse=True
    )
    by_job = {int(row["job"]): row for row in rows}
    assert len(by_job) == len(jobs) == 10
    for start, key, rank in ((0, "0.1", "2"), (3, "1", "1")):
        data = np.array(values[key])
        low, high = stats.t.interval(0.95, 2, loc=data.mean(), scale=stats.sem(data))
        for number in range(start, start + 3):
            row = by_job[number]
            assert (row["optim.lr"], row["group_rank"], row["group_n"]) == (key, rank, "3")
            found = [float(row[f"group_{name}"]) for name in ("mean", "std", "low", "high")]
            assert found == pytest.approx([data.mean(), data.std(ddof=1), low, high])
    alone = by_job[7]
    assert [alone[f"group_{name}"] for name in ("rank", "mean", "std", "low", "high", "n")] == [
        "3",
        "0.3",
        "",
        "",
        "",
        "1",
    ]
    lost = by_job[9]
    assert [lost[f"group_{name}"] for name in ("rank", "mean", "std", "n")] == ["", "", "", "0"]
    assert (by_job[1]["seed"], by_job[1]["test/accuracy"], by_job[1]["seconds"]) == ("1", "0.25", "2.000")


def test_any_text_comes_back_from_the_file(tmp_path: Path) -> None:
    texts = ['a "b", c\nd', "é ;=", "\udcff"]
    jobs = [job(number, None, x=text, error=text) for number, text in enumerate(texts)]
    assert [row["x"] for row in written(tmp_path, jobs)] == ['a "b", c\nd', "é ;=", "\\udcff"]


def test_a_swept_key_named_like_a_column_does_not_stand_in_its_place(tmp_path: Path) -> None:
    jobs = [job(0, 0.5, objective="val/accuracy"), job(1, 0.5, objective="test/accuracy")]
    for one in jobs:
        one.overrides["objective"] = one.objective
    assert [row["objective"] for row in written(tmp_path, jobs)] == ["val/accuracy", "test/accuracy"]


# --- the closing lines ----------------------------------------------------------------------------------


def test_the_command_trains_the_best_seed_of_the_best_row_again() -> None:
    jobs = [
        job(0, 0.99, data__root="a b", x="[1,2]", seed=0),
        job(1, 0.5, data__root="a b", x="[1,2]", seed=1),
        job(2, 0.8, data__root="a b", x="$c", seed=0),
        job(3, 0.9, data__root="a b", x="$c", seed=1),
    ]
    assert shlex.split(results.rerun(ranked(jobs)[0])) == ["trainer", "train", "data.root=a b", "x=$c", "seed=1"]


def test_the_facts_say_where_what_and_what_next() -> None:
    jobs = grid({"0.1": [0.5, 0.5], "1": [0.7, 0.8]})
    places = results.places(Path("runs/sweeps/a b"), [Path("runs/sweeps/a b/plots/x.png")])
    assert [label for label, _ in places] == ["sweep", "table", "report", "pictures"]
    facts = dict(results.facts(jobs))
    assert facts["result"].startswith("optim.lr=1 ")
    assert facts["best"] == "val/accuracy 75.00% ± 7.07% (2 seeds: optim.lr=1)"
    again, evaluated = results.following(jobs, Path("runs/sweeps/a b"))
    assert again == "trainer train optim.lr=1 seed=1"
    assert evaluated == "trainer eval 'runs/sweeps/a b/3'"


def test_a_ranking_by_the_test_split_says_so() -> None:
    by_test = grid({"0.1": [0.5], "1": [0.7]}, objective="test/accuracy")
    assert "picks the best here" in dict(results.facts(by_test))["note"]
    assert "note" not in dict(results.facts(grid({"0.1": [0.5], "1": [0.7]})))


def test_each_objective_has_a_best() -> None:
    jobs = [job(0, 2.0, data="a", objective="val/loss", direction="min"), job(1, 0.7, data="b")]
    assert [said for label, said in results.facts(jobs) if label == "best"] == [
        "val/loss 2 (job 0: data=a)",
        "val/accuracy 70.00% (job 1: data=b)",
    ]
    assert results.following(jobs, Path("s"))[:2] == ["trainer train data=a", "trainer train data=b"]


# --- TensorBoard ----------------------------------------------------------------------------------------


def test_tensorboard_compares_all_jobs_by_every_key_and_knows_how_they_ended(trainer: Trainer) -> None:
    board = [argument for argument in QUICK if argument not in ("model=linear", "tensorboard.enabled=false")]
    keys = ("optim=sgd", "optim.momentum=0", "tensorboard.graph=false")
    ran = trainer("train", "-m", *board, *keys, "model=linear,mlp", "optim.lr=0.01,1e36", "epochs=3")
    assert ran.code == 1, ran.err
    (sweep,) = Path("runs/sweeps/sweep").iterdir()

    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    runs = plugin_event_multiplexer.EventMultiplexer()
    runs.AddRunsFromDirectory(str(sweep))
    runs.Reload()
    provider = data_provider.MultiplexerDataProvider(runs, str(sweep))
    plugin = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = context.RequestContext()
    found = plugin.hparams_metadata(request, "")
    hyper = plugin.hparams_from_data_provider(request, "", None)
    experiment = plugin.experiment_from_metadata(request, "", True, found, hyper)
    columns = {info.name: info.differs for info in experiment.hparam_infos}
    assert {name for name, differs in columns.items() if differs} == {"model", "optim.lr"}
    assert {"model.hidden", "optim.momentum", "seed", "data"} <= columns.keys()  # also what one model alone has
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics[:2] == ["Objective/best val/accuracy", "Objective/val/accuracy"]
    assert {"loss/train", "loss/val", "test/accuracy", "test/loss"} <= set(metrics)

    every = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
    asked = api_pb2.ListSessionGroupsRequest(allowed_statuses=every, start_index=0, slice_size=100)
    groups = list_session_groups.Handler(request, plugin, "", asked).run().session_groups
    listed = {
        (group.hparams["model"].string_value, group.hparams["optim.lr"].number_value): group.sessions[0].status
        for group in groups
    }
    names = {group.sessions[0].name for group in groups}
    assert names == {
        *("0/model=linear optim.lr=0.01", "1/model=linear optim.lr=1e36"),
        *("2/model=mlp optim.lr=0.01", "3/model=mlp optim.lr=1e36"),
    }
    assert listed == {
        ("linear", 0.01): api_pb2.STATUS_SUCCESS,
        ("mlp", 0.01): api_pb2.STATUS_SUCCESS,
        ("linear", 1e36): api_pb2.STATUS_FAILURE,
        ("mlp", 1e36): api_pb2.STATUS_FAILURE,
    }
