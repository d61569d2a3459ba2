"""`search=optuna`: what is asked for, what is tried, and what becomes of trials that fail or are hopeless."""

import csv
import json
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import running
from conftest import Trainer
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from running import QUICK, SILENT
from sweeping import job
from test_configs import compose

from trainer.config import registry
from trainer.config.search import Optuna
from trainer.data.loading import load_dataset
from trainer.engine.objective import choose_objective
from trainer.engine.state import State
from trainer.sweeps.results.figures import figures
from trainer.sweeps.search import ranges, study
from trainer.sweeps.search.goal import Goal, goal
from trainer.sweeps.search.pruning import Pruning
from trainer.system.errors import ConfigError

SEARCH = ("-m", "search=optuna", "search.trials=4")
RATE = "optim.lr=tag(log,interval(1e-4,1))"
# The loss of a line that is fitted for three epochs: it hangs on the learning rate alone, smoothly.
LINE = (*SILENT, "experiment=line", "name=sweep", "epochs=3", "data.val_fraction=0.25", "evaluate.split=val")


def swept(name: str = "sweep") -> Path:
    (directory,) = Path("runs/sweeps", name).iterdir()
    return directory


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "sweep.jsonl").read_text().splitlines()]


def trials(directory: Path) -> list[optuna.trial.FrozenTrial]:
    """The trials of the journal, read as anybody reads it."""
    backend = optuna.storages.journal.JournalFileBackend(str(directory / "study.journal"))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name=None, storage=storage).trials


def space(*words: str) -> ranges.Space:
    return ranges.space(OverridesParser.create().parse_overrides(list(words)))


# --- what may be asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("x=interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("x=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1.0, log=True)),
        ("x=range(1,9)", IntDistribution(1, 8)),
        ("x=range(16,257,16)", IntDistribution(16, 256, step=16)),
        ("x=range(1,9,3)", IntDistribution(1, 7, step=3)),
        ("x=range(9,1,-4)", IntDistribution(5, 9, step=4)),
        ("x=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("x=int(interval(1,8))", IntDistribution(1, 8)),
        ("x=int(tag(log,interval(8,64)))", IntDistribution(8, 64, log=True)),
        ("x=tag(log,int(interval(8,64)))", IntDistribution(8, 64, log=True)),
        ("x=choice(a,b)", CategoricalDistribution(("a", "b"))),
        ("x=a,b,a", CategoricalDistribution(("a", "b"))),
        ("x=0.5,null,true", CategoricalDistribution(("0.5", "null", "true"))),
        ("x=[1,2],'a b'", CategoricalDistribution(("[1,2]", "'a b'"))),
    ],
)
def test_a_range_of_hydras_is_a_distribution_of_optunas(word: str, expected: BaseDistribution) -> None:
    found = space(f"++{word}", "y=5", "~z")
    assert found.ranges == {"x": expected}
    assert found.fixed == ["y=5", "~z"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("x=interval(1,0)", "ends before it begins"),
        ("x=tag(log,interval(0,1))", "begins above 0"),
        ("x=interval(0,inf)", "finite ends"),
        ("x=range(3,3)", "no value is in this range"),
        ("x=tag(log,range(1,9))", "steps do not go with log"),
        ("x=tag(log,choice(a,b))", "log goes with numbers"),
        ("x=tag(lag,interval(1,2))", "no such tag"),
        ("x=5", "nothing to search"),
        ("seed=0,1", "the seed that was lucky"),
        ("sweep=serial,parallel", "in one way"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(word)


def test_a_trials_numbers_are_short_and_within_their_range() -> None:
    found = space("++a=interval(0,1)", "b=tag(log,interval(1e-9,1e-5))", "++c=0.5,0.25", "search=optuna", "d=1")
    values = {"a": 0.123456789, "b": 1.23456789e-7, "c": "0.25"}
    trial = optuna.create_trial(params=values, distributions=found.ranges, value=0.0)
    assert found.overrides(trial) == ["d=1", "++a=0.123457", "b=1.23457e-07", "++c=0.25"]
    edge = space("a=interval(0.12345678,0.12345679)")
    trial = optuna.create_trial(params={"a": 0.123456785}, distributions=edge.ranges, value=0.0)
    assert edge.overrides(trial) == ["a=0.123456785"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("-m", "optim.lr=interval(0,1)"), "optim.lr=interval(0,1): an interval", "add search=optuna"),
        (("-m", "search=optuna", "optim.lr=0.1"), "nothing to search", "interval(1e-4,1)"),
        (("search=optuna", "optim.lr=0.1"), "goes with -m", "trainer train -m search=optuna"),
        (("-m", "search=optuna", "search.trials=0", RATE), "search.trials=0: out of range", "at least 1"),
        (("-m", "search=optuna", "search.pruner=x", RATE), "search.pruner=x: no such choice", "median"),
        (("-m", "search.trials=5", "seed=0,1"), "search.trials: no such key", ""),
        (("-m", "search=optuna", "optim.rl=interval(0,1)"), "optim.rl: no such key", "choose from: amsgrad"),
        (("-m", "search=optuna", "optim.lr=interval(-2,-1)"), "optim.lr=-1.5: out of range", "above 0"),
        (("-m", "search=optuna", RATE, "data=csv", "data.path=a.csv", "data.target=b"), "a.csv: no such file", ""),
    ],
)
def test_a_mistake_is_one_line_and_a_hint_and_starts_nothing(
    trainer: Trainer, words: tuple[str, ...], message: str, hint: str
) -> None:
    ran = trainer("train", *words)
    assert ran.code == 2
    said = ran.err.splitlines()
    assert len(said) == 2
    assert message in said[0]
    assert hint in said[1]
    assert list(Path().iterdir()) == []


def test_without_optuna_it_is_said_how_to_install_it(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = trainer("train", *SEARCH, RATE, *QUICK)
    assert ran.code == 2
    assert ran.err == "error: search=optuna needs Optuna, which is not installed\n  pip install 'trainer-cli[search]'\n"


@pytest.mark.parametrize("data", ["digits", "diabetes", "regression", "line", "quadratic"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_the_goal_is_known_before_the_data_are_read(empty: Path, data: str, split: str) -> None:
    config = compose("train", f"data={data}", f"evaluate.split={split}", "model=linear")
    watched = choose_objective(config, load_dataset(config, lambda items, *_: items), split)
    found = goal(config)
    assert (found.names[0], found.direction) == (watched.name, watched.direction)


@pytest.mark.parametrize(("last", "name"), [("yes", "val/accuracy"), ("2.75", "val/loss")])
def test_the_goal_of_a_table_is_that_of_its_target(empty: Path, last: str, name: str) -> None:
    lines = [f"{i / 7},{'no' if last == 'yes' else i / 3}" for i in range(20)] + [f"3.5,{last}"] * 2
    Path("t.csv").write_text("\n".join(["x,y", *lines]))
    config = compose("train", "data=csv", "data.path=t.csv", "data.target=y", "model=linear")
    assert goal(config).names[0] == name
    assert config.model is None  # it is read for this alone


def test_every_data_set_says_whether_it_has_classes() -> None:
    known = {name: cls.classifies for name, cls in registry.sections("data").items()}
    regression = {"diabetes", "regression", "line", "quadratic"}
    assert known == {name: None if name == "table" else name not in regression for name in known}


# --- what is tried ------------------------------------------------------------------------------------


def test_a_search_has_so_many_trials_in_directories_of_their_numbers(trainer: Trainer) -> None:
    ran = trainer("train", *SEARCH, RATE, "optim.weight_decay=interval(0,0.1)", *QUICK)
    assert ran.code == 0, ran.err
    directory = swept()
    assert {path.name for path in directory.iterdir() if path.is_dir()} == set("0123")
    assert [line["job"] for line in lines(directory)] == [0, 1, 2, 3]
    found = trials(directory)
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 4
    for trial, line in zip(found, lines(directory), strict=True):
        assert trial.value == line["value"] == running.result(directory / str(line["job"]))["objective"]["value"]
        assert trial.intermediate_values == {1: running.rows(directory / str(line["job"]))[0]["val/accuracy"]}
        for key, value in trial.params.items():
            assert float(line["overrides"][key]) == pytest.approx(value, rel=1e-5)
    with (directory / "results.csv").open(newline="") as file:
        best = next(csv.DictReader(file))
    assert float(best["value"]) == max(trial.value or 0 for trial in found)
    again = next(line for line in ran.out.splitlines() if line.split()[:1] == ["best"])
    assert f"optim.lr={best['optim.lr']} optim.weight_decay={best['optim.weight_decay']}" in " ".join(ran.out.split())
    assert "search" not in again
    assert {path.name for path in directory.iterdir() if path.is_file()} == {
        *(
            "overrides.yaml",
            "plan.json",
            "report.html",
            "results.csv",
            "sweep.jsonl",
            "study.journal",
            "study.journal.lock",
        )
    }


def searched(directory: Path, trials: int, **keys: Any) -> optuna.Study:
    """A search for the least value, 0, of a function of two numbers, which is at (0.3, 0.1)."""
    directory.mkdir()
    settings = Optuna(startup=5, **keys)
    opened = study.Opened(directory, settings, 1, "min")
    wanted = space("x=interval(0,1)", "y=tag(log,interval(1e-4,1))").ranges
    for number in range(trials):
        trial = opened.ask(wanted, settings)
        opened.study.tell(number, (trial.params["x"] - 0.3) ** 2 + (math.log10(trial.params["y"]) + 1) ** 2)
    return opened.study


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
def test_the_same_is_tried_again_with_the_same_seed_only(tmp_path: Path, sampler: str) -> None:
    seeds = {"a": 0, "b": 0, "c": 1}
    found = {name: searched(tmp_path / name, 7, sampler=sampler, seed=seed) for name, seed in seeds.items()}
    tried = {name: [trial.params for trial in one.trials] for name, one in found.items()}
    assert tried["a"] == tried["b"] != tried["c"]
    assert len({str(params) for params in tried["a"]}) == 7


def _worst_if_failed(trial: FrozenTrial) -> FrozenTrial:
    """A trial that failed as one with a value that is worse than any other, in a search for the least."""
    if trial.state is TrialState.FAIL:
        trial.state, trial.values = TrialState.COMPLETE, [math.inf]
    return trial


def test_a_search_leaves_the_values_with_which_trials_fail_though_the_first_ones_do(tmp_path: Path) -> None:
    settings = Optuna(startup=5)
    opened = study.Opened(tmp_path, settings, 1, "max")
    wanted = space("x=interval(0,1)").ranges
    tried = []
    for number in range(30):
        x = opened.ask(wanted, settings).params["x"]
        tried.append(x)
        if number < 5 or x > 0.3:
            opened.study.tell(number, state=TrialState.FAIL)
        else:
            opened.study.tell(number, 1 - x)
    assert sum(x <= 0.3 for x in tried[20:]) > 5  # of 10; by chance it would be 3


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
def test_what_is_chosen_is_what_optuna_chooses_with_the_whole_study_before_it(
    tmp_path: Path, sampler: str, pruner: str
) -> None:
    """Several trials at once, of which one is pruned and one fails; and a study that is opened anew, as on a resume."""
    settings = Optuna(startup=3, sampler=sampler, pruner=pruner)
    wanted = space("x=interval(0,1)", "y=tag(log,interval(1e-4,1))", "z=a,b").ranges
    opened = study.Opened(tmp_path, settings, 4, "min")
    endings = [TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    for number in range(10):
        oracle = optuna.create_study(
            study_name=study.NAME, sampler=study.sampler(settings, number), pruner=opened.study.pruner
        )
        oracle.add_trials([_worst_if_failed(trial) for trial in opened.study.trials])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Clip non-finite values")
            expected = oracle.ask(wanted).params
        trial = opened.ask(wanted, settings)
        assert trial.params == expected
        opened.storage.set_trial_intermediate_value(study.trial_id(opened.storage, number), 1, trial.params["x"])
        if number >= 2:
            before = opened.study.trials[number - 2]
            state = endings[number % 4]
            value = before.params["x"] ** 2 if state is TrialState.COMPLETE else None
            opened.study.tell(before.number, value, state)
        if number == 5:
            opened = study.Opened(tmp_path, settings, 4, "min")
    journal = (tmp_path / "study.journal").read_text().splitlines()
    assert sum('"distributions"' in line for line in journal) == 10  # a line each, with all its values


def test_what_is_chosen_is_better_than_chance(tmp_path: Path) -> None:
    def mean(sampler: str) -> float:
        return sum(searched(tmp_path / f"{sampler}{s}", 30, sampler=sampler, seed=s).best_value for s in range(4)) / 4

    assert mean("tpe") < mean("random")


def test_a_search_finds_better_than_the_default(trainer: Trainer) -> None:
    ran = trainer("train", "-m", "search=optuna", "search.trials=8", "search.startup=4", RATE, *LINE)
    assert ran.code == 0, ran.err
    values = [trial.value for trial in trials(swept()) if trial.state == TrialState.COMPLETE]
    default = running.train(trainer, *LINE)
    assert min(v for v in values if v is not None) < running.result(default)["objective"]["value"]


def test_a_search_by_the_test_split_is_warned_of(trainer: Trainer) -> None:
    ran = trainer(
        "train", *SEARCH, "search.trials=1", RATE, *SILENT, "experiment=line", "epochs=1", "evaluate.split=test"
    )
    assert ran.code == 0, ran.err
    assert "warning: the test split picks the best here" in ran.out
    ran = trainer("train", *SEARCH, "search.trials=1", RATE, *LINE, "epochs=1")
    assert "test split picks" not in ran.out


def test_a_dry_run_says_how_many_and_writes_nothing(trainer: Trainer) -> None:
    ran = trainer("train", *SEARCH, RATE, *QUICK, "sweep.dry_run=true")
    assert ran.code == 0, ran.err
    assert "4 new trials, for the highest val/accuracy over optim.lr" in ran.out
    assert list(Path().iterdir()) == []


# --- trials that come to nothing ----------------------------------------------------------------------


def test_a_trial_that_diverges_is_one_of_them(trainer: Trainer) -> None:
    words = (*LINE, "data.batch_size=2", "epochs=5", "search.seed=1")
    ran = trainer("train", *SEARCH, "optim.lr=0.01,1e30", *words)
    assert ran.code == 0, ran.err
    found = trials(swept())
    rates = [trial.params["optim.lr"] for trial in found]
    assert set(rates) == {"0.01", "1e30"}
    states = {"0.01": TrialState.COMPLETE, "1e30": TrialState.FAIL}
    assert [trial.state for trial in found] == [states[rate] for rate in rates]
    assert [line["status"] == "failed" for line in lines(swept())] == [rate == "1e30" for rate in rates]
    before = (swept() / "sweep.jsonl").read_text()
    assert trainer("resume", str(swept())).code == 0  # which has nothing to do
    assert (swept() / "sweep.jsonl").read_text() == before


def test_a_search_of_which_nothing_comes_fails(trainer: Trainer) -> None:
    ran = trainer("train", *SEARCH, "search.trials=2", "optim.lr=interval(1e30,2e30)", *LINE, "epochs=5")
    assert ran.code == 1
    assert "no trial of the search came to a result" in ran.err


def test_a_choice_that_does_not_fit_fails_alone(trainer: Trainer) -> None:
    ran = trainer("train", *SEARCH, "search.trials=5", "model=linear,nosuch,lenet", *LINE)
    assert ran.code == 0, ran.err
    status = {line["overrides"]["model"]: line["status"] for line in lines(swept())}
    assert status == {"linear": "completed", "nosuch": "failed", "lenet": "failed"}


def started(directory: Path, values: dict[int, list[float]], direction: str = "max") -> Optuna:
    """A study with trials that had these values after each epoch; the last trial runs."""
    settings = Optuna(startup=2)
    opened = study.Opened(directory, settings, 3, direction)
    for number, reported in values.items():
        trial = opened.study.ask()
        for epoch, value in enumerate(reported, start=1):
            opened.storage.set_trial_intermediate_value(study.trial_id(opened.storage, number), epoch, value)
        if number < len(values) - 1:
            opened.study.tell(trial, reported[-1])
    return settings


@pytest.mark.parametrize(
    ("value", "direction", "hopeless"),
    [(0.4, "max", True), (0.6, "max", False), (0.4, "min", False), (0.6, "min", True)],
)
def test_a_trial_below_the_median_is_hopeless(tmp_path: Path, value: float, direction: Any, hopeless: bool) -> None:
    settings = started(tmp_path, {0: [0.3, 0.5], 1: [0.5, 0.7], 2: [0.5, 0.6], 3: []}, direction)
    hook = Pruning(tmp_path, 3, Goal(("val/x", "test/x"), direction), settings, 3, 3)
    state = State(epoch=1, step=5)
    hook.on_epoch(state, {"epoch": 1, "test/x": value})
    assert bool(state.stop) == hopeless
    assert trials(tmp_path)[3].intermediate_values == {1: value}
    if hopeless:
        assert state.stop == f"pruned: val/x {value:.4g} after epoch 1"


def test_what_was_reported_before_is_not_reported_again(tmp_path: Path) -> None:
    settings = started(tmp_path, {0: [0.3, 0.5], 1: [0.5, 0.7], 2: [0.9]})
    hook = Pruning(tmp_path, 2, Goal(("val/x",), "max"), settings, 3, 3)
    hook.on_epoch(State(epoch=1, step=5), {"epoch": 1, "val/x": 0.1})
    assert trials(tmp_path)[2].intermediate_values == {1: 0.9}


def pruning(directory: Path, settings: Optuna, number: int) -> Pruning:
    """As another process has it."""
    return Pruning(directory, number, Goal(("val/x",), "max"), settings, 3, 3)


@pytest.mark.parametrize("interrupted", [0, 15])
def test_a_trial_that_was_hopeless_when_it_was_killed_stops_at_once(tmp_path: Path, interrupted: int) -> None:
    settings = started(tmp_path, {0: [0.3, 0.5], 1: [0.5, 0.7], 2: []})
    pruning(tmp_path, settings, 2).on_epoch(State(epoch=1, step=5, interrupted=interrupted), {"epoch": 1, "val/x": 0.1})
    fresh, resumed, again = State(), State(epoch=1, step=5), State(epoch=1, step=5)
    hook = pruning(tmp_path, settings, 2)
    hook.on_start(fresh)
    hook.on_start(resumed)
    assert not fresh.stop
    assert resumed.stop == "pruned: val/x 0.1 after epoch 1"
    hook.on_epoch(again, {"epoch": 1, "val/x": 0.1})  # from a checkpoint before the epoch
    assert again.stop == resumed.stop


def test_a_trial_that_went_on_goes_on_when_it_is_resumed_whatever_the_others_have_come_to(tmp_path: Path) -> None:
    settings = started(tmp_path, {0: [0.3, 0.5], 1: [0.5, 0.7], 2: [0.45], 3: []})
    for epoch, value in ((1, 0.45), (2, 0.65)):
        state = State(epoch=epoch, step=5 * epoch)
        pruning(tmp_path, settings, 3).on_epoch(state, {"epoch": epoch, "val/x": value})
        assert not state.stop
    other = study.Opened(tmp_path, settings, 3, "max")
    for number in (4, 5):
        other.study.ask()
        key = study.trial_id(other.storage, number)
        other.storage.set_trial_intermediate_value(key, 1, 0.9)
        other.study.tell(number, 0.9)
    hook, state = pruning(tmp_path, settings, 3), State(epoch=1, step=5)
    hook.on_start(state)
    hook.on_epoch(state, {"epoch": 1, "val/x": 0.45})
    assert not state.stop


def test_hyperband_prunes_by_its_rungs(tmp_path: Path) -> None:
    started(tmp_path, {0: [0.3, 0.5], 1: [0.5, 0.7], 2: [0.6, 0.8], 3: []})
    settings = Optuna(pruner="hyperband")
    hook = Pruning(tmp_path, 3, Goal(("val/x",), "max"), settings, 9, 2)
    hook.on_epoch(state := State(epoch=1, step=5), {"epoch": 1, "val/x": 0.1})
    assert type(study.pruner(settings, 9)) is optuna.pruners.HyperbandPruner
    assert state.stop == "" or state.stop.startswith("pruned")


def test_without_a_pruner_no_trial_is_ended(trainer: Trainer) -> None:
    ran = trainer("train", *SEARCH, *LINE, RATE, "search.pruner=none", "search.startup=1")
    assert ran.code == 0, ran.err
    assert [trial.state for trial in trials(swept())] == [TrialState.COMPLETE] * 4
    assert [trial.intermediate_values for trial in trials(swept())] == [{}] * 4


def test_the_last_epoch_is_too_late_to_prune(tmp_path: Path) -> None:
    settings = started(tmp_path, {0: [0.3, 0.5], 1: [0.5, 0.7], 2: []})
    hook = Pruning(tmp_path, 2, Goal(("val/x",), "max"), settings, 1, 1)
    state = State(epoch=1, step=5)
    hook.on_epoch(state, {"epoch": 1, "val/x": 0.0})
    assert not state.stop


def test_pruned_trials_are_shown_and_not_ranked(trainer: Trainer) -> None:
    words = (*LINE, "search.startup=2", "search.sampler=random", "search.trials=7")
    ran = trainer("train", *SEARCH, *words, RATE)
    assert ran.code == 0, ran.err
    found = trials(swept())
    pruned = [trial.number for trial in found if trial.state == TrialState.PRUNED]
    assert [line["job"] for line in lines(swept()) if line["status"] == "pruned"] == pruned
    assert pruned
    with (swept() / "results.csv").open(newline="") as file:
        rows = {int(row["job"]): row for row in csv.DictReader(file)}
    for number, row in rows.items():
        kept = running.result(swept() / str(number))
        assert kept["status"] == "completed"
        assert str(kept["stopped"]).startswith("pruned") == (row["status"] == "pruned") == (number in pruned)
        assert (row["rank"] == "") == (number in pruned)
        assert len(running.rows(swept() / str(number))) == len(found[number].intermediate_values)


# --- pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("log", "scale"), [(True, "log"), (False, "linear")])
def test_many_numbers_are_drawn_as_they_were_searched(log: bool, scale: str) -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(0, 1, 40)
    jobs = [
        job(n, None if n % 3 == 0 else 0.5, optim__lr=f"{10 ** (4 * share - 4) if log else share + 0.01:.6g}", seed=0)
        for n, share in enumerate(shares)
    ]
    for one in jobs[::3]:
        one.status, one.value, one.objective = "pruned", 0.1, "val/accuracy"
    ((name, figure),) = figures(jobs)
    assert name == "optim.lr"
    (axes,) = figure.axes
    assert axes.get_xscale() == scale
    assert axes.get_title(loc="left") == "×: pruned"
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in crosses] == [14]
