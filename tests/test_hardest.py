"""Which classes a model finds hardest."""

from statistics import NormalDist

import pytest
import torch
from test_judgement import evaluation

from trainer.engine import hardest
from trainer.engine.hardest import Class, Mistake


def test_the_worst_classes_are_those_below_the_rest_by_more_than_chance() -> None:
    found = hardest.worst(evaluation([[95, 5, 0], [2, 98, 0], [30, 10, 60]]))
    assert found == [Class(2, 0.6, 100)]


def test_a_class_that_is_a_little_worse_is_no_worst() -> None:
    assert hardest.worst(evaluation([[95, 5], [8, 92]])) == []
    assert hardest.worst(evaluation([[95, 5], [3, 3]])) == []  # six samples say nothing


def test_an_upper_end_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-4) == hardest._Z
    for right, count in ((0, 10), (6, 10), (60, 100), (999, 1000)):
        theirs = stats.binomtest(right, count).proportion_ci(method="wilson").high
        assert hardest._upper(right / count, count) == pytest.approx(theirs, abs=1e-5)


def test_mistakes_that_stand_out_are_named_and_others_are_not() -> None:
    cells = torch.full((10, 10), 1)
    cells.fill_diagonal_(90)
    assert hardest.confused(evaluation(cells.tolist())) == []  # evenly spread
    cells[3, 5] = 20
    assert hardest.confused(evaluation(cells.tolist())) == [Mistake(3, 5, 20, 118)]


def test_two_classes_have_one_kind_of_mistake_each() -> None:
    assert hardest.confused(evaluation([[50, 50], [0, 100]])) == []


def test_what_is_never_guessed_needs_samples() -> None:
    assert hardest.never_guessed(evaluation([[20, 0, 0], [9, 0, 0], [10, 0, 0]])) == [2]
