"""A sample of the reliability suite (`python -m tests.soak`): real trainers, killed and stopped and out of disk."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from soak import caches, endurance, faults, full, kills, lost, once, order, queued, states, stops, storms, swept, tables
from soak.figures import Figures

from trainer import checkpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the suite reads /proc")
Experiment = Callable[[int, Path, Callable[[str], None]], Figures]
# The others take long, and each of these two is a sample of all that they do: kills, and calls that fail.
SAMPLES = {
    "kills": (kills.run, 4),
    "faults": (faults.run, 3),
    "full": (full.run, 3),
    "order": (order.run, 1),
    "stops": (stops.run, 1),
    "storms": (storms.run, 4),
    "swept": (swept.run, 6),
    "queued": (queued.run, 300),
    "once": (once.run, 2),
    "endurance": (endurance.run, 1_000),
    "caches": (caches.run, 100),
    "states": (states.run, 150),
    "tables": (tables.run, 60),
    "lost": (lost.run, 3),
}


@pytest.fixture
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Figures:
    """What a sample of the experiment found."""
    experiment, count = SAMPLES[request.param]
    figures: Figures = experiment(count, tmp_path, print)
    if figures.skipped:
        pytest.skip(figures.skipped)
    print(figures.counts)
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("found", ["kills"], indirect=True)
def test_killed_at_any_moment_a_run_has_a_checkpoint_and_ends_as_if_undisturbed(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["kills"] == 4
    assert found.counts["last.pt missing"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("found", ["lost"], indirect=True)
def test_a_rank_killed_at_any_moment_ends_all_and_the_run_ends_as_if_undisturbed(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["kills of a rank"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("found", ["faults"], indirect=True)
def test_whichever_call_fails_a_line_names_the_file_and_nothing_is_lost(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["runs compared"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("found", ["full"], indirect=True)
def test_a_full_disk_costs_no_checkpoint_and_space_is_all_that_it_takes_to_go_on(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["runs compared"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("found", ["order"], indirect=True)
def test_nothing_gets_its_name_before_it_is_on_the_disk(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["of last.pt, with the previous one kept"] > 0


def test_a_save_makes_its_calls_in_the_order_that_a_power_cut_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same without strace, which not every system has."""
    calls = []

    def watched(name: str, path_of: Callable[..., str]) -> None:
        function = getattr(os, name)

        def call(*args: Any, **keys: Any) -> Any:
            calls.append(f"{name} {Path(path_of(*args)).name}")
            return function(*args, **keys)

        monkeypatch.setattr(os, name, call)

    watched("fsync", lambda handle: os.readlink(f"/proc/self/fd/{handle}"))
    watched("link", lambda source, target: target)
    watched("replace", lambda source, target: target)
    for value in (1.0, 2.0):
        calls.clear()
        checkpoint.write(
            tmp_path / "last.pt", {"weight": torch.tensor([value])}, {"model": {}}, tmp_path / "previous.pt"
        )
    assert calls == [
        "fsync .last.pt.part",
        "link .previous.pt.part",
        "replace previous.pt",
        "replace last.pt",
        f"fsync {tmp_path.name}",
    ]
    kept = [torch.load(tmp_path / f"{name}.pt", weights_only=True)["model"]["weight"] for name in ("previous", "last")]
    assert kept == [torch.tensor([1.0]), torch.tensor([2.0])]


@pytest.mark.slow
@pytest.mark.parametrize("found", ["stops"], indirect=True)
def test_signals_at_every_stage_lose_nothing_and_leave_no_process(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["steps lost"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("found", ["storms"], indirect=True)
def test_twenty_signals_within_a_second_end_a_training_or_a_sweep_in_order(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["storms"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("found", ["queued"], indirect=True)
def test_hundreds_of_jobs_in_a_queue_are_run_once_each_though_the_submit_host_is_killed(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["jobs"] == 300
    assert found.counts["jobs that ran twice"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("found", ["swept"], indirect=True)
def test_sweeps_and_searches_that_were_killed_come_to_the_same(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["sweeps compared"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("found", ["once"], indirect=True)
def test_the_curves_of_a_run_that_was_killed_have_each_step_once(found: Figures) -> None:
    assert found.misses == []


@pytest.mark.slow
@pytest.mark.parametrize("found", ["endurance"], indirect=True)
def test_memory_files_and_threads_do_not_grow_with_the_length_of_a_training(found: Figures) -> None:
    assert found.misses == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("found", ["caches"], indirect=True)
def test_a_cache_that_was_changed_gives_what_was_stored(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["entries"] == 100


@pytest.mark.slow
@pytest.mark.parametrize("found", ["states"], indirect=True)
def test_whatever_a_checkpoint_holds_a_line_is_all_that_comes_of_it(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["refused"] > 50


@pytest.mark.parametrize("found", ["tables"], indirect=True)
def test_whatever_is_changed_in_a_table_it_is_read_or_refused_in_a_line(found: Figures) -> None:
    assert found.misses == []
    assert found.counts["read"] > 5
