"""The cost model of docs/scale.md: its formulas against sums over hops, its limits, and the tables of the page."""

import math
from pathlib import Path

import pytest

from benchmarks.scale import constants, tables
from benchmarks.scale.model import BUCKET, Device, Input, Network, Work, epoch, step, strong, weak

FREE = Input(1e15, math.inf)
RING = Network(4, 1e-5, 2e-6, 3e-5, 1e10, 1e9, trees=False)
WORK = Work("some", 10_000, 1_000, 256, 1e6, 1000.0, 10)
DEVICE = Device(((1, 0.002), (8, 0.009)))


@pytest.mark.parametrize("ranks", [2, 3, 4, 8, 64, 1024])
def test_a_ring_takes_the_sum_of_its_hops(ranks: int) -> None:
    machines = math.ceil(ranks / 4)
    size, seconds = 1e7, 1e-5
    for number in range(2 * (ranks - 1)):  # each sends a part of the buffer, the slowest hop of all is waited for
        seconds += 3e-5 if number < 2 * (machines - 1) else 2e-6
        seconds += size / ranks / (1e9 if machines > 1 else 1e10)
    assert RING.all_reduce(size, ranks) == pytest.approx(seconds)


def test_one_rank_sums_nothing_and_a_tree_is_taken_where_it_is_faster() -> None:
    trees = Network(8, 0.0, 3e-6, 1e-5, 2e11, 2e11, trees=True, tree_inner=2e-5, tree_outer=5e-5, tree_rate=8e10)
    rings = Network(8, 0.0, 3e-6, 1e-5, 2e11, 2e11, trees=False)
    assert trees.all_reduce(1e9, 1) == 0.0
    assert trees.all_reduce(1e3, 1024) < rings.all_reduce(1e3, 1024)
    assert trees.all_reduce(1e9, 16) == rings.all_reduce(1e9, 16)


def test_steps_are_those_that_were_measured_with_lines_between() -> None:
    device = Device(((1, 1.0), (3, 2.0), (5, 6.0)))
    assert [device.seconds(samples) for samples in (0, 1, 2, 3, 4, 5, 6)] == [0.5, 1.0, 1.5, 2.0, 4.0, 6.0, 8.0]


def test_with_a_free_network_and_no_fixed_part_nothing_is_lost() -> None:
    free = Network(8, 0.0, 0.0, 0.0, math.inf, math.inf, trees=False)
    device = Device(((0, 0.0), (1, 0.001)))
    for ranks in (1, 2, 64):
        assert strong(WORK, device, free, FREE, ranks) == pytest.approx(1.0)
        assert weak(WORK, device, free, FREE, ranks) == pytest.approx(1.0)


def test_a_backward_pass_hides_the_sum_but_for_the_last_bucket() -> None:
    hidden = Work("large", 10_000, 0, 256, 4 * BUCKET, 0.0, 10, hidden=True)
    slow = Device(((0, 0.0), (1, 1.0)))
    assert step(hidden, slow, RING, FREE, 2, 256).sum == RING.all_reduce(BUCKET, 2)
    fast = Device(((0, 0.0), (1, 1e-15)))
    assert step(hidden, fast, RING, FREE, 2, 256).sum == pytest.approx(RING.all_reduce(4 * BUCKET, 2))


def test_what_bounds_a_step_is_named() -> None:
    assert step(WORK, DEVICE, RING, FREE, 1, 256).bound == "compute"
    assert step(WORK, DEVICE, RING, FREE, 256, 256).bound == "sum"
    assert step(WORK, DEVICE, RING, Input(1e15, 1e3), 4, 256).bound == "input"
    assert step(WORK, DEVICE, RING, Input(1e15, 1e3), 4, 256).whole == 256 * 1000.0 / 1e3
    assert epoch(WORK, DEVICE, RING, FREE, 4, 256, checkpoint=5.0) == 5.0 + epoch(WORK, DEVICE, RING, FREE, 4, 256)


def test_the_page_has_the_tables_of_the_constants() -> None:
    page = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
    found = constants.measured()
    assert tables.constants(found) in page
    assert tables.validation(found) in page
    for title, *case in constants.cases(found):
        assert title in page
        assert tables.efficiency(*case) in page
