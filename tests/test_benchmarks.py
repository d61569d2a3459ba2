"""The benchmarks: their statistics, guard, rounds and pages on made-up numbers, and one tiny measurement.

No peer is needed, and no time is asserted.
"""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import Trainer
from running import QUICK

from benchmarks import figures, goals, guard, page, records, rounds, tables
from benchmarks.__main__ import main
from benchmarks.contenders import inside
from benchmarks.contenders.job import Watch
from benchmarks.figures import Spread
from benchmarks.guard import Guard
from benchmarks.processes import Ran
from benchmarks.rounds import Bench, Measured
from benchmarks.workloads import PEERS, WORKLOADS, Case, Settings, Workload

ROOT = Path(__file__).parents[1]
TWO_ROUNDS = [
    {"trainer": {"epoch": 2.0, "memory": 2.0**20}, "bare": {"epoch": 4.0, "memory": 2.0**21}},
    {"trainer": {"epoch": 3.0, "memory": 2.0**20}, "bare": {"epoch": 4.0, "memory": 2.0**21}},
    {"trainer": {"epoch": 8.0, "memory": 2.0**20}, "bare": {"epoch": 8.0, "memory": 2.0**21}},
]


def ran(wall: float = 1.0, others: float | None = 0.0, code: int = 0, **report: object) -> Ran:
    """A process that ended so."""
    return Ran(code, 100.0, wall, 0.9, 2**20, others, dict(report), "words\nlast words\n")


# --- statistics ---------------------------------------------------------------------------------------


def test_a_ratio_is_taken_within_each_round_before_the_median() -> None:
    found = figures.ratios(TWO_ROUNDS, "epoch", "trainer", "bare")
    assert found == [0.5, 0.75, 1.0]
    assert Spread.of(found) == Spread(0.75, 0.5, 1.0)


def test_rounds_without_one_of_the_two_are_left_out_of_their_comparison() -> None:
    partly = [*TWO_ROUNDS, {"trainer": {"epoch": 9.0}}]
    assert figures.differences(partly, "epoch", "trainer", "bare") == [-2.0, -1.0, 0.0]
    assert figures.values(partly, "epoch", "trainer") == [2.0, 3.0, 8.0, 9.0]
    assert Spread.of([]) is None


def test_the_first_epoch_of_a_process_is_warm_up() -> None:
    (sample,) = figures.samples("bare", ran(laps=[0.0, 9.0, 11.0, 14.0, 15.0]), "epoch").values()
    assert sample["epoch"] == 2.0
    assert "epoch" not in figures.samples("bare", ran(laps=[0.0, 9.0]), "wall")["bare"]


def test_a_moment_counts_from_the_command() -> None:
    assert figures.samples("trainer", ran(first=102.5), "first")["trainer"]["first"] == 2.5


def test_a_process_in_which_two_take_turns_is_a_sample_of_each() -> None:
    found = figures.samples("line", ran(timed={"trainer": [3.0, 1.0, 2.0], "bare": [1.0, 1.0, 4.0]}), "fit")
    assert found == {"trainer": {"fit": 2.0}, "bare": {"fit": 1.0}}


# --- the guard ----------------------------------------------------------------------------------------


def test_the_guard_objects_to_what_others_took() -> None:
    assert Guard(0.05).objection(wall=10.0, others=0.4) == ""
    assert Guard(0.05).objection(wall=10.0, others=0.8) == "others used 0.80 s of CPU in 10.00 s"


def test_the_guard_lets_the_grain_of_the_clock_pass_in_short_processes() -> None:
    assert Guard(0.05).objection(wall=0.1, others=0.04) == ""


def test_no_counter_is_no_objection() -> None:
    assert Guard(0.05).objection(wall=10.0, others=None) == ""


def test_busy_counts_work_and_stolen_time_and_no_waiting(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9999 5000 4 6 40 100 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert guard.busy(stat) == 200 / os.sysconf("SC_CLK_TCK")
    assert guard.busy(tmp_path / "nothing") is None


# --- rounds -------------------------------------------------------------------------------------------

Fake = Callable[[str], Ran]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Bench, list[str]]]:
    """A bench whose processes are made up, and the list of what it ran."""

    def make(fake: Fake, settings: Settings | None = None, only: Sequence[str] = ()) -> tuple[Bench, list[str]]:
        started: list[str] = []

        def run(words: Sequence[str], directory: Path, environment: dict[str, str]) -> Ran:
            started.append(" ".join(words))
            return fake(started[-1])

        monkeypatch.setattr(rounds, "run", run)
        settings = settings or Settings(tmp_path, limit=1)
        return Bench(settings, Guard(0.05), only, tmp_path, lambda text: None), started

    return make


def workload(*cases: Case) -> Workload:
    return Workload("tried", "a trial", ("wall",), lambda settings: list(cases), subject=cases[0].name)


A, B, C = (Case(name, (name,)) for name in "abc")


def test_contenders_take_turns_in_going_first(bench: Callable[..., tuple[Bench, list[str]]]) -> None:
    made, started = bench(lambda words: ran())
    found = made.measure(workload(A, B, C), rounds=3, repeats=0)
    assert started == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert len(found.rounds) == 3


def test_a_disturbed_round_is_thrown_away_whole_and_repeated(bench: Callable[..., tuple[Bench, list[str]]]) -> None:
    noise = iter([0.0, 0.9, 0.0, 0.0])
    made, started = bench(lambda words: ran(wall=float(len(started)), others=next(noise)))
    found = made.measure(workload(A, B), rounds=1, repeats=1)
    assert started == ["a", "b", "b", "a"]
    assert [sorted(r) for r in found.rounds] == [["a", "b"]]
    assert found.rounds[0]["a"]["wall"] == 4.0
    assert found.discarded == ["b: others used 0.90 s of CPU in 2.00 s"]


def test_repeats_come_to_an_end(bench: Callable[..., tuple[Bench, list[str]]]) -> None:
    made, started = bench(lambda words: ran(others=1.0))
    found = made.measure(workload(A), rounds=5, repeats=2)
    assert (found.rounds, len(found.discarded), len(started)) == ([], 3, 3)


def test_where_nobody_counts_the_results_say_so(bench: Callable[..., tuple[Bench, list[str]]]) -> None:
    made, _ = bench(lambda words: ran(others=None))
    found = made.measure(workload(A), rounds=1, repeats=0)
    assert not found.guarded
    assert "does not say what other processes used" in tables.notes(found)[1]


@pytest.mark.parametrize("needs", ["no_such_package", "no_such_package.part"])
def test_a_peer_that_is_not_installed_does_not_compete(
    bench: Callable[..., tuple[Bench, list[str]]], needs: str
) -> None:
    made, started = bench(lambda words: ran())
    found = made.measure(workload(A, Case("peer", ("peer",), needs=needs)), rounds=1, repeats=0)
    assert started == ["a"]
    assert found.absent == {"peer": f"{needs} is not installed"}


def test_a_contender_that_fails_when_tried_does_not_compete(
    bench: Callable[..., tuple[Bench, list[str]]], tmp_path: Path
) -> None:
    made, started = bench(lambda words: ran(code=int(words == "b")), Settings(tmp_path))
    found = made.measure(workload(A, B), rounds=1, repeats=0)
    assert started == ["a", "b", "a"]
    assert found.absent == {"b": "b failed: words / last words"}


def test_only_some_peers_compete_and_trainer_always(bench: Callable[..., tuple[Bench, list[str]]]) -> None:
    made, started = bench(lambda words: ran(laps=[0.0, 1.0, 2.0]), only=["bare"])
    made.measure(WORKLOADS["mnist_lenet"], rounds=1, repeats=0)
    assert [words.split()[1].split(".")[-1] for words in started] == ["trainer", "bare"]


def test_the_fastest_variant_competes(bench: Callable[..., tuple[Bench, list[str]]], tmp_path: Path) -> None:
    case = Case("a", ("a",), variants=(("--workers", "0"), ("--workers", "2")))
    made, started = bench(lambda words: ran(wall=1.0 if words.endswith("2") else 3.0), Settings(tmp_path))
    found = made.measure(workload(case), rounds=2, repeats=0)
    assert started[-2:] == ["a --workers 2"] * 2
    assert found.chosen == {"a": "workers 2"}


def test_processes_find_the_package_and_leave_the_users_cache_alone(
    bench: Callable[..., tuple[Bench, list[str]]], tmp_path: Path
) -> None:
    made, _ = bench(lambda words: ran())
    assert str(ROOT) in made.environment["PYTHONPATH"].split(os.pathsep)
    assert made.environment["TRAINER_CACHE"] == str(tmp_path / "cache")


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_has_contenders_with_names_of_their_own(name: str, tmp_path: Path) -> None:
    for settings in (Settings(tmp_path), Settings(tmp_path, device="cuda").tiny):
        names = [case.name for case in WORKLOADS[name].cases(settings)]
        assert len(set(names)) == len(names) > 0


def test_every_goal_is_about_a_workload_and_its_figures() -> None:
    for goal in goals.GOALS:
        assert goal.figure in WORKLOADS[goal.workload].figures


def test_every_peer_has_its_file() -> None:
    for name in (*PEERS, "trainer"):
        assert (ROOT / "benchmarks" / "contenders" / f"{name}.py").is_file()


# --- tables and the page ------------------------------------------------------------------------------


def test_a_table_has_medians_spreads_and_ratios() -> None:
    table = tables.results(WORKLOADS["batch_64"], Measured(TWO_ROUNDS))
    assert table.markdown().splitlines() == [
        "|  | epoch, s | trainer / it | peak, MiB | trainer / it |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| trainer | 3.00 (2.00-8.00) |  | 1 |  |",
        "| bare | 4.00 (4.00-8.00) | 0.75 (0.50-1.00) | 2 | 0.50 |",
    ]
    assert table.rich().row_count == 2


def test_goals_say_whether_they_are_met() -> None:
    start = [{"trainer": {"first": 2.5}, "import torch": {"first": 1.0, "wall": 1.0}, "trainer --help": {"wall": 0.2}}]
    table = tables.goals({"mnist_lenet": TWO_ROUNDS, "start": start})
    assert [list(row) for row in table.rows] == [
        ["mnist_lenet, epoch: trainer / bare", "<= 0.8", "0.75 (0.50-1.00)", "yes"],
        ["start, time to start: trainer minus import torch", "<= 1 s", "1.50", "no"],
        ["start, process: trainer --help / import torch", "<= 0.3", "0.20", "yes"],
    ]


def record(name: str, device: str = "cpu", date: str = "2026-01-31", **measured: object) -> records.Record:
    machine = {"CPU": "Fast, 2 cores", "torch": "2.11.0"}
    return records.Record(name, device, date, machine, Measured(TWO_ROUNDS, **measured))  # type: ignore[arg-type]


def test_the_page_has_machine_goals_and_a_table_per_workload() -> None:
    told = record("mnist_lenet", discarded=["noise"], chosen={"lightning": "workers 0"}, absent={"keras": "not here"})
    text = page.page([record("line"), told, record("batch_64", "cuda")])
    assert "2026-01-31: CPU Fast, 2 cores, torch 2.11.0." in text
    assert "| mnist_lenet, epoch: trainer / bare | <= 0.8 | 0.75 (0.50-1.00) | yes |" in text
    assert "3 rounds, 1 more discarded. lightning ran with workers 0, its fastest. keras did not compete" in text
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert headings == ["Results", "On the CPU", "Goals", "mnist_lenet", "line", "On a GPU", "batch_64"]


def test_raw_results_are_kept_and_a_newer_one_replaces_an_older(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert records.load(path) == []
    old = [record("line"), record("batch_64"), record("batch_64", "cuda")]
    records.save(path, records.merged(old, [record("batch_64", date="2026-02-01")]))
    found = records.load(path)
    assert [(r.workload, r.device, r.date[-5:]) for r in found] == [
        ("line", "cpu", "01-31"),
        ("batch_64", "cpu", "02-01"),
        ("batch_64", "cuda", "01-31"),
    ]
    assert found[0] == old[0]


def test_other_machines_results_are_taken_into_the_page(tmp_path: Path) -> None:
    records.save(tmp_path / "there.json", [record("batch_64", "cuda")])
    assert main(["--results", str(tmp_path / "results.json"), "--render", str(tmp_path / "there.json")]) == 0
    assert "On a GPU" in (tmp_path / "RESULTS.md").read_text()


def test_nothing_here_names_a_path_of_one_machine() -> None:
    for path in (ROOT / "benchmarks").rglob("*"):
        if path.suffix in (".py", ".md", ".json"):
            assert not re.search(r"/(root|home/\w+|work)/", path.read_text(encoding="utf-8")), path


# --- the command --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["mnist_lenets"], "'mnist_lenets' is not a workload: see --list"),
        (["--only", "fastai"], "'fastai' is not a peer: bare,"),
        (["--write", "--limit", "9"], "its figures are not written"),
        (["--render", "nothing.json"], "nothing.json: no such file"),
    ],
)
def test_a_mistake_ends_before_anything_runs(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_a_workload_without_its_data_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist_lenet", "--data", str(tmp_path)]) == 0
    assert "mnist_lenet is left out" in capsys.readouterr().out


@pytest.mark.slow
def test_a_tiny_workload_runs_end_to_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["line", "--rounds", "1", "--limit", "3", "--tolerance", "99"]) == 0
    out = capsys.readouterr().out
    assert "line: round 1 of 1" in out
    assert re.search(r"bare +\d\.\d{3} +\d+\.\d{2}", out)
    assert "line, fit: trainer / bare" in out


# --- trainer's insides --------------------------------------------------------------------------------


def test_epochs_and_the_first_batch_are_stamped(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, first = Watch(), list[float]()
    before = time.monotonic()
    with inside.fit(inside.stamped(watch, first)):
        inside.command("train", *QUICK, "epochs=3")
    assert len(watch.laps) == 4  # three starts and the end
    assert before < watch.laps[0] < first[0] < watch.laps[1] < watch.laps[3]
    monkeypatch.setenv("BENCHMARK_REPORT", "report.json")
    watch.write(first=first[0])
    assert json.loads(Path("report.json").read_text()) == {"laps": watch.laps, "first": first[0]}


def test_epochs_with_and_without_hooks_take_turns(trainer: Trainer) -> None:
    on, off = list[float](), list[float]()
    with inside.terminal(Path("screen")), inside.fit(inside.alternating(on, off)):
        inside.command("train", *QUICK, "epochs=5", "checkpoint.every_epochs=1")
    assert (len(on), len(off)) == (2, 2)
    (log,) = Path().rglob("metrics.jsonl")
    # Warm-up, then with, without, without, with.
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [1, 2, 5]
    (done,) = Path().rglob("result.json")
    assert json.loads(done.read_text())["status"] == "completed"
    assert "\x1b[" in Path("screen").read_text()  # as on a terminal


def test_training_is_as_before_once_it_has_been_watched(trainer: Trainer) -> None:
    from trainer.engine import loop
    from trainer.run import training

    before = training.fit
    with inside.fit(inside.timed([])):
        assert training.fit is not before
    assert training.fit is loop.fit is before
