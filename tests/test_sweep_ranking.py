"""Rows of jobs that differ in their seeds: means, intervals, ranks, and what is more than chance."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sweeping import grid, job

from trainer.compare import ranking
from trainer.compare.ranking import ranked
from trainer.compare.verdict import paired, verdict
from trainer.compare.welch import welch
from trainer.run.sweep_log import Outcome, append, read
from trainer.system.errors import RunError

NAN = float("nan")


def rates(jobs: list[Outcome]) -> list[str]:
    """The learning rates, best row first."""
    return [row.overrides["optim.lr"] for row in ranked(jobs)]


# --- sweep.jsonl ----------------------------------------------------------------------------------------


def test_jobs_are_read_as_they_were_written(tmp_path: Path) -> None:
    jobs = [job(0, 0.5, seed=1, best_epoch=3, metrics={"test/accuracy": 0.25}), job(1, None, error="it is\nbroken é")]
    for one in jobs:
        append(tmp_path / "sweep.jsonl", one)
    assert read(tmp_path / "sweep.jsonl") == jobs


def test_of_several_lines_of_a_job_the_last_counts_and_jobs_come_by_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    for one in (job(2, 0.1), job(0, None, status="interrupted"), job(1, 0.3), job(0, 0.7)):
        append(path, one)
    assert [(one.job, one.value, one.status) for one in read(path)] == [
        (0, 0.7, "completed"),
        (1, 0.3, "completed"),
        (2, 0.1, "completed"),
    ]


def test_what_is_not_finite_is_nothing(tmp_path: Path) -> None:
    append(tmp_path / "sweep.jsonl", job(0, NAN, metrics={"test/loss": math.inf, "test/accuracy": 0.5}))
    (found,) = read(tmp_path / "sweep.jsonl")
    assert found.value is None
    assert found.metrics == {"test/accuracy": 0.5}


def test_a_line_that_was_cut_off_anywhere_is_ignored_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    append(path, job(0, 0.5))
    whole = path.read_bytes()
    append(path, job(1, 0.6))
    longer = path.read_bytes()
    for length in range(len(whole), len(longer) - 1):
        path.write_bytes(longer[:length])
        assert read(path) == [job(0, 0.5)]
        append(path, job(2, 0.7))
        assert read(path) == [job(0, 0.5), job(2, 0.7)]
    path.write_bytes(whole + b"\0" * 100)  # as some file systems leave it
    assert read(path) == [job(0, 0.5)]


@pytest.mark.parametrize("line", ["{", "[]", "3", "{}", '{"job": "a", "overrides": {}, "status": "", "seconds": 1}'])
def test_a_line_in_between_that_is_no_job_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sweep.jsonl"
    path.write_text(line + "\n")
    append(path, job(0, 0.5))
    with pytest.raises(RunError, match="line 1 is no job"):
        read(path)


def test_what_a_later_version_wrote_beside_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    path.write_text(json.dumps({"job": 3, "overrides": {}, "status": "completed", "seconds": 1.0, "gpu": 1}) + "\n")
    assert read(path) == [Outcome(3, {}, "completed", 1.0)]


def test_a_sweep_without_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot read .*sweep\.jsonl"):
        read(tmp_path / "sweep.jsonl")


# --- rows -----------------------------------------------------------------------------------------------


def test_jobs_that_differ_in_their_seed_alone_are_one_row() -> None:
    rows = ranked(grid({"0.1": [0.5, 0.6], "0.01": [0.7, 0.9]}))
    assert [(row.overrides, [one.job for one in row.jobs], row.rank) for row in rows] == [
        ({"optim.lr": "0.01"}, [2, 3], 1),
        ({"optim.lr": "0.1"}, [0, 1], 2),
    ]
    assert rows[0].best.job == 3


def test_mean_deviation_and_interval_are_those_of_numpy_and_scipy() -> None:
    rng = np.random.default_rng(0)
    for count in (2, 3, 10):
        values = rng.normal(0.9, 0.02, count)
        (row,) = ranked(grid({"0.1": values.tolist()}))
        assert row.mean == pytest.approx(values.mean())
        assert row.std == pytest.approx(values.std(ddof=1))
        expected = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
        assert row.interval == pytest.approx(expected)


def test_the_interval_holds_the_true_mean_in_95_of_100_sweeps() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for values in rng.normal(3.0, 1.0, (1000, 3)):
        (row,) = ranked(grid({"1": values.tolist()}))
        low, high = row.interval or (0, 0)
        held += low <= 3.0 <= high
    assert 0.93 < held / 1000 < 0.97


def test_one_seed_has_no_interval() -> None:
    (row,) = ranked([job(0, 0.5)])
    assert (row.mean, row.std, row.interval) == (0.5, None, None)


def test_a_job_that_was_run_twice_is_no_second_seed() -> None:
    (row,) = ranked([job(0, 0.5, model="mlp", seed=1), job(1, 0.5, model="mlp", seed=1)])
    assert (row.values, row.std) == ((0.5,), None)


@pytest.mark.parametrize(("direction", "order"), [("max", ["c", "a", "b"]), ("min", ["b", "a", "c"])])
def test_rows_rank_by_their_mean_in_the_objectives_direction(direction: str, order: list[str]) -> None:
    # b has the best and the worst seed.
    jobs = grid({"a": [0.5, 0.5], "b": [0.95, 0.01], "c": [0.6, 0.6]}, direction=direction)
    assert rates(jobs) == order
    assert [row.rank for row in ranked(jobs)] == [1, 2, 3]
    random.Random(0).shuffle(jobs)
    assert rates(jobs) == order


def test_a_row_with_failed_seeds_ranks_by_the_others() -> None:
    rows = ranked(grid({"a": [0.5, 0.5, 0.5], "b": [None, 0.8, 0.6]}))
    assert [row.overrides["optim.lr"] for row in rows] == ["b", "a"]
    assert rows[0].mean == pytest.approx(0.7)
    assert len(rows[0].jobs) == 3


def test_rows_without_a_value_come_last_and_have_no_rank() -> None:
    rows = ranked(grid({"a": [None, None], "b": [NAN], "c": [0.1], "d": [math.inf]}))
    assert [(row.overrides["optim.lr"], row.rank, row.mean) for row in rows] == [
        ("c", 1, 0.1),
        ("a", None, None),
        ("b", None, None),
        ("d", None, None),
    ]


def test_different_objectives_are_ranked_each_by_itself() -> None:
    jobs = [
        job(0, 3000.0, data="diabetes", x=0, objective="val/loss", direction="min"),
        job(1, 0.7, data="digits", x=0),
        job(2, 2000.0, data="diabetes", x=1, objective="val/loss", direction="min"),
        job(3, 0.9, data="digits", x=1),
    ]
    assert [(row.jobs[0].job, row.rank) for row in ranked(jobs)] == [(2, 1), (0, 2), (3, 1), (1, 2)]
    assert [(one.job, place) for place, one in ranking.places(jobs)] == [(2, 1), (0, 2), (3, 1), (1, 2)]


def test_equal_rows_keep_the_order_of_the_jobs() -> None:
    assert rates(grid({"b": [0.5], "a": [0.5], "c": [0.5]})) == ["b", "a", "c"]


def test_a_thousand_jobs_rank_as_by_hand() -> None:
    rng = random.Random(2)
    results = {str(rate): [rng.choice([None, rng.random()]) for _ in range(5)] for rate in range(200)}
    means = {
        rate: np.mean([v for v in found if v is not None])
        for rate, found in results.items()
        if any(v is not None for v in found)
    }
    expected = sorted(means, key=lambda rate: -means[rate])
    assert rates(grid(results))[: len(expected)] == expected


# --- folds ----------------------------------------------------------------------------------------------


def folded(values: dict[str, list[list[float | None]]]) -> list[Outcome]:
    """For each learning rate a job for each fold and seed, with the results given by fold and then by seed."""
    triples = [
        (rate, fold, seed, value)
        for rate, folds in values.items()
        for fold, seeds in enumerate(folds)
        for seed, value in enumerate(seeds)
    ]
    return [
        job(number, value, optim__lr=rate, data__fold=fold, data__folds=5, seed=seed)
        for number, (rate, fold, seed, value) in enumerate(triples)
    ]


def test_jobs_that_differ_in_their_fold_alone_are_one_row() -> None:
    values = [0.8, 0.9, 0.85, 0.7, 0.95]
    (row,) = ranked([job(k, value, data__fold=k, data__folds=5) for k, value in enumerate(values)])
    assert (row.overrides, len(row.jobs), row.counted) == ({"data.folds": "5"}, 5, "5 folds")
    assert row.mean == pytest.approx(np.mean(values))
    assert row.std == pytest.approx(np.std(values, ddof=1))
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert row.interval == pytest.approx(expected)


def test_the_seeds_of_a_fold_count_as_one_value_by_their_mean() -> None:
    values = np.random.default_rng(4).uniform(0.5, 1, (5, 3))
    (row,) = ranked(folded({"0.1": values.tolist()}))
    assert row.counted == "5 folds of 3 seeds"
    assert row.values == pytest.approx(values.mean(1))
    assert row.std == pytest.approx(values.mean(1).std(ddof=1))


def test_one_fold_with_several_seeds_is_a_row_of_seeds() -> None:
    (row,) = ranked(folded({"0.1": [[0.5, 0.6, 0.7]]}))
    assert (row.values, row.counted) == ((0.5, 0.6, 0.7), "3 seeds")


def test_settings_of_the_same_folds_are_compared_fold_by_fold() -> None:
    rng = np.random.default_rng(5)
    hard = rng.normal(0.8, 0.1, 5)  # how hard a fold is outweighs what the settings do
    a, b = hard + rng.normal(0.01, 0.002, 5), hard
    first, second = rows = ranked(folded({"a": a[:, None].tolist(), "b": b[:, None].tolist()}))
    p = stats.ttest_rel(a, b).pvalue
    assert paired(first, second) == pytest.approx(p)
    unpaired = welch(first.values, second.values)
    assert unpaired is not None
    assert p < 0.05 < unpaired.p
    assert "optim.lr=a is better than optim.lr=b by" in verdict(rows)
    assert "paired t-test, 5 folds)" in verdict(rows)


def test_settings_of_different_folds_are_compared_by_welchs_test() -> None:
    rows = ranked(folded({"a": [[0.5], [0.6], [0.7]], "b": [[0.5], [0.4], [None]]}))
    assert "Welch's t-test, 3 and 2 folds)" in verdict(rows)


def test_equal_differences_in_every_fold_are_no_matter_of_chance() -> None:
    assert "(folds make no difference, 2 folds)" in verdict(
        ranked(folded({"a": [[0.75], [0.5]], "b": [[0.5], [0.25]]}))
    )
    assert "(all of 2 folds gave the same)" in verdict(ranked(folded({"a": [[0.75], [0.5]], "b": [[0.75], [0.5]]})))


# --- is the best better? --------------------------------------------------------------------------------


def test_welchs_test_is_that_of_scipy_and_of_its_formula() -> None:
    rng = np.random.default_rng(3)
    for sizes in ((2, 2), (3, 5), (10, 4)):
        a, b = rng.normal(0.9, 0.01, sizes[0]), rng.normal(0.89, 0.03, sizes[1])
        first, second = ranked(grid({"a": a.tolist(), "b": b.tolist()}))
        found, wanted = (
            welch(first.values, second.values),
            stats.ttest_ind(first.values, second.values, equal_var=False),
        )
        assert found is not None
        p = found.p
        assert p == pytest.approx(wanted.pvalue)
        assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval()))
        va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
        t = abs(a.mean() - b.mean()) / math.sqrt(va + vb)
        assert p == pytest.approx(2 * stats.t.sf(t, freedom))


def test_a_clear_difference_is_told_in_points() -> None:
    jobs = grid({"0.1": [0.950, 0.951, 0.949], "0.01": [0.9545, 0.9540, 0.9541], "1": [0.1, 0.2, 0.3]})
    p = stats.ttest_ind([0.950, 0.951, 0.949], [0.9545, 0.9540, 0.9541], equal_var=False).pvalue
    assert verdict(ranked(jobs)) == (
        f"optim.lr=0.01 is better than optim.lr=0.1 by 0.42 points (p = {p:.2g}, Welch's t-test, 3 and 3 seeds)"
    )


def test_a_difference_that_chance_may_give_is_none() -> None:
    jobs = grid({"0.1": [0.95, 0.90], "0.01": [0.94, 0.93, 0.92]})
    p = stats.ttest_ind([0.95, 0.90], [0.94, 0.93, 0.92], equal_var=False).pvalue
    assert verdict(ranked(jobs)) == (
        f"optim.lr=0.01 cannot be told apart from optim.lr=0.1 (p = {p:.2g}, Welch's t-test, 3 and 2 seeds)"
    )


def test_a_loss_is_compared_in_its_own_unit_and_tiny_chances_are_rounded() -> None:
    jobs = grid({"a": [10.0, 10.1, 9.9], "b": [2.0, 2.1, 1.9]}, objective="val/loss", direction="min")
    assert verdict(ranked(jobs)) == (
        "optim.lr=b is better than optim.lr=a by 8 (p < 0.001, Welch's t-test, 3 and 3 seeds)"
    )


def test_a_verdict_names_all_that_was_swept() -> None:
    jobs = [
        job(0, 0.9, model="mlp", x=1, epochs=3),
        job(1, 0.8, model="mlp", x=2, epochs=3),
        job(2, 0.7, model="a", x=1),
    ]
    jobs[2].overrides["epochs"] = "3"
    assert verdict(ranked(jobs)) == (
        "model=mlp x=1 is ahead of model=mlp x=2 by 10.00 points; several seeds each would tell whether that is chance"
    )


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([0.5, 0.5], [0.5, 0.5], "is as good as"),
        ([0.6, 0.6], [0.5, 0.5], "is better than optim.lr=b by 10.00 points (seeds make no difference"),
        ([0.6, 0.6], [0.5, 0.4], "p = "),
        ([0.6], [0.5], "several seeds each would tell"),
        ([0.5], [0.5], "is as good as"),
        ([0.6], [0.5, 0.4], "several seeds each would tell"),
        ([0.6, None], [0.5, NAN], "several seeds each would tell"),
        ([0.1 + 0.2, 0.3], [0.3, 0.3], "p = "),  # apart by rounding alone
        ([1e300, 2e300], [-1e300, 1e290], "p = "),
        ([3e-300, 2e-300], [1e-300, 1e-301], "p = "),
    ],
)
def test_odd_values_neither_fail_nor_warn(first: list[float | None], second: list[float | None], words: str) -> None:
    assert words in verdict(ranked(grid({"a": first, "b": second})))


@pytest.mark.parametrize("results", [{}, {"a": [0.5, 0.6]}, {"a": [0.5], "b": [None]}, {"a": [None], "b": [None]}])
def test_without_two_results_there_is_nothing_to_compare(results: dict[str, list[float | None]]) -> None:
    assert verdict(ranked(grid(results))) == ""


def test_rows_of_different_objectives_are_not_compared() -> None:
    assert verdict(ranked([job(0, 0.5, data="a"), job(1, 0.6, data="b", objective="val/loss")])) == ""
