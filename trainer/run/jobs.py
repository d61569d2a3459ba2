"""The jobs that a sweep has left in its directory, which may be a stranger's."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.run import records
from trainer.system.errors import RunError
from trainer.system.paths import expanded, quoted


@dataclass(frozen=True)
class Job:
    """A finished job: its run directory, what was typed for it, and what it has of its objective: less is better."""

    directory: Path
    words: dict[str, str]
    badness: float
    objective: str


def is_sweep(ckpt: str) -> bool:
    """Whether `ckpt=` means the directory of a sweep."""
    return os.path.isfile(expanded(ckpt) / records.SWEEP_LOG)  # which says no to a name that no file can have


def jobs_of(sweep: Path, best: int | None = None, key: str = "eval.best") -> list[Job]:
    """The jobs of a sweep that have completed, by their numbers; only the `best` so many, which `key` asks for.

    Raises:
        RunError: There is none, or those of different objectives cannot be compared.
    """
    folders = [path for path in sweep.iterdir() if path.name.isdecimal() and path.name.isascii()]
    found = []
    for directory in sorted(folders, key=lambda path: int(path.name)):
        result = records.read_result(directory) if not directory.is_symlink() else {}
        if result.get("status") != "completed" or records.pruned(result):
            continue
        objective = result["objective"]
        value, sign = objective["value"], 1 if objective["direction"] == "min" else -1
        words = dict(word.split("=", 1) for word in records.overrides(directory) if "=" in word)
        found.append(Job(directory, words, math.inf if value is None else sign * value, objective["name"]))
    if not found:
        raise RunError(f"{sweep} has no job that has completed", f"go on with it: trainer resume {quoted(sweep)}")
    return found if best is None else best_of(found, best, sweep, key)


def best_of(found: Sequence[Job], best: int, sweep: Path, key: str = "eval.best") -> list[Job]:
    """Of the jobs of a sweep the `best` so many, which `key` asks for, in their order.

    Raises:
        RunError: Those of different objectives cannot be compared.
    """
    if len(objectives := {job.objective for job in found}) > 1:
        names = " and ".join(sorted(objectives))
        raise RunError(f"{sweep} has jobs of {names}, which cannot be compared", f"leave {key} out")
    chosen = sorted(found, key=lambda job: job.badness)[:best]
    return [job for job in found if job in chosen]


def differing(jobs: Sequence[Job]) -> list[str]:
    """The keys in which what was typed for the jobs differs."""
    keys = dict.fromkeys(key for job in jobs for key in job.words)
    return [key for key in keys if len({job.words.get(key) for job in jobs}) > 1]
