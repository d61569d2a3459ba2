"""Run directories: one for each claim, one process at a time in each, and small files that are whole and JSON."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pretending
import pytest

from trainer.run import directory as runs
from trainer.run import records
from trainer.system.errors import RunError, StorageError


@pytest.fixture(autouse=True)
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens within one second."""
    pretending.timestamps(monkeypatch)


def test_claims_in_one_second_get_directories_of_their_own(tmp_path: Path) -> None:
    names = [runs.claim(tmp_path / "runs" / "name").name for _ in range(3)]
    assert names == ["2026-01-31_12-00-00", "2026-01-31_12-00-00-1", "2026-01-31_12-00-00-2"]


def test_threads_that_claim_at_once_get_directories_of_their_own(tmp_path: Path) -> None:
    starting, claimed = threading.Barrier(24), []

    def claim() -> None:
        starting.wait()
        claimed.append(runs.claim(tmp_path / "runs"))

    threads = [threading.Thread(target=claim) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(claimed)) == 24
    assert set(claimed) == set((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_parent_that_is_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match="runs") as caught:
        runs.claim(tmp_path / "runs" / below)
    assert caught.value.hint == "give another: output=DIR"


def test_a_parent_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **keys: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunError, match=r"cannot write a run directory below .*runs: Permission denied"):
        runs.claim(tmp_path / "runs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_parent_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="Permission denied"):
        runs.claim(tmp_path / "runs")


def test_values_that_json_lacks_become_null_wherever_they_are(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    records.write_result(tmp_path, {"a": nan, "b": [1.5, -inf, {"c": inf}], "d": (nan, "nan"), "e": None, "f": True})
    text = (tmp_path / "result.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    expected = {"a": None, "b": [1.5, None, {"c": None}], "d": [None, "nan"], "e": None, "f": True}
    assert json.loads(text, parse_constant=refuse) == expected
    assert json.loads((tmp_path / "result.json").read_text()) == expected


# --- one process at a time ----------------------------------------------------------------------------

HOLDER = """
import os, sys, time
from pathlib import Path
from trainer.run import directory as runs
from trainer.run import records
with runs.locked(Path("run")):
    if "fork" in sys.argv:
        if os.fork() == 0:
            print(os.getpid(), flush=True)  # now it has let go of what it inherited
            time.sleep(60)
            os._exit(0)
    elif "spawn" in sys.argv:
        import subprocess
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        print(subprocess.Popen(command, close_fds=False).pid, flush=True)
    else:
        print(0, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory; nobody waits long for its lock."""
    pretending.lock_seconds(monkeypatch, 0.0)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@contextmanager
def holding(run: Path, *how: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Another process holds the lock; with the id of the one that it started, or 0."""
    command = [sys.executable, "-c", HOLDER, *how]
    with subprocess.Popen(command, cwd=run.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        timer = threading.Timer(60, process.kill)
        timer.start()
        child = 0
        try:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            yield process, child
        finally:
            timer.cancel()
            process.kill()
            if child:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


def test_a_second_process_is_refused_while_the_first_trains(run: Path) -> None:
    with holding(run) as (process, _):
        with pytest.raises(RunError, match=r"run is being trained by another process$") as caught, runs.locked(run):
            raise AssertionError
        assert caught.value.hint == "wait until it has ended"
        assert process.poll() is None
        process.communicate("")
        assert process.returncode == 0
    with runs.locked(run):
        pass


def test_another_directory_is_free(run: Path) -> None:
    other = run.with_name("other")
    other.mkdir()
    with holding(run), runs.locked(other):
        pass


def test_the_lock_ends_with_a_process_that_is_killed(run: Path) -> None:
    with holding(run) as (process, _):
        process.kill()
        process.wait(timeout=20)
        with runs.locked(run):
            pass


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_workers_that_outlive_a_killed_training_do_not_hold_its_lock(run: Path, how: str) -> None:
    with holding(run, how) as (process, child):
        os.kill(child, 0)  # it lives
        with pytest.raises(RunError), runs.locked(run):
            raise AssertionError
        process.kill()
        process.wait(timeout=20)
        os.kill(child, 0)
        with runs.locked(run):
            pass


def test_a_lock_that_is_about_to_end_is_waited_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.lock_seconds(monkeypatch, 60.0)
    with holding(run) as (process, _):
        monkeypatch.setattr(time, "sleep", lambda seconds: process.kill())
        with runs.locked(run):
            assert process.wait(timeout=20) == -signal.SIGKILL


def test_the_same_process_may_lock_again_after_it_has_ended_and_not_before(run: Path) -> None:
    """Two trainings in two threads, or in a notebook, are two trainings."""
    with runs.locked(run), pytest.raises(RunError), runs.locked(run):
        raise AssertionError
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), runs.locked(run):
            raise ZeroDivisionError
    assert not runs._held


def test_nothing_is_written_for_a_lock(run: Path) -> None:
    with runs.locked(run):
        assert list(run.iterdir()) == []
    assert list(run.iterdir()) == []


def test_a_file_system_without_locks_is_trained_on_all_the_same(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def unsupported(*args: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with runs.locked(run):
        pass


# --- going back to a checkpoint -----------------------------------------------------------------------


def test_logs_are_cut_back_and_later_ones_removed(tmp_path: Path) -> None:
    texts = {
        "metrics.jsonl": "one\ntwo\nthr",
        "events.out.tfevents.1": "abcdef",
        "events.out.tfevents.2": "later",
        "train.log": "all of it",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    runs.rewind(tmp_path, {"metrics.jsonl": 8, "events.out.tfevents.1": 4})
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"metrics.jsonl": "one\ntwo\n", "events.out.tfevents.1": "abcd", "train.log": "all of it"}


def test_a_log_that_is_shorter_than_the_checkpoint_says_is_not_filled_up(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("one\n")
    runs.rewind(tmp_path, {"metrics.jsonl": 100, "events.out.tfevents.1": 7})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"metrics.jsonl": "one\n"}


def test_a_checkpoint_without_logs_starts_them_anew(tmp_path: Path) -> None:
    """That of the start, before any row was written."""
    for name in ("metrics.jsonl", "events.out.tfevents.1"):
        (tmp_path / name).write_text("left by a killed process")
    runs.rewind(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    runs.rewind(tmp_path, {})


def test_logs_that_cannot_be_cut_back_are_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"metrics\.jsonl: is a directory"):
        runs.rewind(tmp_path, {"metrics.jsonl": 1})
