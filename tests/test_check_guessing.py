"""The quick models of `trainer check`: chance is chance, and the error of a column is that of a plain loop."""

import numpy as np
import pytest

from trainer.preflight import guessing


def test_the_error_of_each_column_is_that_of_its_likeliest_class_by_level() -> None:
    draw = np.random.default_rng(1)
    targets = np.repeat([0, 1, 4], [50, 30, 40])
    columns = np.stack([draw.normal(size=120), targets + draw.normal(size=120), np.where(targets == 4, 9.0, -1.0)], 1)
    order = np.random.default_rng(guessing.DRAWN).permutation(120)
    expected = []
    for column in columns[order].T:
        level = ((column - column.min()) * 15 / (column.max() - column.min())).astype(int)
        fitted, asked = range(0, 120, 2), range(1, 120, 2)
        known = targets[order]
        right = {one: [] for one in (0, 1, 4)}
        for row in asked:
            shares = [
                sum(known[i] == one and level[i] == level[row] for i in fitted) / sum(known[i] == one for i in fitted)
                for one in right
            ]
            right[known[row]].append([*right][int(np.argmax(shares))] == known[row])
        expected.append(1.5 * (1 - np.mean([np.mean(one) for one in right.values()])))
    assert guessing.errors_of_each(columns, targets) == pytest.approx(np.clip(expected, 0, 1))


def test_the_error_of_one_column_is_0_where_it_tells_all_and_1_by_chance() -> None:
    draw = np.random.default_rng(2)
    targets = draw.integers(0, 2, 200)
    assert guessing.error_of_one(targets[:, None] * 3.0, targets, True) == 0
    assert guessing.error_of_one(draw.normal(size=(200, 1)), targets, True) > 0.7
    values = draw.normal(size=(200, 1))
    assert guessing.error_of_one(2 * values - 1, values, False) < 1e-9
    assert guessing.error_of_one(draw.normal(size=(200, 1)), values, False) == 1


@pytest.mark.slow
@pytest.mark.parametrize("classes", [3, 0])
def test_targets_drawn_at_random_are_within_what_is_called_chance(classes: int) -> None:
    draw = np.random.default_rng(3)
    found = []
    for _ in range(8):
        rows = draw.normal(size=(90, 4))
        targets = draw.integers(0, classes, 90) if classes else draw.normal(size=(90, 1))
        known = guessing.signal(rows, targets, bool(classes))
        assert not known.sure
        found.append(known.value / known.deviation)
    assert 0.4 < np.std(found) < 1.6
