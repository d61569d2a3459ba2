"""The recording (`python -m tests.recording OLD NEW`): what it calls equal, what it finds, and what it leaves out."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from recording.canonical import left, rewriting, screen
from recording.cases import cases
from recording.comparison import ABSENT, Expected, changes, differences, leaves, same


def found(old: Any, new: Any) -> list[str]:
    return [str(difference) for difference in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        (0.1 + 0.2, 0.3, False),
        ("a", "a", True),
        (None, None, True),
        (torch.ones(2), torch.ones(2), True),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), False),
        (torch.ones(2), torch.ones(1, 2), False),
        (torch.zeros(1), -torch.zeros(1), False),
        (torch.tensor([float("nan")]), torch.tensor([float("nan")]), True),
        (torch.arange(6).reshape(2, 3), torch.arange(6).reshape(3, 2).T.reshape(2, 3), False),
        (torch.tensor(3), 3, False),
    ],
)
def test_leaves_are_equal_if_their_type_and_bits_are(old: object, new: object, equal: bool) -> None:
    assert same(old, new) is equal


def test_equal_trees_have_no_differences_whatever_the_order_of_their_keys() -> None:
    old = {"model": {"w": torch.arange(3.0), "b": torch.zeros(())}, "epoch": 2, "betas": [0.9, 0.999]}
    new = {"betas": [0.9, 0.999], "epoch": 2, "model": {"b": torch.zeros(()), "w": torch.arange(3.0)}}
    assert found(old, new) == []
    assert leaves(old) == 5


def test_each_difference_says_where_and_what() -> None:
    old = {"last.pt: ": {"model": {"w": torch.tensor([1.0, 2.0, 3.0])}, "epoch": 2, "best": None}}
    new = {"last.pt: ": {"model": {"w": torch.tensor([1.0, 2.5, 3.0])}, "epoch": 3, "step": 1}}
    assert found(old, new) == [
        "last.pt: model.w: 1 of 3 values differ, by at most 0.5",
        "last.pt: epoch: 2 has become 3",
        "last.pt: best: None has become absent",
        "last.pt: step: absent has become 1",
    ]
    assert found([1, 2], [1, 3, 4]) == [" (length): 2 has become 3", "[1]: 2 has become 3"]


def test_an_expected_difference_is_that_key_with_those_values_in_any_file() -> None:
    expected = Expected("tensorboard.graph", True, False, "because")
    (wanted,) = differences(
        {"run/config.yaml: ": {"tensorboard": {"graph": True}}},
        {"run/config.yaml: ": {"tensorboard": {"graph": False}}},
    )
    (other,) = differences({"x: ": {"tensorboard": {"graph": False}}}, {"x: ": {"tensorboard": {"graph": True}}})
    (added,) = differences({"x: ": {"data": {}}}, {"x: ": {"data": {"drop_last": "auto"}}})
    assert expected.covers(wanted)
    assert not expected.covers(other)
    assert Expected("data.drop_last", ABSENT, "auto", "because").covers(added)


def test_texts_are_compared_by_line() -> None:
    assert list(changes("a\nb\nc\nd", "a\nB\nc\nD")) == ["-b\n+B", "-d\n+D"]
    assert list(changes("a\n", "a\n")) == []


def test_paths_dates_times_and_digests_say_nothing() -> None:
    rewrite = rewriting({"/old": "<old>", "/old/inner": "<inner>"})
    assert rewrite("in /old/inner/a and /old/b") == "in <inner>/a and <old>/b"
    assert rewrite("runs/line/2026-11-26_01-03-30-2: 1.3 s, 4,620 samples/s") == "runs/line/<date>: <time>, <rate>"
    assert rewrite("cache/digits-a58183ac2da0f741") == "cache/digits-<digest>"
    assert rewrite("90 train, batch 16, lr 0.001, 3 steps") == "90 train, batch 16, lr 0.001, 3 steps"


def test_columns_of_times_are_left_out_of_a_table_and_the_others_are_not() -> None:
    table = (
        " epoch     step  train/loss        lr  seconds  samples/s\n"
        "     1        3      2.2766  1.00e-03    0.012      4,620\n"
        "     2        6  12345678901234.5  1.00e-03  0.012  4,620\n"
        "done: 1  2  3  4"
    )
    assert screen(table, rewriting({})).splitlines()[1:] == [
        "     1        3      2.2766  1.00e-03  <time>  <time>",
        "     2        6  12345678901234.5  1.00e-03  <time>  <time>",
        "done: 1  2  3  4",
    ]
    ranking = (
        "rank  job  optim.lr  seconds  status\n"
        "1       1      0.01      0.0  completed\n"
        "-       0         9     12.5  failed: no"
    )
    assert screen(ranking, rewriting({})).splitlines()[1:] == [
        "1       1      0.01  <time>  completed",
        "-       0         9  <time>  failed: no",
    ]


def test_two_runs_leave_the_same_behind_but_for_dates_and_times(tmp_path: Path) -> None:
    def made(name: str, date: str, seconds: float, loss: float) -> Path:
        run = tmp_path / name / "runs" / "line" / date
        run.mkdir(parents=True)
        row = {"epoch": 1, "train/loss": loss, "seconds": seconds}
        (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        (run / "result.json").write_text(json.dumps({"seconds": seconds, "environment": {"torch": date}}))
        (run / "train.log").write_text(f"done in {seconds} s\n")
        content = {"model": {"w": torch.ones(1)}, "seconds": seconds, "versions": {}, "description": '{"a": 1}'}
        torch.save({**content, "logs": {"metrics.jsonl": int(seconds)}}, run / "last.pt")
        return tmp_path / name

    rewrite = rewriting({})
    bits, words = left(made("old", "2026-11-26_01-03-30", 1.5, 0.25), rewrite)
    again, others = left(made("new", "2026-11-27_11-03-30", 2.5, 0.25), rewrite)
    altered, _ = left(made("altered", "2026-11-27_11-03-30", 1.5, 0.5), rewrite)
    assert found(bits, again) == []
    assert words == others == {"runs/line/run-1/train.log": "done in <time>"}
    assert found(bits, altered) == ["runs/line/run-1/metrics.jsonl: [0].train/loss: 0.25 has become 0.5"]


def test_a_sweep_leaves_the_last_row_of_each_job_in_whatever_order_they_ended(tmp_path: Path) -> None:
    def made(name: str, *rows: dict[str, object]) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return left(tmp_path / name, rewriting({}))[0]

    first = {"job": 0, "status": "completed", "value": 0.5, "seconds": 1.0, "error": ""}
    second = {"job": 1, "status": "failed", "value": None, "seconds": 2.0, "error": "the loss is nan"}
    stopped = {"job": 0, "status": "interrupted", "value": None, "seconds": 0.5, "error": "after step 7"}
    reworded = {**second, "error": "The loss is not finite."}
    assert found(made("old", first, second), made("new", stopped, reworded, {**first, "seconds": 3.0})) == []
    assert found(made("a", second), made("b", {**second, "error": ""})) == [
        "sweep.jsonl: 1.error: True has become False"
    ]


def test_every_recipe_is_recorded() -> None:
    recipes = {path.stem for path in (Path(__file__).parent.parent / "configs" / "experiment").glob("*.yaml")}
    assert {case.name for case in cases()["recipe"]} == recipes
