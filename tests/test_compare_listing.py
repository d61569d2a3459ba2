"""`trainer runs`: which runs are found, what is said of each, what differs, and how they are chosen and sorted."""

import csv
import fcntl
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer
from left_behind import leave, result, sweep
from omegaconf import OmegaConf

from trainer.compare import listing, settings, where
from trainer.config import registry
from trainer.config.composition import CONFIGS
from trainer.system.errors import ConfigError

WHEN = "2026-01-{:02}_12-00-00"


def some(count: int = 6) -> list[dict[str, Any]]:
    """Runs of random rates and accuracies below ./runs/some; what they are like."""
    rng = random.Random(0)
    made = []
    for n in range(count):
        facts = {"lr": rng.choice([0.1, 0.01, 1e-3]), "seed": n % 2, "model": rng.choice(["lenet", "mlp"])}
        accuracy = round(rng.random(), 4)
        path = leave(Path("runs/some") / WHEN.format(n + 1), result(accuracy), [f"optim.lr={facts['lr']}"], **facts)
        made.append({"path": str(path), "accuracy": accuracy, **facts})
    return made


def paths(ran: Any) -> list[str]:
    """The paths in what `--json` printed."""
    assert ran.code == 0, ran.err
    return [run["path"] for run in json.loads(ran.out)]


# --- found ----------------------------------------------------------------------------------------------


def test_every_run_and_sweep_below_a_folder_is_a_line_and_jobs_where_they_are_asked_for(trainer: Trainer) -> None:
    run = leave(Path("runs/group/first") / WHEN.format(1), result())
    swept = sweep(Path("runs/sweeps/sweep") / WHEN.format(2), {(0.1, 0): 0.5, (0.01, 0): 0.7})
    Path("runs/empty/folder").mkdir(parents=True)
    Path("runs/notes.txt").write_text("no run")
    Path("runs/linked").symlink_to(run.parent.absolute())
    assert set(paths(trainer("runs", "--json"))) == {str(run), str(swept)}
    jobs = {str(swept / "0"), str(swept / "1")}
    assert set(paths(trainer("runs", "--json", "runs.jobs=true"))) == {str(run), str(swept), *jobs}
    assert set(paths(trainer("runs", str(swept), "--json"))) == {str(swept), *jobs}
    table = trainer("runs")
    assert table.code == 0, table.err
    assert str(swept) in table.out
    assert "completed, 2 jobs, best 1" in table.out
    assert "70.00%" in table.out


def test_a_sweep_has_the_figures_and_the_config_of_its_best_job(trainer: Trainer) -> None:
    sweep(Path("runs/s") / WHEN.format(1), {(0.1, 0): 0.5, (0.01, 0): 0.7, (0.001, 0): None})
    (found,) = json.loads(trainer("runs", "--json").out)
    assert (found["kind"], found["jobs"], found["best_job"]) == ("sweep", 3, 1)
    assert found["objective"]["value"] == 0.7
    assert found["config"]["optim.lr"] == 0.01
    assert found["seconds"] == 6.0


def test_what_is_not_there_and_what_is_empty_is_said(trainer: Trainer) -> None:
    assert "runs: no such file or directory" in trainer("runs").err
    Path("runs").mkdir()
    assert "there is no run in runs" in trainer("runs").err
    assert json.loads(trainer("runs", "--json").out) == []
    leave(Path("runs/a") / WHEN.format(1), result())
    ran = trainer("runs", "runs.status=failed")
    assert ran.code == 2
    assert "none of the 1 run in runs fits" in ran.err
    assert "file" in trainer("runs", "runs/a/" + WHEN.format(1) + "/config.yaml").err


# --- status ---------------------------------------------------------------------------------------------


def test_each_status_is_told_and_can_be_chosen_by(trainer: Trainer) -> None:
    top = Path("runs/some")
    wanted = {"completed": leave(top / "completed", result())}
    wanted |= {status: leave(top / status, result(status=status)) for status in ("failed", "interrupted")}
    wanted |= {"running": leave(top / "running"), "unfinished": leave(top / "unfinished")}
    wanted["broken"] = leave(top / "broken")
    (wanted["broken"] / "result.json").write_text('{"status": 1}')
    handle = os.open(wanted["running"], os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # as a training holds it
        assert {run["path"]: run["status"] for run in json.loads(trainer("runs", "--json").out)} == {
            str(path): status for status, path in wanted.items()
        }
        for status, path in wanted.items():
            assert paths(trainer("runs", "--json", f"runs.status={status}")) == [str(path)]
        both = paths(trainer("runs", "--json", "runs.status=failed,unfinished"))
        assert set(both) == {str(wanted["failed"]), str(wanted["unfinished"])}
    finally:
        os.close(handle)
    shown = trainer("runs").out
    assert "unfinished, epoch 3 " in shown
    assert "interrupted, epoch 3 " in shown
    ran = trainer("runs", "runs.status=complete")
    assert ran.code == 2
    assert "did you mean 'completed'?" in ran.err


def test_a_sweep_that_is_not_done_says_so(trainer: Trainer) -> None:
    values: dict[tuple[float, int], float | None] = {(0.1, 0): 0.5, (0.01, 0): 0.7}
    sweep(Path("runs/a"), values, ["completed", "failed"])
    sweep(Path("runs/b"), values, ["completed", "interrupted"])
    (sweep(Path("runs/c"), values) / "sweep.jsonl").write_text("{}\n{}\n")
    found = {run["path"]: run["status"] for run in json.loads(trainer("runs", "--json").out)}
    assert found == {"runs/a": "failed", "runs/b": "interrupted", "runs/c": "broken"}
    assert "failed, 1 of 2 jobs, best 1" in trainer("runs").out


# --- chosen and sorted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("optim.lr>0.001", lambda run: run["lr"] > 0.001),
        ("optim.lr<=0.01 and seed=1", lambda run: run["lr"] <= 0.01 and run["seed"] == 1),
        ("model=mlp", lambda run: run["model"] == "mlp"),
        ("model != 'mlp' and test/accuracy >= 50%", lambda run: run["model"] != "mlp" and run["accuracy"] >= 0.5),
        ("val/accuracy<0.5", lambda run: run["accuracy"] < 0.5),
        ("optim.lr==1e-2", lambda run: run["lr"] == 0.01),
        ("when>2026-01-04", lambda run: run["path"][-19:] > "2026-01-04"),
        ("clip_norm=null AND optim.amsgrad=false", lambda run: True),
        ("seed=true", lambda run: False),
        ("optim.betas='[0.9,0.999]'", lambda run: True),
    ],
)
@pytest.mark.usefixtures("empty")
def test_comparisons_choose_as_a_plain_loop_does(text: str, holds: Any) -> None:
    made = some(12)
    chosen = listing.chosen(listing.collected(["runs"]), text, None)
    assert {str(entry.path) for entry in chosen} == {run["path"] for run in made if holds(run)}


@pytest.mark.parametrize(
    "text", ["", "optim.lr", "optim.lr>", "optim.lr>0.1 or seed=1", "seed=0 seed=1", "seed=0 and", "__import__('os')"]
)
def test_what_is_no_comparison_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"runs\.where="):
        where.read(text)


def test_a_key_that_no_run_has_is_told(trainer: Trainer) -> None:
    some(2)
    for word in ("runs.where=optim.lrr>1", "runs.sort=optim.lrr"):
        ran = trainer("runs", word)
        assert ran.code == 2
        assert "no run here has optim.lrr" in ran.err
        assert "did you mean 'optim.lr'?" in ran.err


@pytest.mark.parametrize(
    ("by", "order", "reverse"),
    [
        ("when", "path", True),
        ("+when", "path", False),
        ("test/accuracy", "accuracy", True),
        ("-test/accuracy", "accuracy", True),
        ("+test/accuracy", "accuracy", False),
        ("objective", "accuracy", True),
        ("optim.lr", "lr", False),
        ("-optim.lr", "lr", True),
        ("model", "model", False),
    ],
)
@pytest.mark.usefixtures("empty")
def test_runs_are_sorted_as_pythons_sort_does(by: str, order: str, reverse: bool) -> None:
    made = {run["path"]: run[order] for run in some(12)}
    found = [made[str(entry.path)] for entry in listing.ordered(listing.collected(["runs"]), by)]
    assert found == sorted(made.values(), reverse=reverse)


def test_runs_are_chosen_sorted_and_limited_by_the_command_line(trainer: Trainer) -> None:
    made = [run for run in some(12) if run["seed"] == 1 and run["accuracy"] > 0.2]
    best = sorted(made, key=lambda run: run["accuracy"], reverse=True)
    words = ("runs.where=seed=1 and test/accuracy>20%", "runs.sort=-test/accuracy", "runs.limit=2")
    assert paths(trainer("runs", "--json", *words)) == [run["path"] for run in best[:2]]


def test_runs_without_the_figure_come_last(trainer: Trainer) -> None:
    for name, accuracy in (("a", 0.1), ("b", None), ("c", 0.3)):
        leave(Path("runs") / name, result(accuracy))
    for by, order in (("test/accuracy", "cab"), ("+test/accuracy", "acb")):
        assert "".join(path[-1] for path in paths(trainer("runs", "--json", f"runs.sort={by}"))) == order


# --- what differs ---------------------------------------------------------------------------------------


def test_only_keys_that_differ_have_a_column(trainer: Trainer) -> None:
    for n, lr in enumerate((0.1, 0.01)):
        leave(Path("runs/a") / WHEN.format(n + 1), result(), [f"optim.lr={lr}"], lr=lr)
    header = trainer("runs").out.splitlines()[0].split()
    assert header == ["run", "when", "status", "val/accuracy", "test/accuracy", "time", "optim.lr"]
    leave(Path("runs/b") / WHEN.format(3), result(), ["model=mlp"], model="mlp", seed=4)
    header = trainer("runs").out.splitlines()[0].split()
    assert set(header[6:]) == {"optim.lr", "model", "seed"}
    assert header[6] == "model"  # what is chosen comes before the keys of it


@pytest.mark.usefixtures("empty")
def test_on_a_terminal_keys_have_columns_as_far_as_they_fit() -> None:
    entries = listing.collected([str(leave(Path(name), result(), lr=lr)) for name, lr in (("a", 1), ("b", 2))])
    keys = ["optim.lr", "seed", "no", "one"]
    header, rows, rest = listing.table(entries, keys)
    assert (header[6:], rest) == (keys, [])
    wide = sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True)) - 2
    for width, columns in ((wide, 10), (wide - 1, 9), (0, 6)):
        header, rows, rest = listing.table(entries, keys, width)
        assert (len(header), {len(row) for row in rows}, rest) == (columns, {columns}, keys[columns - 6 :])


def test_the_keys_that_differ_are_those_of_a_plain_loop() -> None:
    class Made:
        def __init__(self, config: dict[str, Any]) -> None:
            self.config, self.typed = config, []

    rng = random.Random(1)
    keys = [f"optim.k{n}" for n in range(8)]
    for _ in range(50):
        configs = [{key: rng.choice([1, 1, 1, "a", [1]]) for key in keys if rng.random() < 0.9} for _ in range(3)]
        wanted = {key for key in keys if len({json.dumps(config.get(key)) for config in configs}) > 1}
        readable = [config for config in configs if config]
        if len(readable) == len(configs):
            assert set(listing.differing([Made(config) for config in configs])) == wanted  # type: ignore[misc]


# --- config.yaml, read quickly --------------------------------------------------------------------------


def plainly(path: Path) -> dict[str, Any]:
    """The same by OmegaConf."""

    def flat(values: dict[str, Any], above: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in values.items():
            found |= flat(value, f"{above}{key}.") if isinstance(value, dict) and value else {f"{above}{key}": value}
        return found

    read = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(read, dict)
    return flat(read, "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        {"a": [0.9, 1e-8], "b": {"c": None, "d": {"e": [], "f": {}}}, "g": "x", "h": True, "i": -3, "j": 1e20},
        {"a": "text with: colon", "b": "'quoted'", "c": "# no comment", "d": "true", "e": "1.5", "f": "", "g": "- x"},
        {"a": "word " * 40, "b": "two\nlines", "c": "Preço", "d": {"e": ["a b", "c: d", None, True]}, "f": "null"},
        {"a": "${oc.env:X,'~/.cache: y'}", "b": ["${a}"], "c": "1:30", "d": "yes", "e": "1_000", "f": "0x1f", "g": "~"},
        {"a": [{"b": 1}], "c": "2026-01-31", "d": {"e": {"f": {"g": 1}}, "h": 2}, "i": 0.1, "j": "*star", "k": "a #b"},
        {"a": [[1, 2], [3]], "a key": 1, "b": "ends:", "c": "@x", "d": "`x", "e": "%x", "f": "{x", "g": "[x"},
    ],
)  # fmt: skip
def test_a_config_that_is_written_is_read_as_a_parser_reads_it(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(values)))
    assert settings.of(tmp_path) == plainly(tmp_path / "config.yaml")


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml")))
def test_the_recipes_configs_are_read_as_a_parser_reads_them(tmp_path: Path, name: str) -> None:
    from test_configs import compose

    (tmp_path / "config.yaml").write_text(compose("train", f"experiment={name}").to_yaml())
    found = settings.of(tmp_path)
    assert {key: value for key, value in found.items() if key not in registry.GROUPS} == plainly(
        tmp_path / "config.yaml"
    )
    assert found["optim"] == plainly(tmp_path / "config.yaml")["optim.name"]


@pytest.mark.parametrize(
    "written", ["a: &x [*x]", "a: [1", "\0", "- a", "just words", "a: 1\n  b: 2", "a:\n- 1\n b: 2"]
)
def test_a_config_of_somebody_elses_is_read_or_left(tmp_path: Path, written: str) -> None:
    (tmp_path / "config.yaml").write_text(written)
    assert isinstance(settings.of(tmp_path), dict)


# --- files ----------------------------------------------------------------------------------------------


def test_a_listing_is_written_as_a_table(trainer: Trainer) -> None:
    import polars

    made = {run["path"]: run for run in some(5)}
    for name in ("runs.csv", "runs.jsonl", "runs.parquet"):
        ran = trainer("runs", f"runs.out={name}", "runs.sort=optim.lr")
        assert ran.code == 0, ran.err
        assert f"5 lines in {name}" in ran.out
    rows: list[list[dict[str, Any]]] = [
        list(csv.DictReader(io.StringIO(Path("runs.csv").read_text()))),
        [json.loads(line) for line in Path("runs.jsonl").read_text().splitlines()],
        polars.read_parquet("runs.parquet").to_dicts(),
    ]
    for found in rows:
        assert [float(row["optim.lr"]) for row in found] == sorted(run["lr"] for run in made.values())
        assert all(float(row["test/accuracy"]) == made[row["path"]]["accuracy"] for row in found)
    ran = trainer("runs", "runs.out=runs.txt")
    assert ran.code == 2
    assert "runs.txt" in ran.err


def test_a_name_that_a_spreadsheet_would_compute_is_a_text(trainer: Trainer) -> None:
    leave(Path("runs/a"), result(), model="lenet")
    leave(Path("runs/b"), result(), model="=1+1")
    assert trainer("runs", "runs.out=runs.csv").code == 0
    assert "'=1+1" in Path("runs.csv").read_text()


# --- strangers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("result.json", '{"status": "completed"}'),
        ("result.json", "[" * 100_000),
        ("result.json", '{"status": "completed", "metrics": {"a": "b"}, "objective": {}, "best_epoch": 1}'),
        ("config.yaml", "a: &a [1]\nb: *a\n"),
        ("config.yaml", "seed: \x1b[31m\n"),
        ("config.yaml", "x" * 2**19),
        ("overrides.yaml", "- '\x1b[31mred'\n"),
        ("overrides.yaml", "- {a: b}\n"),
        ("origin.json", '{"parent": {"path": 3}}'),
        ("metrics.jsonl", "no row\n"),
    ],
)
def test_one_broken_run_breaks_no_listing(trainer: Trainer, name: str, content: str) -> None:
    good, bad = leave(Path("runs/good"), result()), leave(Path("runs/bad"), result(), origin={})
    (bad / name).write_text(content)
    assert set(paths(trainer("runs", "--json"))) == {str(good), str(bad)}
    for words in ((), (str(bad),), (str(good), str(bad))):
        ran = trainer("runs", *words)
        assert ran.code == 0, ran.err
        assert "\x1b[31m" not in ran.out + ran.err


@pytest.mark.parametrize("name", ["result.json", "config.yaml", "overrides.yaml", "origin.json", "metrics.jsonl"])
def test_nothing_is_read_through_a_link(trainer: Trainer, name: str) -> None:
    secret = Path("secret").absolute()
    secret.mkdir()
    for kept in (leave(secret / "run", result(0.123456), ["seed=77"], seed=77, origin={"parent": {"path": "77"}}),):
        run = leave(Path("runs/run"), result(), origin={})
        (run / name).unlink()
        (run / name).symlink_to(kept / name)
    for words in (("--json",), (str(run), "--json"), (str(run),)):
        ran = trainer("runs", *words)
        assert ran.code == 0, ran.err
        assert "77" not in ran.out
        assert "0.123456" not in ran.out


def test_a_folder_of_very_many_entries_is_searched(trainer: Trainer) -> None:
    folder = Path("runs/data")
    folder.mkdir(parents=True)
    for n in range(3000):
        (folder / f"{n}.jpg").touch()
    run = leave(Path("runs/a"), result())
    assert paths(trainer("runs", "--json")) == [str(run)]


@pytest.mark.usefixtures("empty")
def test_runs_are_listed_without_torch() -> None:
    code = """
import sys
from trainer.cli.main import main
for words in (["runs"], ["runs", "--json"], ["runs", "runs/a", "runs/b"], ["runs", "runs/a"], ["runs", "--cfg", "job"]):
    assert main(words) == 0, words
    assert "torch" not in sys.modules, words
"""
    for name in ("a", "b"):
        leave(Path("runs") / name, result())
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
