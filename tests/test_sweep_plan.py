"""Which number and label a job of a sweep gets, at first and when the sweep is resumed."""

import json
from pathlib import Path
from typing import Any

from trainer.run import records
from trainer.sweeps.plan import Asked, claim, known, numbered


class Config:
    """A config that is known by a letter, and counts how often it is asked for it."""

    def __init__(self, letter: str) -> None:
        self.letter, self.asked = letter, 0

    def digest(self) -> str:
        self.asked += 1
        return self.letter


def asked(letters: str) -> list[Asked]:
    configs: list[Any] = [Config(letter) for letter in letters]
    return [Asked([f"x={config.letter}", "seed=0"], config) for config in configs]


def numbers(directory: Path, letters: str) -> list[int]:
    return [job.number for job in numbered(directory, asked(letters))]


def test_jobs_keep_their_numbers_and_new_ones_get_others(tmp_path: Path) -> None:
    claim(tmp_path, numbered(tmp_path, asked("abc")))
    assert known(tmp_path) == {0: "a", 1: "b", 2: "c"}
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", "0", "1", "2"}
    assert numbers(tmp_path, "cda") == [2, 3, 0]
    claim(tmp_path, numbered(tmp_path, asked("cda")))
    assert numbers(tmp_path, "eb") == [4, 1]


def test_jobs_that_are_the_same_have_a_number_each(tmp_path: Path) -> None:
    claim(tmp_path, numbered(tmp_path, asked("aba")))
    assert numbers(tmp_path, "aaab") == [0, 2, 3, 1]


def test_a_label_has_the_words_in_which_jobs_differ(tmp_path: Path) -> None:
    assert [job.label for job in numbered(tmp_path, asked("ab"))] == ["x=a", "x=b"]
    assert [job.label for job in numbered(tmp_path, asked("a"))] == ["x=a seed=0"]


def test_a_job_is_finished_if_its_result_says_so(tmp_path: Path) -> None:
    claim(tmp_path, numbered(tmp_path, asked("abcd")))
    completed = {"status": "completed", "metrics": {}, "best_epoch": 1}
    completed["objective"] = {"name": "val/loss", "direction": "min", "value": 0.5}
    records.write_result(tmp_path / "0", completed)
    records.write_result(tmp_path / "1", {"status": "failed"})
    (tmp_path / "2" / "result.json").write_text("[")
    assert [job.finished for job in numbered(tmp_path, asked("abcd"))] == [completed, None, None, None]


def test_the_time_to_number_jobs_grows_with_their_count_and_not_with_its_square(tmp_path: Path) -> None:
    digests = {number: f"{number:03}" for number in range(200)}
    (tmp_path / "plan.json").write_text(json.dumps(digests))
    jobs = [Asked(["x=1"], Config(digest)) for digest in reversed(digests.values())]  # type: ignore[arg-type]
    found = numbered(tmp_path, jobs)
    assert [job.number for job in found] == list(reversed(digests))
    claim(tmp_path, found)
    assert {job.config.asked for job in jobs} == {1}  # type: ignore[union-attr]
