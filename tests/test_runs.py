"""Run directories: one for each claim, and small files that are whole and JSON."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from trainer import runs
from trainer.errors import RunError


@pytest.fixture(autouse=True)
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens within one second."""
    monkeypatch.setattr(runs, "timestamp", lambda: "2026-01-31_12-00-00")


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
    runs.write_result(tmp_path, {"a": nan, "b": [1.5, -inf, {"c": inf}], "d": (nan, "nan"), "e": None, "f": True})
    text = (tmp_path / "result.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    expected = {"a": None, "b": [1.5, None, {"c": None}], "d": [None, "nan"], "e": None, "f": True}
    assert json.loads(text, parse_constant=refuse) == expected
    assert json.loads((tmp_path / "result.json").read_text()) == expected


