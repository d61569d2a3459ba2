"""Which run a word means: `latest` and a folder of runs mean the newest in it, and a sweep may mean its best job."""

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from trainer.compare import finding
from trainer.compare.entries import Entry
from trainer.compare.finding import Place
from trainer.run import jobs
from trainer.system.errors import RunError
from trainer.system.paths import expanded, quoted

LATEST = "latest"
RUNS = "runs"  # the folder that trainings make, where no other is named
_CHECKPOINTS = "checkpoints"
_OF_A_RUN = ("config.yaml", "overrides.yaml", "result.json", "metrics.jsonl", "train.log", "report.html", "README.md")


@dataclass(frozen=True)
class Wanted:
    """What a verb can do with: a sweep as a whole, and a run without any checkpoint."""

    sweep: bool = False
    unsaved: bool = False


def meant(word: str, wanted: Wanted) -> tuple[str, str] | None:
    """The path that a word means and why, to be said; None if it stands for itself.

    Raises:
        RunError: There is no run yet, or the sweep has no job that has completed.
    """
    path = expanded(word)
    if not word:
        return None
    if not os.path.lexists(path):
        if path.name != LATEST:
            return None
        return _newest(path.parent if path.parent.name else Path(RUNS), word, wanted)
    if path.is_file():
        return _run_of(path) if wanted.unsaved else None
    if not path.is_dir() or (path.name == _CHECKPOINTS and not wanted.unsaved):
        return None
    if path.name == _CHECKPOINTS:
        return _run_of(path / "last.pt")
    place = finding.at(word)
    if place.is_sweep:
        return None if wanted.sweep else _best(place.path)
    if place.is_run or _CHECKPOINTS in place.names or any(name.endswith(".pt") for name in place.names):
        return None
    return _newest(path, word, wanted) if any(_usable(found, wanted) for found in finding.below(place)) else None


def _run_of(file: Path) -> tuple[str, str] | None:
    """The run that one of its files stands for."""
    run = file.parent.parent if file.parent.name == _CHECKPOINTS else file.parent
    known = file.parent.name == _CHECKPOINTS or file.name in _OF_A_RUN
    return (str(run), "the run that it is in") if known and (run / "config.yaml").is_file() else None


def _newest(folder: Path, word: str, wanted: Wanted) -> tuple[str, str]:
    try:
        places = sorted(finding.below(finding.at(str(folder))), key=_age, reverse=True)
    except RunError:
        places = []
    newest = next((place for place in places if _usable(place, wanted)), None)
    if newest is None:
        what = "run" if wanted.unsaved else "run with a checkpoint"
        raise RunError(
            f"{word}: there is no {what} in {folder} yet", "trainer train makes one; trainer runs lists them"
        )
    if newest.is_sweep and not wanted.sweep:
        return _best(newest.path)
    return str(newest.path), "the newest sweep" if newest.is_sweep else "the newest run"


def _usable(place: Place, wanted: Wanted) -> bool:
    """Whether a verb can do with a run, or with a sweep of which a job has completed."""
    if wanted.unsaved:
        return True
    if not place.is_sweep:
        return _CHECKPOINTS in place.names
    try:
        return bool(jobs.jobs_of(place.path))
    except RunError:
        return False


def _age(place: Place) -> tuple[datetime.datetime, int, str]:
    """By what runs are put in order: when they were started, and of two in one second by the number of the second."""
    name = place.path.name
    number = name.rpartition("-")[2] if name.count("-") > 4 else "0"
    when = Entry(place).when or datetime.datetime.min
    return when, int(number) if number.isdecimal() and number.isascii() else 0, str(place.path)


def _best(sweep: Path) -> tuple[str, str]:
    finished = jobs.jobs_of(sweep)
    if len(finished) == 1:
        return str(finished[0].directory), f"the one finished job of {sweep}"
    try:
        (best,) = jobs.best_of(finished, 1, sweep)
    except RunError as error:
        raise RunError(error.message, f"give one of its jobs: {quoted(sweep / '0')}") from error
    return str(best.directory), f"the best job of {sweep}"
